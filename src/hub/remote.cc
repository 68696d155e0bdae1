#include "hub/remote.h"

#include <charconv>
#include <utility>

#include "base/error.h"
#include "hub/digest.h"

namespace sambay::hub {
namespace {

// The hash in an ETag: W/"abc" -> abc. Empty if it is no hash of the content.
std::string digest_of(std::string tag) {
  if (tag.starts_with("W/")) {
    tag.erase(0, 2);
  }
  std::erase(tag, '"');
  return is_hex(tag, sha256_digits) || is_hex(tag, sha1_digits) ? tag : "";
}

// -1: not a number.
int64_t number_of(const std::string& text) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : -1;
}

}  // namespace

Remote::Remote(ModelName model, const Settings& settings, const RetryPolicy& policy,
               const std::function<bool()>& cancelled)
    : model_(std::move(model)),
      settings_(&settings),
      policy_(policy),
      cancelled_(cancelled),
      client_({.home = settings.endpoint,
               .token = settings.token,
               .certificates = settings.certificates},
              cancelled) {}

Listing Remote::listing() {
  constexpr size_t longest = size_t{16} << 20;
  const std::string where = model_.text();
  const std::string url =
      fmt::format("{}/api/models/{}/revision/{}?blobs=true", settings_->endpoint, model_.repo(),
                  url_encoded(model_.revision, false));
  Retries patience = retries(where);
  for (;;) {
    std::string json;
    const HttpAnswer answer = client_.get(url, 0, [&](int64_t, std::span<const std::byte> bytes) {
      if (json.size() + bytes.size() > longest) {
        fail(where, "{}: its list of files has over {} bytes", settings_->endpoint, longest);
      }
      json.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    });
    if (answer.ok()) {
      return parse_listing(json, where);
    }
    if (!answer.reached) {
      fail(where, "{}: {}", settings_->endpoint, answer.fault);  // no network: said at once
    }
    patience.wait(answer, client_);
  }
}

void Remote::complete(RemoteFile& file, const std::string& commit) {
  Retries patience = retries(file.name);
  for (;;) {
    const HttpAnswer answer = client_.head(url(file, commit));
    if (answer.fault.empty() && answer.status >= 200 && answer.status < 400) {
      break;
    }
    patience.wait(answer, client_);
  }
  const auto first_of = [&](const char* linked, const char* plain) {
    const auto value = client_.header(linked);
    return value ? *value : client_.header(plain).value_or("");
  };
  if (const auto said = client_.header("x-repo-commit"); said && *said != commit) {
    fail(file.name, "the server answers for commit \"{}\", expected {}", said->substr(0, 80),
         commit);
  }
  file.digest = digest_of(first_of("x-linked-etag", "etag"));
  file.size = number_of(first_of("x-linked-size", "content-length"));
  if (file.digest.empty() || file.size < 0 || file.size > max_file_bytes) {
    fail(file.name, "{} names no size and hash to verify it by", settings_->endpoint);
  }
}

HttpAnswer Remote::get(const RemoteFile& file, const std::string& commit, int64_t from,
                       const HttpClient::Sink& sink) {
  return client_.get(url(file, commit), from, sink);
}

Retries Remote::retries(const std::string& where) const {
  return {*settings_, policy_, cancelled_, where};
}

std::string Remote::url(const RemoteFile& file, const std::string& commit) const {
  return fmt::format("{}/{}/resolve/{}/{}", settings_->endpoint, model_.repo(), commit,
                     url_encoded(file.name, true));
}

}  // namespace sambay::hub
