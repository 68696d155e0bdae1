#include "hub/http.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "support/environment.h"
#include "support/fault.h"
#include "support/loopback_server.h"

namespace sambay::hub {
namespace {

using testing::fault;
using ::testing::HasSubstr;
using testing::LoopbackServer;
using testing::Reply;
using testing::Request;

struct Body {
  std::string text;
  int64_t offset = -1;  // of its first byte

  HttpClient::Sink sink() {
    return [this](int64_t at, std::span<const std::byte> bytes) {
      offset = offset < 0 ? at : offset;
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
  }
};

class HubHttp : public ::testing::Test {
 protected:
  HttpClient client(const std::string& home, const std::string& token = "") {
    return {{.home = home, .token = token, .stall_timeout = std::chrono::seconds(1)},
            [this] { return cancelled_; }};
  }

  const testing::Environment environment_{};
  bool cancelled_ = false;
};

TEST_F(HubHttp, AnAnswerHasAStatusHeadersAndABody) {
  const LoopbackServer server([](const Request& request) {
    return Reply{.status = request.target == "/there" ? 200 : 404,
                 .headers = {{"X-Some", "thing"}},
                 .body = "text"};
  });
  HttpClient http = client(server.url());
  Body body;
  const HttpAnswer there = http.get(server.url() + "/there", 0, body.sink());
  EXPECT_TRUE(there.ok());
  EXPECT_TRUE(there.reached);
  EXPECT_EQ(there.status, 200);
  EXPECT_EQ(body.text, "text");
  EXPECT_EQ(body.offset, 0);
  EXPECT_EQ(http.header("x-some"), "thing");
  EXPECT_FALSE(http.header("x-other"));
  Body none;
  const HttpAnswer missing = http.get(server.url() + "/missing", 0, none.sink());
  EXPECT_EQ(missing.status, 404);
  EXPECT_FALSE(missing.ok());
  EXPECT_EQ(missing.fault, "");
  EXPECT_EQ(none.text, "");  // a refusal's text is no file's
}

TEST_F(HubHttp, APartSaysWhereItBegins) {
  const LoopbackServer server([](const Request& request) {
    EXPECT_EQ(request.header("range"), "bytes=7-");
    EXPECT_EQ(request.header("accept-encoding"), "identity");
    Reply reply{.status = 206, .body = "part"};
    if (request.target == "/good") {
      reply.headers = {{"Content-Range", "bytes 7-10/11"}};
    } else if (request.target == "/bad") {
      reply.headers = {{"Content-Range", "bytes */11"}};
    }
    return reply;
  });
  HttpClient http = client(server.url());
  Body body;
  EXPECT_TRUE(http.get(server.url() + "/good", 7, body.sink()).ok());
  EXPECT_EQ(body.offset, 7);
  for (const char* path : {"/bad", "/silent"}) {
    EXPECT_THROW(http.get(server.url() + path, 7, body.sink()), Error);
  }
}

TEST_F(HubHttp, TheTokenGoesHomeOnlyAndComesBackThere) {
  std::string home;
  const LoopbackServer other([&](const Request&) {
    return Reply{.status = 302, .headers = {{"Location", home + "/end"}}};
  });
  const LoopbackServer server([&](const Request& request) {
    return request.target == "/end"
               ? Reply{.body = "end"}
               : Reply{.status = 302, .headers = {{"Location", other.url() + "/away"}}};
  });
  home = server.url();
  Body body;
  EXPECT_TRUE(client(home, "secret").get(home + "/begin", 0, body.sink()).ok());
  EXPECT_EQ(body.text, "end");
  ASSERT_EQ(other.requests().size(), 1U);  // the same host, another port
  EXPECT_EQ(other.requests()[0].header("authorization"), "");
  ASSERT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(server.requests()[0].header("authorization"), "Bearer secret");
  EXPECT_EQ(server.requests()[1].header("authorization"), "Bearer secret");
}

TEST_F(HubHttp, HeadFollowsNoRedirectToAnotherHost) {
  const LoopbackServer other([](const Request&) { return Reply{}; });
  const LoopbackServer server([&](const Request& request) {
    return Reply{
        .status = 302,
        .headers = {{"Location", request.target == "/old" ? "/new" : other.url() + "/away"},
                    {"X-Path", request.target}}};
  });
  HttpClient http = client(server.url());
  EXPECT_EQ(http.head(server.url() + "/old").status, 302);
  EXPECT_EQ(http.header("x-path"), "/new");
  EXPECT_TRUE(other.requests().empty());
}

TEST_F(HubHttp, WhatTheSinkThrowsComesOut) {
  const LoopbackServer server([](const Request&) { return Reply{.body = "text"}; });
  HttpClient http = client(server.url());
  const auto full = [](int64_t, std::span<const std::byte>) { fail("disk", "full"); };
  EXPECT_EQ(fault([&] { http.get(server.url(), 0, full); }), "[disk] full");
  Body body;
  EXPECT_TRUE(http.get(server.url(), 0, body.sink()).ok());  // and the client goes on
}

TEST_F(HubHttp, ASilentServerIsAFaultThatMayPass) {
  const LoopbackServer server(
      [](const Request&) { return Reply{.body = "text", .sent = 2, .hold = true}; });
  Body body;
  const HttpAnswer answer = client(server.url()).get(server.url(), 0, body.sink());
  EXPECT_NE(answer.fault, "");
  EXPECT_TRUE(answer.reached);
  EXPECT_EQ(body.text, "te");
}

TEST_F(HubHttp, ARefusalWithoutEndIsCutOff) {
  const LoopbackServer server(
      [](const Request&) { return Reply{.status = 500, .body = std::string(3 << 20, 'x')}; });
  Body body;
  EXPECT_THROW(client(server.url()).get(server.url(), 0, body.sink()), Error);
}

TEST_F(HubHttp, ACancelledTransferEnds) {
  const LoopbackServer server([](const Request&) {
    return Reply{.body = std::string(1 << 20, 'x'), .sent = 1 << 19, .hold = true};
  });
  HttpClient http = client(server.url());
  const HttpAnswer answer =
      http.get(server.url(), 0, [&](int64_t, std::span<const std::byte>) { cancelled_ = true; });
  EXPECT_NE(answer.fault, "");
  EXPECT_FALSE(answer.ok());
}

}  // namespace
}  // namespace sambay::hub
