// A folder that appears whole or not at all.
#pragma once

#include <filesystem>

namespace sambay {

// Makes a folder beside its final place and gives it its name when it is complete; one that was not
// finished is removed with all it holds.
class NewFolder {
 public:
  // Throws Error if `target` exists and is not an empty folder, or nothing can be made there.
  explicit NewFolder(const std::filesystem::path& target);
  ~NewFolder();
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  // Where to put what it shall hold.
  const std::filesystem::path& path() const { return made_; }
  // Throws Error if it cannot take its name.
  void finish();

 private:
  std::filesystem::path target_, made_;
};

}  // namespace sambay
