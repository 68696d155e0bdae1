#include "hub/settings.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/files.h"

namespace sambay::hub {
namespace {

namespace fs = std::filesystem;

// Empty where it is not set: the Hub's client does not tell the two apart either.
std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

fs::path home() {
  const std::string home = variable("HOME");
  if (home.empty()) {
    fail("HF_HOME", "not set, and neither is HOME: where shall models be kept?");
  }
  return home;
}

// A "~/" that no shell has expanded is expanded here.
fs::path path_of(const char* name, const auto& otherwise) {
  const std::string value = variable(name);
  if (value.empty()) {
    return otherwise();
  }
  return value.starts_with("~/") ? home() / value.substr(2) : fs::path(value);
}

fs::path hf_home() {
  return path_of("HF_HOME", [] {
    return path_of("XDG_CACHE_HOME", [] { return home() / ".cache"; }) / "huggingface";
  });
}

std::string trimmed(const std::string& text) {
  constexpr const char* blank = " \t\r\n";
  const auto first = text.find_first_not_of(blank);
  return first == text.npos ? "" : text.substr(first, text.find_last_not_of(blank) + 1 - first);
}

std::string find_token() {
  std::string token = trimmed(variable("HF_TOKEN"));
  std::string where = "HF_TOKEN";
  if (token.empty()) {
    const fs::path file = path_of("HF_TOKEN_PATH", [] { return hf_home() / "token"; });
    std::error_code ignored;
    if (fs::exists(file, ignored)) {
      token = trimmed(read_text(file));
      where = file.string();
    }
  }
  // It becomes a line of a request.
  if (std::ranges::any_of(token, [](char c) { return c <= ' ' || c > '~'; })) {
    fail(where, "not a token: it contains a blank or another character that no token has");
  }
  return token;
}

bool is_on(std::string value) {
  constexpr std::array<std::string_view, 4> yes = {"1", "ON", "YES", "TRUE"};
  std::ranges::transform(value, value.begin(), [](char c) {
    return static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  });
  return std::ranges::find(yes, value) != yes.end();
}

}  // namespace

Settings Settings::from_environment() {
  Settings settings;
  settings.cache = path_of("HF_HUB_CACHE", [] { return hf_home() / "hub"; });
  if (const std::string endpoint = variable("HF_ENDPOINT"); !endpoint.empty()) {
    settings.endpoint = endpoint.substr(0, endpoint.find_last_not_of('/') + 1);
    if (!settings.endpoint.starts_with("https://") && !settings.endpoint.starts_with("http://")) {
      fail("HF_ENDPOINT", "\"{}\": expected https://HOST", endpoint);
    }
  }
  settings.token = find_token();
  settings.certificates = variable("CURL_CA_BUNDLE");
  if (settings.certificates.empty()) {
    settings.certificates = variable("SSL_CERT_FILE");
  }
  settings.offline = is_on(variable("HF_HUB_OFFLINE"));
  return settings;
}

}  // namespace sambay::hub
