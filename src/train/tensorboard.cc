#include "train/tensorboard.h"

#include <unistd.h>

#include <array>
#include <boost/crc.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>

#include "base/error.h"
#include "tensorboard.pb.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

// Castagnoli's polynomial, rotated and shifted so that a CRC of bytes that hold CRCs stays useful.
uint32_t masked_crc(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  const auto sum = static_cast<uint32_t>(crc.checksum());
  return ((sum >> 15) | (sum << 17)) + 0xa282ead8U;
}

template <class Integer>
void append_little_endian(std::string& out, Integer value) {
  for (size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  }
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

fs::path new_event_file(const fs::path& folder) {
  std::array<char, 256> name{};
  const bool named = gethostname(name.data(), name.size() - 1) == 0;
  const std::string host = named ? name.data() : "localhost";
  // TensorBoard reads the files of a folder in the order of their names.
  const std::string stem =
      fmt::format("events.out.tfevents.{:010}.{}", static_cast<int64_t>(now()), host);
  fs::path path = folder / stem;
  for (int again = 1; fs::exists(path); ++again) {
    path = folder / fmt::format("{}.{}", stem, again);
  }
  return path;
}

}  // namespace

std::string tf_record(std::string_view bytes) {
  std::string out;
  append_little_endian(out, static_cast<uint64_t>(bytes.size()));
  append_little_endian(out, masked_crc(out));
  out += bytes;
  append_little_endian(out, masked_crc(bytes));
  return out;
}

EventWriter::EventWriter(const fs::path& folder)
    : path_(new_event_file(folder)), file_(std::fopen(path_.c_str(), "wb"), std::fclose) {
  if (!file_) {
    fail(path_.string(), "cannot create: {}", std::generic_category().message(errno));
  }
  tensorboard::Event event;
  event.set_wall_time(now());
  event.set_file_version("brain.Event:2");
  append(event.SerializeAsString());
}

void EventWriter::write(int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
  tensorboard::Event event;
  event.set_wall_time(now());
  event.set_step(step);
  for (const auto& [tag, value] : scalars) {
    auto* entry = event.mutable_summary()->add_value();
    entry->set_tag(tag);
    entry->set_simple_value(static_cast<float>(value));
  }
  append(event.SerializeAsString());
}

void EventWriter::append(const std::string& event) {
  const std::string record = tf_record(event);
  if (std::fwrite(record.data(), 1, record.size(), file_.get()) != record.size() ||
      std::fflush(file_.get()) != 0) {
    fail(path_.string(), "cannot write: {}", std::generic_category().message(errno));
  }
}

}  // namespace sambay
