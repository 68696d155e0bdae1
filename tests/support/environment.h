// Environment variables for one test; the old ones come back after it.
#pragma once

#include <stdlib.h>

#include <initializer_list>
#include <map>
#include <optional>
#include <string>

namespace sambay::testing {

struct Variable {
  const char* name;
  std::string value;
};

// Unsets every variable that hub::Settings and libcurl read, and then sets these.
class Environment {
 public:
  Environment(std::initializer_list<Variable> values) {
    for (const char* name : {"HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT",
                             "HF_TOKEN", "HF_TOKEN_PATH", "HF_HUB_OFFLINE", "CURL_CA_BUNDLE",
                             "SSL_CERT_FILE", "http_proxy", "all_proxy", "ALL_PROXY"}) {
      const char* value = getenv(name);
      before_[name] = value == nullptr ? std::nullopt : std::optional<std::string>(value);
      unsetenv(name);
    }
    for (const auto& [name, value] : values) {
      setenv(name, value.c_str(), 1);
    }
  }
  ~Environment() {
    for (const auto& [name, value] : before_) {
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

}  // namespace sambay::testing
