// Asking again, and what a refusal means.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "hub/http.h"
#include "hub/settings.h"

namespace sambay::hub {

struct RetryPolicy {
  int attempts = 6;                                        // without a byte of progress in between
  std::chrono::milliseconds first{1000}, longest{30'000};  // each wait is twice the one before
  std::chrono::seconds longest_asked{300};                 // what Retry-After may ask for
};

// The patience for one file or question.
class Retries {
 public:
  // `where` is what errors name. `cancelled` ends a wait.
  Retries(const Settings& settings, const RetryPolicy& policy, std::function<bool()> cancelled,
          std::string where);

  // Waits before the next attempt, `client` having got `answer`. Throws Error if there is none: the
  // fault does not pass by itself, this was the last attempt, the server asks for too long a wait,
  // or somebody cancelled.
  void wait(const HttpAnswer& answer, const HttpClient& client);
  void progressed() { failures_ = 0; }

 private:
  [[noreturn]] void refuse(const HttpAnswer& answer, const HttpClient& client) const;

  const Settings* settings_;
  RetryPolicy policy_;
  std::function<bool()> cancelled_;
  std::string where_;
  int failures_ = 0;
};

[[noreturn]] void fail_stopped(const std::string& where);

}  // namespace sambay::hub
