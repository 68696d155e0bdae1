#include "train/checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include "base/files.h"
#include "base/json_fields.h"
#include "base/log.h"

namespace sambay {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "step-";
constexpr const char* model_file = "model.safetensors";
constexpr const char* optimizer_file = "optimizer.safetensors";
constexpr const char* state_file = "state.json";

struct Numbered {
  int64_t step;
  fs::path folder;
};

// Newest first. Unfinished and half-removed ones have other names.
std::vector<Numbered> numbered_folders(const fs::path& folder) {
  std::vector<Numbered> out;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    int64_t step = 0;
    if (!name.starts_with(prefix)) {
      continue;
    }
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, step);
    if (parsed.ec == std::errc() && parsed.ptr == end) {
      out.push_back({step, entry.path()});
    }
  }
  std::sort(out.begin(), out.end(),
            [](const Numbered& a, const Numbered& b) { return a.step > b.step; });
  return out;
}

void sync_folder(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // Some file systems have no fsync for folders and say EINVAL.
  const bool synced = fd >= 0 && (::fsync(fd) == 0 || errno == EINVAL);
  const int code = errno;
  if (fd >= 0) {
    ::close(fd);
  }
  if (!synced) {
    fail(folder.string(), "cannot sync: {}", std::generic_category().message(code));
  }
}

// First out of sight under another name: a kill in between never leaves half a folder that looks
// like a checkpoint.
void remove_checkpoint(const fs::path& folder) {
  fs::path old = folder;
  old += ".old";
  fs::rename(folder, old);
  fs::remove_all(old);
}

void remove_leftovers(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && (name.ends_with(".tmp") || name.ends_with(".old"))) {
      fs::remove_all(entry.path());
    }
  }
}

void write_checkpoint(const fs::path& target, const TrainState& state, const Optimizer& optimizer) {
  fs::path temporary = target;
  temporary += ".tmp";
  try {
    fs::create_directory(temporary);
    write_safetensors(temporary / model_file, optimizer.masters());
    write_safetensors(temporary / optimizer_file, optimizer.moments());
    write_atomically(temporary / state_file, state.to_json().dump(1) + "\n");
    sync_folder(temporary);
    fs::rename(temporary, target);
    sync_folder(target.parent_path());
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    throw;
  }
}

}  // namespace

nlohmann::json TrainState::to_json() const {
  return {{"format", "sambay-checkpoint"},  {"version", 1},    {"step", step}, {"tokens", tokens},
          {"data_position", data_position}, {"recipe", recipe}};
}

TrainState TrainState::from_json(const nlohmann::json& json, const std::string& where) {
  JsonFields fields(json, where);
  if (fields.required<std::string>("format") != "sambay-checkpoint" ||
      fields.required<int64_t>("version") != 1) {
    fail(where, "format: expected sambay-checkpoint, version 1");
  }
  TrainState state{fields.integer("step", 0, INT64_MAX), fields.integer("tokens", 0, INT64_MAX),
                   fields.raw("data_position"), fields.raw("recipe")};
  fields.no_others();
  return state;
}

void save_checkpoint(const fs::path& folder, const TrainState& state, const Optimizer& optimizer,
                     int64_t keep) {
  const fs::path target = folder / fmt::format("{}{:012}", prefix, state.step);
  try {
    fs::create_directories(folder);
    remove_leftovers(folder);
    if (!fs::exists(target)) {
      write_checkpoint(target, state, optimizer);
    }
    const auto all = numbered_folders(folder);
    for (size_t i = static_cast<size_t>(keep); i < all.size(); ++i) {
      remove_checkpoint(all[i].folder);
    }
  } catch (const fs::filesystem_error& e) {
    fail(target.string(), "cannot write the checkpoint: {}", e.code().message());
  }
}

std::optional<Checkpoint> latest_checkpoint(const fs::path& folder) {
  for (const auto& [step, path] : numbered_folders(folder)) {
    try {
      const fs::path state = path / state_file;
      Checkpoint found{path, TrainState::from_json(parse_json(read_text(state), state.string()),
                                                   state.string())};
      Safetensors::open(path / model_file);
      Safetensors::open(path / optimizer_file);
      return found;
    } catch (const Error& e) {
      log().warn("passing over a damaged checkpoint: {}", e.what());
    }
  }
  return std::nullopt;
}

void load_checkpoint(const Checkpoint& checkpoint, Optimizer& optimizer) {
  optimizer.restore(Safetensors::open(checkpoint.folder / model_file),
                    Safetensors::open(checkpoint.folder / optimizer_file), checkpoint.state.step);
}

}  // namespace sambay
