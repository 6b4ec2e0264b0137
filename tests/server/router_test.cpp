// The answers to HTTP requests, with CORS like the server of the article.
#include "server/http/router.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "protocol/http/http_message.h"
#include "server/session/endpoint.h"

namespace ws {
namespace {

class Silent final : public Endpoint {
 public:
  void message(Session&, Opcode, std::span<std::byte>) override {}
};

constexpr std::string_view kVary =
    "Vary: Origin\r\n"
    "Vary: Access-Control-Request-Method\r\n"
    "Vary: Access-Control-Request-Headers\r\n";

class RouterTest : public testing::Test {
 protected:
  RouterTest() { router.add("/echo", endpoint); }

  static Answer ask(const Router& router, const std::string& request, bool is_available = true) {
    HttpRequest parsed;
    EXPECT_EQ(parsed.parse(request, Limits{}), HttpHead::Status::kComplete) << request;
    return router.answer(parsed, is_available);
  }
  Answer ask(const std::string& request) { return ask(router, request); }
  /// A request for `target` with `fields` besides Host.
  static std::string request(std::string_view method, std::string_view target,
                             std::string_view fields = "") {
    return std::string(method) + " " + std::string(target) +
           " HTTP/1.1\r\nHost: localhost:8080\r\n" + std::string(fields) + "\r\n";
  }
  static std::string upgrade(std::string_view fields = "") {
    return request("GET", "/echo",
                   "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                       std::string(fields));
  }
  Silent endpoint;
  Router router{{}, {}};
  Router strict{{"https://good.example", "http://other.example:81"}, {}};
};

TEST_F(RouterTest, AnswersTheRequestOfTheArticleWith218Bytes) {
  const Answer answer =
      ask("GET /echo HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
          "dGhlIHNhbXBsZSBub25jZQ==\r\n"
          "Connection: Upgrade\r\nUpgrade: websocket\r\n"
          "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
          "Host: localhost:8080\r\n\r\n");
  ASSERT_EQ(answer.status, 101);
  ASSERT_NE(answer.route, nullptr);
  EXPECT_EQ(answer.route->endpoint, &endpoint);
  Output out;
  write_switching_protocols(answer.upgrade, answer.fields, out);
  std::string text;
  out.for_each_piece([&](std::span<const std::byte> piece) {
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  EXPECT_EQ(text, "HTTP/1.1 101 Switching Protocols\r\n" + std::string(kVary) +
                      "upgrade: websocket\r\nconnection: upgrade\r\n"
                      "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  EXPECT_EQ(text.size(), 218U);
}

TEST_F(RouterTest, ChoosesTheStatusOfAnswersThatAreNot101) {
  // [6455-4.2.2-RESOURCE] 404; [6455-4.4-VERSIONS] 426, with the supported version
  struct Row {
    std::string request;
    int status;
    std::string_view field;  // a field line of the answer
  };
  const std::vector<Row> rows = {
      {request("GET", "/nope"), 404, ""},
      {request("GET", "/echo/"), 404, ""},
      {request("GET", "/ECHO"), 404, ""},
      {request("POST", "/nope"), 404, ""},
      {request("GET", "/echo"), 426, "Upgrade: websocket\r\n"},
      {request("GET", "/echo?x=1"), 426, "Sec-WebSocket-Version: 13\r\n"},
      {request("GET", "http://localhost:8080/echo"), 426, "Upgrade: websocket\r\n"},
      {request("POST", "/echo"), 405, "Allow: GET, OPTIONS\r\n"},
      {request("HEAD", "/echo"), 405, "Allow: GET, OPTIONS\r\n"},
      {request("BREW", "/echo"), 405, "Allow: GET, OPTIONS\r\n"},
      {request("OPTIONS", "/echo"), 200, "Allow: GET, OPTIONS\r\n"},
      {request("GET", "/"), 200, "Content-Security-Policy: "},
      {request("GET", "/healthz"), 200, "Cache-Control: no-store\r\n"},
      {request("POST", "/healthz"), 405, "Allow: GET, HEAD, OPTIONS\r\n"},
      {request("DELETE", "/"), 405, "Allow: GET, HEAD, OPTIONS\r\n"},
      {request("OPTIONS", "/nope"), 404, ""},
      {"OPTIONS / HTTP/1.0\r\n\r\n", 200, "Allow: GET, HEAD, OPTIONS\r\n"},
      {request("GET", "/%65cho"), 426, "Upgrade: websocket\r\n"},
      {request("GET", "/%65%63%68%6F?%"), 426, "Upgrade: websocket\r\n"},
      {request("GET", "/%68%65%61lthz"), 200, "Cache-Control: no-store\r\n"},
      {request("GET", "http://a/%2Fecho"), 404, ""},
      {request("GET", "/%45cho"), 404, ""},
      {request("GET", "/echo%2F"), 404, ""},
      {request("GET", "/echo%3Fx"), 404, ""},
      {request("GET", "/%2565cho"), 404, ""},
      {request("GET", "/echo",
               "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"),
       426, "Sec-WebSocket-Version: 13\r\n"},
      {request("GET", "/echo",
               "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"),
       400, ""},
  };
  for (const Row& row : rows) {
    const Answer answer = ask(row.request);
    EXPECT_EQ(answer.status, row.status) << row.request;
    EXPECT_EQ(answer.route, nullptr) << row.request;
    EXPECT_NE(answer.fields.find(row.field), std::string::npos) << row.request << answer.fields;
    if (row.status >= 400) {
      EXPECT_GT(answer.body.size(), 10U) << row.request;
    }
  }
}

// [9110-9.3.7-OPTIONS] [9112-3.2.4-ASTERISK] "OPTIONS / HTTP/1.0" is the default check of haproxy.
TEST_F(RouterTest, AnswersOptionsOfTheServerAndOfItsPagesWithoutABody) {
  for (const auto& asked :
       {request("OPTIONS", "*"), request("OPTIONS", "/healthz"), request("OPTIONS", "/"),
        request("OPTIONS", "/page.js"), std::string("OPTIONS * HTTP/1.0\r\n\r\n"),
        std::string("OPTIONS /healthz HTTP/1.0\r\n\r\n"), std::string("OPTIONS / HTTP/1.0\r\n\r\n"),
        std::string("OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n"),
        request("OPTIONS", "*", "Origin: http://a b\r\nAccess-Control-Request-Method: GET\r\n")}) {
    const Answer answer = ask(asked);
    EXPECT_EQ(answer.status, 200) << asked;
    EXPECT_EQ(answer.fields, "Allow: GET, HEAD, OPTIONS\r\n") << asked;
    EXPECT_EQ(answer.body, "") << asked;
  }
}

// [6455-4.2.2-RESOURCE]
TEST_F(RouterTest, AnswersAnUpgradeOfAPageWithThePathsOfTheEndpoints) {
  for (const std::string_view path : {"/", "/page.js", "/healthz", "/?x", "/%68ealthz"}) {
    const std::string fields = "Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n";
    const Answer answer = ask(request("GET", path, fields));
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_NE(answer.body.find("/echo"), std::string::npos) << answer.body;
    EXPECT_NE(answer.body.find("/chat"), std::string::npos) << answer.body;
    EXPECT_EQ(answer.fields, "") << path;
  }
  // These are not upgrades to WebSocket. The first is what curl sends with --http2.
  for (const std::string_view fields : {"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n",
                                        "Upgrade: websocket\r\n", "Connection: Upgrade\r\n"})
    EXPECT_EQ(ask(request("GET", "/", fields)).status, 200) << fields;
  EXPECT_EQ(ask(request("HEAD", "/", "Upgrade: websocket\r\nConnection: Upgrade\r\n")).status, 200);
  EXPECT_EQ(ask("GET / HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").status, 200);
}

// [3986-6.2.2.2-UNRESERVED]
TEST_F(RouterTest, UpgradesAPathWithEncodedUnreservedCharacters) {
  std::string asked = upgrade();
  asked.replace(asked.find("/echo"), 5, "/%65c%68o?x=%");
  const Answer answer = ask(asked);
  ASSERT_EQ(answer.status, 101);
  EXPECT_EQ(answer.route->path, "/echo");
}

TEST_F(RouterTest, AnswersEveryRequestWith503WhileStopping) {
  for (const std::string_view path : {"/echo", "/", "/healthz", "/nope"}) {
    EXPECT_EQ(ask(router, request("GET", path), false).status, 503) << path;
  }
  EXPECT_EQ(ask(router, upgrade(), false).status, 503);
}

TEST_F(RouterTest, SendsTheThreeVaryFieldsOnlyForPathsOfRoutes) {
  for (const auto& mapped :
       {upgrade(), upgrade("Origin: http://a.example\r\n"), request("GET", "/echo"),
        request("POST", "/echo"), request("OPTIONS", "/echo"),
        request("GET", "/echo", "Origin: http://a b\r\n"),
        request("OPTIONS", "/echo",
                "Origin: http://a.example\r\nAccess-Control-Request-Method: GET\r\n")}) {
    EXPECT_TRUE(ask(mapped).fields.starts_with(kVary)) << mapped;
  }
  for (const std::string_view path : {"/", "/healthz", "/nope"}) {
    EXPECT_EQ(ask(request("GET", path)).fields.find("Vary"), std::string::npos) << path;
  }
}

TEST_F(RouterTest, CrossOriginRequestsAreAllowedByDefault) {
  constexpr std::string_view kAll = "Access-Control-Allow-Origin: *\r\n";
  EXPECT_EQ(ask(upgrade("Origin: http://evil.example\r\n")).fields,
            std::string(kVary) + std::string(kAll));
  EXPECT_EQ(ask(upgrade("Origin: null\r\n")).fields, std::string(kVary) + std::string(kAll));
  EXPECT_EQ(ask(upgrade("Origin: http://localhost:8081\r\n")).fields,
            std::string(kVary) + std::string(kAll));
  EXPECT_EQ(ask(upgrade("Origin: https://localhost:8080\r\n")).fields,
            std::string(kVary) + std::string(kAll));
  // The server's own pages are not cross-origin; the case of letters does not matter.
  EXPECT_EQ(ask(upgrade("Origin: http://localhost:8080\r\n")).fields, kVary);
  EXPECT_EQ(ask(upgrade("Origin: HTTP://LocalHost:8080\r\n")).fields, kVary);
  EXPECT_EQ(ask(upgrade()).fields, kVary);
  EXPECT_EQ(
      ask("GET /echo HTTP/1.1\r\nHost: example.org\r\nOrigin: http://example.org\r\n\r\n").fields,
      std::string(kVary) + "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
  // Without a port, the default port is compared.
  EXPECT_EQ(
      ask("GET /echo HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:80\r\n\r\n").fields,
      std::string(kVary) + "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
}

// The table of docs/10-security.md, with and without an allow-list.
TEST_F(RouterTest, AnswersUnusualOriginsLikeSpring) {
  strict.add("/echo", endpoint);
  Router listed{{"null", "file://", "app://."}, {}};
  listed.add("/echo", endpoint);
  constexpr std::string_view kAll = "Access-Control-Allow-Origin: *\r\n";
  // The answer without a list is 101 with "*", the answer to an origin that is not in a list is 403.
  for (const std::string_view origin : {"null",
                                        "file://",
                                        "file:///",
                                        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
                                        "app://.",
                                        "capacitor://localhost",
                                        "nonsense",
                                        "localhost:3000",
                                        "*",
                                        "http://",
                                        "http:a",
                                        "//a",
                                        "://x",
                                        "http://a/path",
                                        "http://a?b",
                                        "http://a#b",
                                        "http://u@a",
                                        "http://u@good.example",
                                        "https://good.example/path",
                                        "http://x:65536",
                                        "http://x:99999999999",
                                        "http://localhost:99999999999",
                                        "http://a:",
                                        "http://[::1",
                                        "about:blank"}) {
    const std::string asked = upgrade("Origin: " + std::string(origin) + "\r\n");
    const Answer answer = ask(asked);
    EXPECT_EQ(answer.status, 101) << origin;
    EXPECT_EQ(answer.fields, std::string(kVary) + std::string(kAll)) << origin;
    EXPECT_EQ(ask(strict, asked).status, 403) << origin;
    const bool is_listed = origin == "null" || origin.starts_with("file") || origin == "app://.";
    EXPECT_EQ(ask(listed, asked).status, is_listed ? 101 : 403) << origin;
  }
  // The own origin, which is not cross-origin. A list admits it only in the form that browsers send.
  for (const std::string_view origin :
       {"http://u@localhost:8080", "http://localhost:8080/x", "http://localhost:8080?x"}) {
    const std::string asked = upgrade("Origin: " + std::string(origin) + "\r\n");
    EXPECT_EQ(ask(asked).status, 101) << origin;
    EXPECT_EQ(ask(asked).fields, kVary) << origin;
    EXPECT_EQ(ask(strict, asked).status, 403) << origin;
  }
  // Spring removes one '/' before it compares.
  EXPECT_EQ(ask(strict, upgrade("Origin: https://good.example/\r\n")).status, 101);
}

TEST_F(RouterTest, RefusesTheOriginsThatSpringRefuses) {
  strict.add("/echo", endpoint);
  for (const std::string_view origin :
       {"", "**", "http://a b", "http://a, http://b", "http://a http://b", "http://\xe9",
        "http://a:x", "http://x:1x", "http://a:80:80", "http://[zz]", "http://[::1]x",
        "http://[fe80::1%25eth0]", "http://a%4", "http://a/%zz", "%zz"}) {
    const std::string asked = upgrade("Origin: " + std::string(origin) + "\r\n");
    EXPECT_EQ(ask(asked).status, 403) << origin;
    EXPECT_EQ(ask(asked).fields, kVary) << origin;
    EXPECT_EQ(ask(strict, asked).status, 403) << origin;
  }
}

// Spring reads the first of several fields. With a list, two fields are refused.
TEST_F(RouterTest, ReadsTheFirstOfSeveralOriginFieldsWithoutAnAllowList) {
  strict.add("/echo", endpoint);
  EXPECT_EQ(ask(upgrade("Origin: http://a\r\nOrigin: http://b c\r\n")).status, 101);
  EXPECT_EQ(ask(upgrade("Origin: http://b c\r\nOrigin: http://a\r\n")).status, 403);
  EXPECT_EQ(ask(strict, upgrade("Origin: https://good.example\r\nOrigin: https://good.example\r\n"))
                .status,
            403);
}

TEST_F(RouterTest, AnswersPreflightRequestsLikeTheServerOfTheArticle) {
  const Answer answer =
      ask(request("OPTIONS", "/echo",
                  "Origin: http://a.example\r\nAccess-Control-Request-Method: POST\r\n"
                  "Access-Control-Request-Headers: x-one, x-two\r\n"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.fields, std::string(kVary) +
                               "Access-Control-Allow-Origin: *\r\n"
                               "Access-Control-Allow-Methods: GET,HEAD,POST\r\n"
                               "Access-Control-Allow-Headers: x-one, x-two\r\n"
                               "Access-Control-Max-Age: 1800\r\n");
  // If no headers are requested, none are allowed.
  EXPECT_EQ(ask(request("OPTIONS", "/echo",
                        "Origin: http://a.example\r\nAccess-Control-Request-Method: GET\r\n"))
                .fields.find("Access-Control-Allow-Headers"),
            std::string::npos);
  // Methods that are not allowed, in a preflight or in the request itself.
  for (const auto& no :
       {request("OPTIONS", "/echo",
                "Origin: http://a.example\r\nAccess-Control-Request-Method: PUT\r\n"),
        request("PUT", "/echo", "Origin: http://a.example\r\n"),
        request("OPTIONS", "/echo", "Origin: http://a.example\r\n")}) {
    EXPECT_EQ(ask(no).status, 403) << no;
  }
  EXPECT_EQ(ask(request("POST", "/echo", "Origin: http://a.example\r\n")).status, 405);
  // Only an OPTIONS request is a preflight.
  const Answer upgraded =
      ask(upgrade("Origin: http://a.example\r\nAccess-Control-Request-Method: PUT\r\n"));
  EXPECT_EQ(upgraded.status, 101);
  EXPECT_EQ(upgraded.fields, std::string(kVary) + "Access-Control-Allow-Origin: *\r\n");
}

// [6455-4.2.2-ORIGIN]
TEST_F(RouterTest, AnAllowListRefusesOtherOrigins) {
  strict.add("/echo", endpoint);
  const auto with = [&](std::string_view origin) {
    return ask(strict, upgrade("Origin: " + std::string(origin) + "\r\n"));
  };
  EXPECT_EQ(with("https://good.example").status, 101);
  EXPECT_EQ(with("https://good.example").fields,
            std::string(kVary) + "Access-Control-Allow-Origin: https://good.example\r\n");
  EXPECT_EQ(with("https://good.example:443").status, 101);
  EXPECT_EQ(with("http://other.example:81").status, 101);
  for (const std::string_view no :
       {"http://good.example", "https://good.example:444", "https://evil.example",
        "https://good.example.evil", "null", "http://other.example"}) {
    EXPECT_EQ(with(no).status, 403) << no;
  }
  // [6455-4.2.1-NO-ORIGIN]
  EXPECT_EQ(ask(strict, upgrade()).status, 101) << "a client without Origin is not a browser";
  // The server's own page, under a name that DNS rebinding cannot misuse.
  EXPECT_EQ(with("http://localhost:8080").status, 101);
}

// DNS rebinding: evil.example now resolves to this server, so Origin and Host of its page are equal.
TEST_F(RouterTest, RefusesAReboundHostNameWithAnAllowList) {
  strict.add("/echo", endpoint);
  const auto from_own_page = [&](const std::string& host) {
    return ask(strict,
               "GET /echo HTTP/1.1\r\nHost: " + host + "\r\nOrigin: http://" + host +
                   "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        .status;
  };
  EXPECT_EQ(from_own_page("evil.example:8080"), 403);
  EXPECT_EQ(from_own_page("1.evil.example"), 403);
  EXPECT_EQ(from_own_page("127.0.0.1:8080"), 101);
  EXPECT_EQ(from_own_page("98.76.54.3"), 101);
  EXPECT_EQ(from_own_page("[::1]:8080"), 101);
}

}  // namespace
}  // namespace ws
