// Models from the Hugging Face Hub into its cache.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hub/listing.h"
#include "hub/names.h"
#include "hub/retries.h"
#include "hub/settings.h"

namespace sambay::hub {

struct PullOptions {
  // Globs over a file's whole path, "*" matching "/" too. No `include`: what a model needs to run
  // (is_model_file).
  std::vector<std::string> include = {}, exclude = {};
  int connections = 8;
  bool quiet = false;  // no progress on stderr
  RetryPolicy retry = {};
};

struct PulledFile {
  std::string name;
  int64_t bytes, fetched_bytes;  // whole; what came over the network
  std::string digest;
};

struct PullResult {
  std::filesystem::path folder;  // the snapshot
  std::string commit;
  std::vector<PulledFile> files;
};

// config.json, weights (*.safetensors and their index), tokenizer files, chat templates,
// generation_config.json, README and LICENSE; all in the topmost folder.
bool is_model_file(const std::string& name);

// Fetches what is not there yet. When it returns, every file has the size and hash that the Hub
// promised, is on the disk, and the revision means this commit. Throws Error; what came stays, and
// the next pull goes on from there. Ends early when stop_requested().
PullResult pull(const ModelName& model, const Settings& settings, const PullOptions& options);

}  // namespace sambay::hub
