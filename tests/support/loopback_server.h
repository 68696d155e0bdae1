// An HTTP server on 127.0.0.1 for one test, which can also break its promises.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"

namespace sambay::testing {

struct Request {
  std::string method, target;                  // GET, /a/b?c=d
  std::map<std::string, std::string> headers;  // names in lower case

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

struct Reply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
  int64_t promised = -1;  // Content-Length; -1: the body's
  int64_t sent = -1;      // bytes of the body, then the connection is cut; -1: all
  bool hold = false;      // after `sent` bytes wait until the client goes away
};

class LoopbackServer {
 public:
  using Handler = std::function<Reply(const Request&)>;

  explicit LoopbackServer(Handler handler)
      : handler_(std::move(handler)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    check(::bind(listener_, any, size) == 0 && ::listen(listener_, 64) == 0 &&
              ::getsockname(listener_, any, &size) == 0,
          "a loopback port can be had");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~LoopbackServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    {
      const std::lock_guard lock(mutex_);
      for (const int connection : connections_) {
        ::shutdown(connection, SHUT_RDWR);
      }
    }
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  // Requests whose target contains `part`.
  std::vector<Request> requests(const std::string& part) const {
    std::vector<Request> found = requests();
    std::erase_if(found, [&](const Request& r) { return r.target.find(part) == r.target.npos; });
    return found;
  }

 private:
  void accept_all() {
    for (;;) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) {
        return;
      }
      const std::lock_guard lock(mutex_);
      connections_.push_back(connection);
      threads_.emplace_back([this, connection] {
        serve(connection);
        const std::lock_guard closing(mutex_);
        std::erase(connections_, connection);
        ::close(connection);
      });
    }
  }

  void serve(int connection) {
    std::string buffer;
    while (read_head(connection, buffer)) {
      const auto end = buffer.find("\r\n\r\n");
      const Request request = parse(buffer.substr(0, end + 2));
      buffer.erase(0, end + 4);
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
      }
      if (!answer(connection, request, handler_(request))) {
        return;
      }
    }
  }

  static bool read_head(int connection, std::string& buffer) {
    while (buffer.find("\r\n\r\n") == buffer.npos) {
      char bytes[4096];
      const ssize_t got = ::recv(connection, bytes, sizeof bytes, 0);
      if (got <= 0) {
        return false;
      }
      buffer.append(bytes, static_cast<size_t>(got));
    }
    return true;
  }

  static Request parse(const std::string& head) {
    Request request;
    const auto line = head.substr(0, head.find("\r\n"));
    request.method = line.substr(0, line.find(' '));
    request.target = line.substr(line.find(' ') + 1);
    request.target.resize(request.target.find(' '));
    for (size_t at = line.size() + 2; at < head.size();) {
      const auto end = head.find("\r\n", at);
      const auto colon = head.find(':', at);
      std::string name = head.substr(at, colon - at);
      std::ranges::transform(name, name.begin(),
                             [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      request.headers[name] = head.substr(colon + 2, end - colon - 2);
      at = end + 2;
    }
    return request;
  }

  // False: the connection is over.
  static bool answer(int connection, const Request& request, const Reply& reply) {
    const auto whole = static_cast<int64_t>(reply.body.size());
    std::string head = fmt::format("HTTP/1.1 {} x\r\nContent-Length: {}\r\n", reply.status,
                                   reply.promised < 0 ? whole : reply.promised);
    for (const auto& [name, value] : reply.headers) {
      head += name + ": " + value + "\r\n";
    }
    head += "\r\n";
    const bool cut = reply.sent >= 0 || (reply.promised >= 0 && reply.promised != whole);
    const auto body = reply.body.substr(
        0, request.method == "HEAD" ? 0 : static_cast<size_t>(reply.sent < 0 ? whole : reply.sent));
    if (!send_all(connection, head) || !send_all(connection, body)) {
      return false;
    }
    if (reply.hold) {
      char byte;
      ::recv(connection, &byte, 1, 0);  // returns when the client is gone
    }
    if (cut) {
      ::shutdown(connection, SHUT_RDWR);
    }
    return !cut;
  }

  static bool send_all(int connection, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t done = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (done <= 0) {
        return false;
      }
      bytes.remove_prefix(static_cast<size_t>(done));
    }
    return true;
  }

  Handler handler_;
  int listener_;
  int port_ = 0;
  std::thread acceptor_;
  mutable std::mutex mutex_;
  std::vector<std::thread> threads_;
  std::vector<int> connections_;
  std::vector<Request> requests_;
};

}  // namespace sambay::testing
