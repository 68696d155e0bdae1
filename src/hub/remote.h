// A repository on the Hub.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "hub/http.h"
#include "hub/listing.h"
#include "hub/names.h"
#include "hub/retries.h"
#include "hub/settings.h"

namespace sambay::hub {

// One thread's connection to it. Calls throw Error: refusals, and faults that did not pass.
class Remote {
 public:
  // `settings` outlives this. `cancelled` ends transfers and waits.
  Remote(ModelName model, const Settings& settings, const RetryPolicy& policy,
         const std::function<bool()>& cancelled);

  // The commit that the revision means now, and its files.
  Listing listing();
  // Asks for a file's size and digest, where the list did not say them.
  void complete(RemoteFile& file, const std::string& commit);
  // As HttpClient::get; the caller tries again.
  HttpAnswer get(const RemoteFile& file, const std::string& commit, int64_t from,
                 const HttpClient::Sink& sink);
  Retries retries(const std::string& where) const;
  const HttpClient& client() const { return client_; }
  bool cancelled() const { return cancelled_(); }

 private:
  std::string url(const RemoteFile& file, const std::string& commit) const;

  ModelName model_;
  const Settings* settings_;
  RetryPolicy policy_;
  std::function<bool()> cancelled_;
  HttpClient client_;
};

}  // namespace sambay::hub
