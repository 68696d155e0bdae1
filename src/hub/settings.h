// Where the Hub is, where its files are kept here, and who asks.
#pragma once

#include <filesystem>
#include <string>

namespace sambay::hub {

// What the Hub's own client reads from the environment: HF_HUB_CACHE, else $HF_HOME/hub, HF_HOME
// being $XDG_CACHE_HOME/huggingface or ~/.cache/huggingface where it is not set; HF_ENDPOINT;
// HF_TOKEN, else the file HF_TOKEN_PATH or $HF_HOME/token; CURL_CA_BUNDLE, else
// SSL_CERT_FILE; HF_HUB_OFFLINE.
struct Settings {
  std::filesystem::path cache;
  std::string endpoint = "https://huggingface.co";  // without a slash at its end
  std::string token;                                // "": ask as anyone
  std::string certificates;                         // a file of whom to trust; "": the system's
  bool offline = false;

  // Throws Error naming the variable.
  static Settings from_environment();
};

}  // namespace sambay::hub
