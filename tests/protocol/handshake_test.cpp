// The opening handshake, the server's half: RFC 6455 §1.3 and §4.2.
#include "protocol/http/handshake.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/stream.h"

namespace ws::test {
namespace {

std::string text_of(const AcceptKey& accept) {
  return {accept.data(), accept.size()};
}

/// Parses `bytes`, a whole head. `bytes` must outlive `head`.
template <typename Head>
void parse(Head& head, const std::string& bytes) {
  const Limits limits;
  ASSERT_EQ(head.parse(bytes, limits), HttpHead::Status::kComplete) << describe(head.error()).text;
  ASSERT_EQ(head.size(), bytes.size());
}

struct Judgement {
  Error error;
  std::string accept;
  std::string subprotocol;
};
Judgement judge(const std::string& bytes, const std::vector<std::string>& supported = {}) {
  HttpRequest request;
  parse(request, bytes);
  const Upgrade upgrade = validate_upgrade(request, supported);
  return {upgrade.error, text_of(upgrade.accept), std::string(upgrade.subprotocol)};
}

/// The request of §1.3 with `line` replaced by `instead`, or with `instead` added at its end.
std::string request(std::string_view line = {}, std::string_view instead = {}) {
  std::string bytes =
      "GET /chat HTTP/1.1\r\n"
      "Host: server.example.com\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      "Sec-WebSocket-Version: 13\r\n";
  if (line.empty())
    return bytes.append(instead).append("\r\n");
  const std::size_t begin = bytes.find(line);
  EXPECT_NE(begin, std::string::npos) << line;
  bytes.replace(begin, bytes.find("\r\n", begin) + 2 - begin, instead);
  return bytes + "\r\n";
}

TEST(AcceptKey, MatchesTheExampleOfRfc6455) {
  // [6455-4.2.2-GUID] §1.3
  EXPECT_EQ(text_of(accept_key("dGhlIHNhbXBsZSBub25jZQ==")), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Upgrade, AcceptsTheExampleRequestOfRfc6455) {
  // §1.3, with its origin and its two subprotocols
  const Judgement judgement = judge(
      "GET /chat HTTP/1.1\r\n"
      "Host: server.example.com\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      "Origin: http://example.com\r\n"
      "Sec-WebSocket-Protocol: chat, superchat\r\n"
      "Sec-WebSocket-Version: 13\r\n"
      "\r\n",
      {"chat"});
  EXPECT_EQ(judgement.error, Error::kNone);
  EXPECT_EQ(judgement.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(judgement.subprotocol, "chat");
}

TEST(Upgrade, AcceptsValidVariantsOfTheExampleRequest) {
  const struct {
    const char* name;
    const char* line;
    const char* instead;
  } kRows[] = {
      {"unchanged", "", ""},
      {"Upgrade in capitals", "Upgrade:", "UPGRADE: WebSocket\r\n"},
      {"Upgrade in a list", "Upgrade:", "Upgrade: h2c, websocket\r\n"},
      {"Upgrade in two fields", "Upgrade:", "Upgrade: h2c\r\nUpgrade: websocket\r\n"},
      {"Firefox's Connection", "Connection:", "Connection: keep-alive, Upgrade\r\n"},
      {"Connection in two fields",
       "Connection:", "Connection: keep-alive\r\nconnection: upgrade\r\n"},
      {"a body of no bytes", "", "Content-Length: 0\r\n"},
      {"an unknown extension", "", "Sec-WebSocket-Extensions: x-unknown; a=b\r\n"},
      {"HTTP/1.2", "GET", "GET / HTTP/1.2\r\n"},
      {"a key with + and /",
       "Sec-WebSocket-Key:", "Sec-WebSocket-Key: ++++////++++////++++//==\r\n"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(judge(request(row.line, row.instead)).error, Error::kNone) << row.name;
  }
}

TEST(Upgrade, RejectsEachInvalidRequestWithItsError) {
  const struct {
    const char* name;
    const char* line;
    const char* instead;
    Error error;
  } kRows[] = {
      {"POST [6455-4.2.1-GET]", "GET", "POST /chat HTTP/1.1\r\n", Error::kMethod},
      {"get: methods are case-sensitive", "GET", "get /chat HTTP/1.1\r\n", Error::kMethod},
      {"HTTP/1.0 [6455-4.2.1-UPGRADE]", "GET", "GET /chat HTTP/1.0\r\n", Error::kNotAnUpgrade},
      {"no Upgrade", "Upgrade:", "", Error::kNotAnUpgrade},
      {"another Upgrade", "Upgrade:", "Upgrade: h2c\r\n", Error::kNotAnUpgrade},
      {"a longer name", "Upgrade:", "Upgrade: websocket2\r\n", Error::kNotAnUpgrade},
      {"no Connection", "Connection:", "", Error::kNotAnUpgrade},
      {"another Connection", "Connection:", "Connection: keep-alive\r\n", Error::kNotAnUpgrade},
      {"no version [6455-4.2.2-VERSION]", "Sec-WebSocket-Version:", "", Error::kVersion},
      {"version 8", "Sec-WebSocket-Version:", "Sec-WebSocket-Version: 8\r\n", Error::kVersion},
      {"version 013", "Sec-WebSocket-Version:", "Sec-WebSocket-Version: 013\r\n", Error::kVersion},
      {"a list of versions", "Sec-WebSocket-Version:", "Sec-WebSocket-Version: 13, 8\r\n",
       Error::kVersion},
      {"version 13, twice", "", "Sec-WebSocket-Version: 13\r\n", Error::kVersion},
      {"no key [6455-4.2.1-KEY]", "Sec-WebSocket-Key:", "", Error::kKey},
      {"an empty key", "Sec-WebSocket-Key:", "Sec-WebSocket-Key:\r\n", Error::kKey},
      {"a key of 15 bytes", "Sec-WebSocket-Key:", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n",
       Error::kKey},
      {"a key of 17 bytes", "Sec-WebSocket-Key:", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n",
       Error::kKey},
      {"a key of 18 bytes", "Sec-WebSocket-Key:", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA\r\n",
       Error::kKey},
      {"a key without padding",
       "Sec-WebSocket-Key:", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA\r\n", Error::kKey},
      {"a key in another alphabet",
       "Sec-WebSocket-Key:", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA-_==\r\n", Error::kKey},
      {"padding inside", "Sec-WebSocket-Key:", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAA===\r\n",
       Error::kKey},
      {"two keys", "", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", Error::kKey},
      {"a body [6455-4.1-NOBODY]", "", "Content-Length: 5\r\n", Error::kBodyWithUpgrade},
      {"a body in chunks", "", "Transfer-Encoding: chunked\r\n", Error::kBodyWithUpgrade},
      {"a subprotocol that is no token [6455-4.1-SUBPROTOCOL]", "",
       "Sec-WebSocket-Protocol: a b\r\n", Error::kSubprotocolSyntax},
      {"no subprotocol in the field", "", "Sec-WebSocket-Protocol:\r\n", Error::kSubprotocolSyntax},
      {"only a comma", "", "Sec-WebSocket-Protocol: ,\r\n", Error::kSubprotocolSyntax},
      {"one of two fields empty", "", "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol:\r\n",
       Error::kSubprotocolSyntax},
      {"a subprotocol twice", "", "Sec-WebSocket-Protocol: a, b, a\r\n", Error::kSubprotocolSyntax},
      {"twice, in two fields", "", "Sec-WebSocket-Protocol: b, a\r\nSec-WebSocket-Protocol: a\r\n",
       Error::kSubprotocolSyntax},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(describe(judge(request(row.line, row.instead), {"a"}).error).text,
              describe(row.error).text)
        << row.name;
  }
}

TEST(Upgrade, RejectsAKeyWithACharacterOutsideBase64) {
  // [6455-4.2.1-KEY]
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (char c = 0x21; c < 0x7F; ++c) {
    const std::string key = "AAAAAAAAAA" + std::string(1, c) + "AAAAAAAAAAA==";
    const bool is_base64 = kAlphabet.find(c) != std::string_view::npos;
    EXPECT_EQ(judge(request("Sec-WebSocket-Key:", "Sec-WebSocket-Key: " + key + "\r\n")).error,
              is_base64 ? Error::kNone : Error::kKey)
        << key;
  }
}

TEST(Upgrade, ChecksTheSyntaxOfUnknownExtensions) {
  // [6455-9.1-SYNTAX]
  for (const char* value :
       {"a", "a, b", "a;b", "a ; b = c ;d", "a; b=\"c\"", "a; b=\"\\c\\d\"", "a; b; b", "a;b,c;d=e",
        "a,, b,", "permessage-deflate; client_max_window_bits=\"10\"",
        "a\r\nSec-WebSocket-Extensions: b;c=d"}) {
    EXPECT_EQ(judge(request({}, "Sec-WebSocket-Extensions: " + std::string(value) + "\r\n")).error,
              Error::kNone)
        << value;
  }
  for (const char* value : {"a b",
                            "a;",
                            "a; ",
                            ";",
                            ";a",
                            "a;;b",
                            "a; b=",
                            "a; b= ;c",
                            "a; =c",
                            "a; b c",
                            "a; b=c d",
                            "a=b",
                            "a; b=\"",
                            "a; b=\"\"",
                            "a; b=\"c",
                            "a; b=c\"",
                            "a; b=\"c d\"",
                            "a; b=\"c,d\"",
                            "a; b=\"c;d\"",
                            "a; b=\"c\\\"",
                            "a; b=\"c\\\\\"",
                            "a; b=\"c\\\"d\"",
                            "a; b=\"c\"d\"",
                            "a, b;",
                            "\"a\"",
                            "a; \"b\"",
                            "a\r\nSec-WebSocket-Extensions: b;"}) {
    EXPECT_EQ(judge(request({}, "Sec-WebSocket-Extensions: " + std::string(value) + "\r\n")).error,
              Error::kExtensionSyntax)
        << value;
  }
}

TEST(Upgrade, ChoosesTheFirstOfferedSubprotocolThatIsSupported) {
  // [6455-4.2.2-SUBPROTOCOL]
  const struct {
    const char* name;
    const char* fields;
    std::vector<std::string> supported;
    const char* chosen;
  } kRows[] = {
      {"none requested", "", {"a"}, ""},
      {"none supported", "Sec-WebSocket-Protocol: a, b\r\n", {}, ""},
      {"none in common", "Sec-WebSocket-Protocol: a, b\r\n", {"c"}, ""},
      {"the client's preference, not ours", "Sec-WebSocket-Protocol: b, a\r\n", {"a", "b"}, "b"},
      {"one after others", "Sec-WebSocket-Protocol: x, y,a\r\n", {"a", "b"}, "a"},
      {"in several fields",
       "Sec-WebSocket-Protocol: x\r\nsec-websocket-protocol: b, a\r\n",
       {"a", "b"},
       "b"},
      {"subprotocols are case-sensitive", "Sec-WebSocket-Protocol: A\r\n", {"a"}, ""},
      {"empty elements", "Sec-WebSocket-Protocol: ,, a ,\r\n", {"a"}, "a"},
  };
  for (const auto& row : kRows) {
    const Judgement judgement = judge(request({}, row.fields), row.supported);
    EXPECT_EQ(judgement.error, Error::kNone) << row.name;
    EXPECT_EQ(judgement.subprotocol, row.chosen) << row.name;
  }
}

TEST(SwitchingProtocols, EqualsTheResponseInTheDocumentedTrace) {
  // Rows 4 and 6 of the documented trace. [6455-4.2.2-SWITCH] [6455-4.2.2-EXTENSION] The offered extension is
  // not accepted. [6455-4.2.2-SUBPROTOCOL] No subprotocol is chosen.
  const std::string article =
      "GET /echo HTTP/1.1\r\n"                                                    // 20
      "Sec-WebSocket-Version: 13\r\n"                                             // 27
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                           // 45
      "Connection: Upgrade\r\n"                                                   // 21
      "Upgrade: websocket\r\n"                                                    // 20
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"  // 70
      "Host: localhost:8080\r\n"                                                  // 22
      "\r\n";                                                                     // 2
  EXPECT_EQ(article.size(), 227U);
  HttpRequest head;
  parse(head, article);
  const Upgrade upgrade = validate_upgrade(head, {});
  ASSERT_EQ(upgrade.error, Error::kNone);
  Output out;
  write_switching_protocols(upgrade,
                            "Vary: Origin\r\n"
                            "Vary: Access-Control-Request-Method\r\n"
                            "Vary: Access-Control-Request-Headers\r\n",
                            out);
  EXPECT_EQ(flatten(out),
            "HTTP/1.1 101 Switching Protocols\r\n"                    // 34
            "Vary: Origin\r\n"                                        // 14
            "Vary: Access-Control-Request-Method\r\n"                 // 37
            "Vary: Access-Control-Request-Headers\r\n"                // 38
            "upgrade: websocket\r\n"                                  // 20
            "connection: upgrade\r\n"                                 // 21
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"  // 52
            "\r\n");                                                  // 2
  EXPECT_EQ(out.size(), 218U);
}

TEST(SwitchingProtocols, NamesTheChosenSubprotocol) {
  Output out;
  Upgrade upgrade{.accept = accept_key("dGhlIHNhbXBsZSBub25jZQ=="), .subprotocol = "chat"};
  write_switching_protocols(upgrade, "", out);
  EXPECT_EQ(flatten(out),
            "HTTP/1.1 101 Switching Protocols\r\n"
            "upgrade: websocket\r\n"
            "connection: upgrade\r\n"
            "sec-websocket-protocol: chat\r\n"
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            "\r\n");
}

}  // namespace
}  // namespace ws::test
