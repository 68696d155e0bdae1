// HTTP requests, one at a time on a connection that is kept.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace sambay::hub {

struct HttpOptions {
  std::string home;               // the token is for this URL's scheme, host and port only
  std::string token = {};         // "": none
  std::string certificates = {};  // a file of whom to trust; "": the system's
  std::chrono::milliseconds connect_timeout{20'000};
  std::chrono::seconds stall_timeout{30};  // without a byte
};

struct HttpAnswer {
  int status = 0;        // 0: there was none
  std::string fault;     // why the answer did not come, or not whole; "": it came whole
  bool reached = false;  // a connection could be made
  std::chrono::seconds retry_after{0};

  bool ok() const { return status >= 200 && status < 300 && fault.empty(); }
};

class HttpClient {
 public:
  // `cancelled` is asked often during a transfer; when it says so, the transfer ends with a fault.
  HttpClient(HttpOptions options, std::function<bool()> cancelled);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Gets bytes of the body and where in the whole body they stand. What it throws, get() throws.
  using Sink = std::function<void(int64_t offset, std::span<const std::byte> bytes)>;

  // The body from byte `from` on, if the server can do that, else from 0; through redirects. The
  // sink sees it for 200 and 206 only. Throws Error where no repetition would help: a URL or a
  // certificate that is wrong, redirects without end.
  HttpAnswer get(const std::string& url, int64_t from, const Sink& sink);
  // Redirects to another host are not followed: what the first host says of the file counts.
  HttpAnswer head(const std::string& url);

  // Of the last answer.
  std::optional<std::string> header(const char* name) const;

 private:
  struct Transfer;
  struct Curl;

  HttpAnswer follow(std::string url, Transfer& transfer);
  HttpAnswer perform(const std::string& url, Transfer& transfer);
  void set_options(const std::string& url, Transfer& transfer);
  static size_t on_body(char* data, size_t size, size_t count, void* transfer);

  HttpOptions options_;
  std::function<bool()> cancelled_;
  std::unique_ptr<Curl> curl_;
};

}  // namespace sambay::hub
