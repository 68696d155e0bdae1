#include "base/new_folder.h"

#include <unistd.h>

#include "base/error.h"

namespace sambay {

namespace fs = std::filesystem;

NewFolder::NewFolder(const fs::path& target)
    : target_(target.has_filename() ? target : target.parent_path()),  // "model/" is "model"
      made_(fmt::format("{}.partial-{}", target_.string(), static_cast<int>(getpid()))) {
  std::error_code error;
  if (fs::exists(target_, error) &&
      !(fs::is_directory(target_, error) && fs::is_empty(target_, error))) {
    fail(target_.string(), "exists already and is not empty");
  }
  fs::create_directories(made_, error);
  if (error) {
    fail(made_.string(), "cannot be made: {}", error.message());
  }
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  fs::remove_all(made_, ignored);
}

void NewFolder::finish() {
  std::error_code error;
  fs::rename(made_, target_, error);
  if (error) {
    fail(target_.string(), "cannot be made: {}", error.message());
  }
}

}  // namespace sambay
