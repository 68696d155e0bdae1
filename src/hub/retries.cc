#include "hub/retries.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace sambay::hub {
namespace {

using Milliseconds = std::chrono::milliseconds;

bool is_passing(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

std::string cause_of(const HttpAnswer& answer) {
  return answer.fault.empty() ? fmt::format("status {}", answer.status) : answer.fault;
}

// The Hub's own words where it has some; they end the line.
std::string words_of(const HttpClient& client) {
  constexpr size_t longest = 200;
  const auto words = client.header("x-error-message");
  return words ? fmt::format(" (\"{}\")", words->substr(0, longest)) : "";
}

}  // namespace

void fail_stopped(const std::string& where) {
  fail(where, "stopped: what has arrived is kept, and the same command goes on from there");
}

Retries::Retries(const Settings& settings, const RetryPolicy& policy,
                 std::function<bool()> cancelled, std::string where)
    : settings_(&settings),
      policy_(policy),
      cancelled_(std::move(cancelled)),
      where_(std::move(where)) {}

void Retries::refuse(const HttpAnswer& answer, const HttpClient& client) const {
  std::string_view reason;
  if (answer.status == 401) {
    reason = settings_->token.empty()
                 ? ": not there, or only for those who say who they are: set HF_TOKEN"
                 : ": the token is not accepted";
  } else if (answer.status == 403) {
    reason = ": this account may not read it: ask for access on the model's page";
  } else if (answer.status == 404) {
    reason = ": no such model, revision or file";
  }
  fail(where_, "{}: status {}{}{}", settings_->endpoint, answer.status, reason, words_of(client));
}

void Retries::wait(const HttpAnswer& answer, const HttpClient& client) {
  if (cancelled_()) {
    fail_stopped(where_);
  }
  if (answer.fault.empty() && !is_passing(answer.status)) {
    refuse(answer, client);
  }
  const std::string cause = cause_of(answer);
  if (++failures_ >= policy_.attempts) {
    fail(where_, "{}: {}; tried {} times", settings_->endpoint, cause, failures_);
  }
  if (answer.retry_after > policy_.longest_asked) {
    fail(where_, "{}: {}, and to come back in {} s", settings_->endpoint, cause,
         answer.retry_after.count());
  }
  const int doublings = std::min(failures_ - 1, 20);
  const auto delay = std::max<Milliseconds>(
      std::min<Milliseconds>(policy_.first * (1 << doublings), policy_.longest),
      answer.retry_after);
  log().warn("{}: {}; trying again in {:.1f} s", where_, cause,
             std::chrono::duration<double>(delay).count());
  const auto end = std::chrono::steady_clock::now() + delay;
  while (std::chrono::steady_clock::now() < end) {
    if (cancelled_()) {
      fail_stopped(where_);
    }
    std::this_thread::sleep_for(std::min(delay, Milliseconds(50)));
  }
}

}  // namespace sambay::hub
