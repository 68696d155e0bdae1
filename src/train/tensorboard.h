// Scalars for TensorBoard: an event file of TFRecords.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sambay {

// Length, masked CRC-32C of the length, the bytes, masked CRC-32C of the bytes.
std::string tf_record(std::string_view bytes);

class EventWriter {
 public:
  // A new file events.out.tfevents.<time>.<host> in the folder. Throws Error if it cannot be made.
  explicit EventWriter(const std::filesystem::path& folder);

  // One event at a step; reaches the file at once.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);

  const std::filesystem::path& path() const { return path_; }

 private:
  void append(const std::string& event);

  std::filesystem::path path_;
  std::unique_ptr<FILE, int (*)(FILE*)> file_;
};

}  // namespace sambay
