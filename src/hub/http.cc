#include "hub/http.h"

#include <curl/curl.h>

#include <array>
#include <charconv>
#include <exception>
#include <string_view>

#include "base/error.h"

namespace sambay::hub {
namespace {

constexpr int max_redirects = 10;
constexpr int partial_content = 206;
constexpr int64_t max_refusal_bytes = int64_t{1} << 20;

template <auto Free>
struct FreeWith {
  void operator()(auto* pointer) const { Free(pointer); }
};
using CurlHandle = std::unique_ptr<CURL, FreeWith<curl_easy_cleanup>>;
using HeaderList = std::unique_ptr<curl_slist, FreeWith<curl_slist_free_all>>;
using UrlHandle = std::unique_ptr<CURLU, FreeWith<curl_url_cleanup>>;
using CurlString = std::unique_ptr<char, FreeWith<curl_free>>;

// "scheme://host:port", or "" if `url` is none.
std::string origin_of(const std::string& url) {
  const UrlHandle handle(curl_url());
  if (curl_url_set(handle.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    return "";
  }
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    curl_url_get(handle.get(), which, &text, CURLU_DEFAULT_PORT);
    const CurlString owned(text);
    return std::string(text == nullptr ? "" : text);
  };
  return fmt::format("{}://{}:{}", part(CURLUPART_SCHEME), part(CURLUPART_HOST),
                     part(CURLUPART_PORT));
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// What another try may mend.
bool is_passing(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

// Where the body of a 206 begins: "bytes 100-199/200" -> 100; -1 if it does not say.
int64_t range_begin(const std::optional<std::string>& content_range) {
  constexpr std::string_view unit = "bytes ";
  if (!content_range || !content_range->starts_with(unit)) {
    return -1;
  }
  int64_t begin = -1;
  const char* end = content_range->data() + content_range->size();
  const auto [stop, error] = std::from_chars(content_range->data() + unit.size(), end, begin);
  return error == std::errc() && stop != end && *stop == '-' ? begin : -1;
}

void start_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  check(code == CURLE_OK, "libcurl starts");
}

}  // namespace

struct HttpClient::Curl {
  CurlHandle handle;
  HeaderList request_headers;
  std::array<char, CURL_ERROR_SIZE> message{};
};

struct HttpClient::Transfer {
  const HttpClient* client;
  bool head = false;
  int64_t from = 0;
  const Sink* sink = nullptr;
  int64_t offset = -1;        // in the whole body, of the bytes that come next; -1: none came
  int64_t refusal_bytes = 0;  // of a body that is no file's
  std::exception_ptr thrown = nullptr;
};

HttpClient::HttpClient(HttpOptions options, std::function<bool()> cancelled)
    : options_(std::move(options)), cancelled_(std::move(cancelled)) {
  start_curl();
  curl_ = std::make_unique<Curl>();
  curl_->handle.reset(curl_easy_init());
  check(curl_->handle != nullptr, "libcurl gives a handle");
}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::get(const std::string& url, int64_t from, const Sink& sink) {
  Transfer transfer{.client = this, .from = from, .sink = &sink};
  return follow(url, transfer);
}

HttpAnswer HttpClient::head(const std::string& url) {
  Transfer transfer{.client = this, .head = true};
  return follow(url, transfer);
}

std::optional<std::string> HttpClient::header(const char* name) const {
  curl_header* found = nullptr;
  if (curl_easy_header(curl_->handle.get(), name, 0, CURLH_HEADER, -1, &found) != CURLHE_OK) {
    return std::nullopt;
  }
  return found->value;
}

// By hand and not by libcurl, so that the token's rule stands in one line of ours.
HttpAnswer HttpClient::follow(std::string url, Transfer& transfer) {
  const std::string asked = url;
  for (int hop = 0; hop <= max_redirects; ++hop) {
    HttpAnswer answer = perform(url, transfer);
    if (!is_redirect(answer.status)) {
      return answer;
    }
    char* target = nullptr;
    curl_easy_getinfo(curl_->handle.get(), CURLINFO_REDIRECT_URL, &target);
    if (target == nullptr) {
      fail(asked, "status {} without a place to go to", answer.status);
    }
    if (transfer.head && origin_of(target) != origin_of(url)) {
      return answer;
    }
    url = target;
  }
  fail(asked, "more than {} redirects", max_redirects);
}

HttpAnswer HttpClient::perform(const std::string& url, Transfer& transfer) {
  set_options(url, transfer);
  CURL* handle = curl_->handle.get();
  const CURLcode code = curl_easy_perform(handle);
  if (transfer.thrown) {
    std::rethrow_exception(transfer.thrown);
  }
  HttpAnswer answer;
  long status = 0;
  curl_off_t seconds = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(handle, CURLINFO_RETRY_AFTER, &seconds);
  answer.status = static_cast<int>(status);
  answer.retry_after = std::chrono::seconds(seconds);
  answer.reached =
      status != 0 || (code != CURLE_COULDNT_CONNECT && code != CURLE_COULDNT_RESOLVE_HOST &&
                      code != CURLE_COULDNT_RESOLVE_PROXY);
  if (code != CURLE_OK) {
    const char* message =
        curl_->message[0] != '\0' ? curl_->message.data() : curl_easy_strerror(code);
    if (!is_passing(code) && code != CURLE_ABORTED_BY_CALLBACK) {
      fail(origin_of(url), "{}", message);
    }
    answer.fault = message;
  }
  return answer;
}

void HttpClient::set_options(const std::string& url, Transfer& transfer) {
  CURL* handle = curl_->handle.get();
  curl_easy_reset(handle);  // keeps the connections
  curl_->message[0] = '\0';
  const bool at_home = origin_of(url) == origin_of(options_.home);
  // Ranges count bytes of the file, so nothing may be compressed on the way.
  curl_slist* headers = curl_slist_append(nullptr, "Accept-Encoding: identity");
  if (at_home && !options_.token.empty()) {
    headers = curl_slist_append(headers, ("Authorization: Bearer " + options_.token).c_str());
  }
  curl_->request_headers.reset(headers);
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "sambay");
  // Nobody is led from https to http.
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR,
                   options_.home.starts_with("https:") ? "https" : "http,https");
  if (!options_.certificates.empty()) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, options_.certificates.c_str());
  }
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_NOBODY, transfer.head ? 1L : 0L);
  const std::string range = fmt::format("{}-", transfer.from);
  curl_easy_setopt(handle, CURLOPT_RANGE, transfer.from > 0 ? range.c_str() : nullptr);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options_.connect_timeout.count()));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                   static_cast<long>(options_.stall_timeout.count()));
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, curl_->message.data());
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &HttpClient::on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &cancelled_);
  curl_easy_setopt(
      handle, CURLOPT_XFERINFOFUNCTION,
      +[](void* cancelled, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
        return (*static_cast<std::function<bool()>*>(cancelled))() ? 1 : 0;
      });
}

size_t HttpClient::on_body(char* data, size_t size, size_t count, void* pointer) {
  Transfer& transfer = *static_cast<Transfer*>(pointer);
  const size_t bytes = size * count;
  long status = 0;
  curl_easy_getinfo(transfer.client->curl_->handle.get(), CURLINFO_RESPONSE_CODE, &status);
  try {
    if (status != 200 && status != partial_content) {
      transfer.refusal_bytes += static_cast<int64_t>(bytes);
      if (transfer.refusal_bytes > max_refusal_bytes) {
        fail(transfer.client->options_.home, "status {} with a text without end", status);
      }
      return bytes;
    }
    if (transfer.offset < 0) {
      transfer.offset =
          status == partial_content ? range_begin(transfer.client->header("content-range")) : 0;
      if (transfer.offset < 0) {
        fail(transfer.client->options_.home, "sent a part of a file without saying which");
      }
    }
    (*transfer.sink)(transfer.offset, std::as_bytes(std::span(data, bytes)));
    transfer.offset += static_cast<int64_t>(bytes);
    return bytes;
  } catch (...) {
    transfer.thrown = std::current_exception();  // not through C
    return 0;
  }
}

}  // namespace sambay::hub
