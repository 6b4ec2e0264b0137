// The opening handshake, both halves: RFC 6455 §1.3 and §4.
#include "protocol/handshake.h"

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

/// Parses `bytes`, which is a whole head, and must outlive it.
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
  const Upgrade upgrade = judge_upgrade(request, supported);
  return {upgrade.error, text_of(upgrade.accept), std::string(upgrade.subprotocol)};
}

/// The request of §1.3 with one line of it replaced, or one added behind it.
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

TEST(AcceptKey, IsThatOfTheExample) {
  // [6455-4.2.2-GUID] §1.3
  EXPECT_EQ(text_of(accept_key("dGhlIHNhbXBsZSBub25jZQ==")), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Upgrade, OfTheExampleIsAccepted) {
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

TEST(Upgrade, IsAcceptedInAnyCaseAndInLists) {
  const struct {
    const char* name;
    const char* line;
    const char* instead;
  } kRows[] = {
      {"as it is", "", ""},
      {"Upgrade in capitals", "Upgrade:", "UPGRADE: WebSocket\r\n"},
      {"Upgrade in a list", "Upgrade:", "Upgrade: h2c, websocket\r\n"},
      {"Upgrade in two fields", "Upgrade:", "Upgrade: h2c\r\nUpgrade: websocket\r\n"},
      {"Firefox's Connection", "Connection:", "Connection: keep-alive, Upgrade\r\n"},
      {"Connection in two fields",
       "Connection:", "Connection: keep-alive\r\nconnection: upgrade\r\n"},
      {"a body of no bytes", "", "Content-Length: 0\r\n"},
      {"an extension that nobody knows", "", "Sec-WebSocket-Extensions: x-unknown; a=b\r\n"},
      {"HTTP/1.2", "GET", "GET / HTTP/1.2\r\n"},
      {"a key with + and /",
       "Sec-WebSocket-Key:", "Sec-WebSocket-Key: ++++////++++////++++//==\r\n"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(judge(request(row.line, row.instead)).error, Error::kNone) << row.name;
  }
}

TEST(Upgrade, IsRefusedForWhatIsWrongWithIt) {
  const struct {
    const char* name;
    const char* line;
    const char* instead;
    Error error;
  } kRows[] = {
      {"POST [6455-4.2.1-GET]", "GET", "POST /chat HTTP/1.1\r\n", Error::kMethod},
      {"get: methods have a case", "GET", "get /chat HTTP/1.1\r\n", Error::kMethod},
      {"HTTP/1.0 [6455-4.2.1-UPGRADE]", "GET", "GET /chat HTTP/1.0\r\n", Error::kNotAnUpgrade},
      {"no Upgrade", "Upgrade:", "", Error::kNotAnUpgrade},
      {"another Upgrade", "Upgrade:", "Upgrade: h2c\r\n", Error::kNotAnUpgrade},
      {"almost", "Upgrade:", "Upgrade: websocket2\r\n", Error::kNotAnUpgrade},
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

TEST(Upgrade, HasAKeyInTheAlphabetOfBase64) {
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

TEST(Extensions, AreWellFormedWhetherAnybodyKnowsThemOrNot) {
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

TEST(Subprotocol, IsTheFirstOfTheClientsThatTheServerSupports) {
  // [6455-4.2.2-SUBPROTOCOL]
  const struct {
    const char* name;
    const char* fields;
    std::vector<std::string> supported;
    const char* chosen;
  } kRows[] = {
      {"none asked for", "", {"a"}, ""},
      {"none supported", "Sec-WebSocket-Protocol: a, b\r\n", {}, ""},
      {"none in common", "Sec-WebSocket-Protocol: a, b\r\n", {"c"}, ""},
      {"the client's preference, not ours", "Sec-WebSocket-Protocol: b, a\r\n", {"a", "b"}, "b"},
      {"one behind others", "Sec-WebSocket-Protocol: x, y,a\r\n", {"a", "b"}, "a"},
      {"in several fields",
       "Sec-WebSocket-Protocol: x\r\nsec-websocket-protocol: b, a\r\n",
       {"a", "b"},
       "b"},
      {"subprotocols have a case", "Sec-WebSocket-Protocol: A\r\n", {"a"}, ""},
      {"empty elements", "Sec-WebSocket-Protocol: ,, a ,\r\n", {"a"}, "a"},
      {"an empty field", "Sec-WebSocket-Protocol:\r\n", {"a"}, ""},
  };
  for (const auto& row : kRows) {
    const Judgement judgement = judge(request({}, row.fields), row.supported);
    EXPECT_EQ(judgement.error, Error::kNone) << row.name;
    EXPECT_EQ(judgement.subprotocol, row.chosen) << row.name;
  }
}

TEST(SwitchingProtocols, IsTheArticlesAnswerOf218Bytes) {
  // Rows 4 and 6 of the documented trace. [6455-4.2.2-SWITCH] [6455-4.2.2-EXTENSION] One is offered, none is
  // answered; [6455-4.2.2-SUBPROTOCOL] nor is a subprotocol.
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
  const Upgrade upgrade = judge_upgrade(head, {});
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

// ------------------------------------------------------------------ the client's half

TEST(Uri, IsTakenApart) {
  const struct {
    const char* text;
    const char* host;
    unsigned port;
    const char* authority;
    const char* resource;
  } kRows[] = {
      {"ws://localhost:8080/echo", "localhost", 8080, "localhost:8080", "/echo"},
      {"ws://example.com/chat?a=b", "example.com", 80, "example.com", "/chat?a=b"},
      {"ws://example.com", "example.com", 80, "example.com", "/"},
      {"ws://example.com?a=/b", "example.com", 80, "example.com", "/?a=/b"},
      {"WS://Example.com:80/", "Example.com", 80, "Example.com", "/"},
      {"ws://a:/", "a", 80, "a", "/"},
      {"ws://a:65535", "a", 65535, "a:65535", "/"},
      {"ws://127.0.0.1:1/x", "127.0.0.1", 1, "127.0.0.1:1", "/x"},
      {"ws://[::1]:9000/x", "::1", 9000, "[::1]:9000", "/x"},
      {"ws://[::1]", "::1", 80, "[::1]", "/"},
  };
  for (const auto& row : kRows) {
    const auto uri = parse_uri(row.text);
    ASSERT_TRUE(uri.has_value()) << row.text;
    EXPECT_EQ(uri->host, row.host) << row.text;
    EXPECT_EQ(uri->port, row.port) << row.text;
    EXPECT_EQ(uri->authority, row.authority) << row.text;
    EXPECT_EQ(uri->resource, row.resource) << row.text;
  }
}

TEST(Uri, IsRefusedIfItIsMalformedOrNotWs) {
  // [6455-3-URI]
  for (const char* text : {"",
                           "ws",
                           "ws:",
                           "ws:/",
                           "ws://",
                           "ws:///echo",
                           "wss://a/",
                           "http://a/",
                           "a/echo",
                           "//a/",
                           "ws://a/#x",
                           "ws://a/b#",
                           "ws://u@a/",
                           "ws://u:p@a/",
                           "ws://a b/",
                           "ws://a/ b",
                           "ws://a/\r\nX: y",
                           "ws://\xc3\xa9/",
                           "ws://:80/",
                           "ws://a:0/",
                           "ws://a:65536/",
                           "ws://a:99999999999/",
                           "ws://a:+80/",
                           "ws://a:8x/",
                           "ws://a:80:80/",
                           "ws://[::1/",
                           "ws://[]/",
                           "ws://[::1]80/",
                           "ws://[::1]x:80/"}) {
    EXPECT_FALSE(parse_uri(text).has_value()) << text;
  }
}

ClientHandshake example_client() {
  // §1.3: the key's 16 bytes are "the sample nonce"
  ClientHandshake client;
  client.uri = *parse_uri("ws://server.example.com/chat");
  std::ranges::copy(as_span("the sample nonce"), client.nonce.begin());
  return client;
}

TEST(ClientRequest, HasTheFieldsOfSection4_1) {
  // [6455-4.1-REQUEST]
  ClientHandshake client = example_client();
  Output out;
  client.write_request(out);
  EXPECT_EQ(flatten(out),
            "GET /chat HTTP/1.1\r\n"
            "Host: server.example.com\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "\r\n");

  // [6455-4.1-ORIGIN] [6455-4.1-SUBPROTOCOL] [6455-4.1-FIELDS] what it may add
  client.uri = *parse_uri("ws://[::1]:8080?x");
  client.origin = "http://example.com";
  client.subprotocols = {"chat", "superchat"};
  client.fields = {"Cookie: a=b", "X: y"};
  out.clear();
  client.write_request(out);
  EXPECT_EQ(flatten(out),
            "GET /?x HTTP/1.1\r\n"
            "Host: [::1]:8080\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Origin: http://example.com\r\n"
            "Sec-WebSocket-Protocol: chat, superchat\r\n"
            "Cookie: a=b\r\n"
            "X: y\r\n"
            "\r\n");
}

TEST(Response, IsJudgedByEachOfItsFields) {
  const std::string status = "HTTP/1.1 101 Switching Protocols\r\n";
  const std::string upgrade = "Upgrade: websocket\r\n";
  const std::string connection = "Connection: Upgrade\r\n";
  const std::string accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
  const std::string all = status + upgrade + connection + accept;
  const struct {
    const char* name;
    std::string bytes;
    Error error;
    const char* subprotocol;
  } kRows[] = {
      {"as it should be", all, Error::kNone, ""},
      {"our own server's",
       "HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: "
       "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
       Error::kNone, ""},
      {"Connection in a list, any case",
       status + "Upgrade: WebSocket\r\nConnection: keep-alive, UPGRADE\r\n" + accept, Error::kNone,
       ""},
      {"a subprotocol", all + "Sec-WebSocket-Protocol: superchat\r\n", Error::kNone, "superchat"},
      {"200 [6455-4.1-STATUS]", "HTTP/1.1 200 OK\r\n" + upgrade + connection + accept,
       Error::kStatus, ""},
      {"403", "HTTP/1.1 403 Forbidden\r\n", Error::kStatus, ""},
      {"100", "HTTP/1.1 100 Continue\r\n" + upgrade + connection + accept, Error::kStatus, ""},
      {"no Upgrade [6455-4.1-UPGRADE]", status + connection + accept, Error::kUpgradeField, ""},
      {"another Upgrade", status + "Upgrade: h2c\r\n" + connection + accept, Error::kUpgradeField,
       ""},
      {"another one too", status + "Upgrade: h2c, websocket\r\n" + connection + accept,
       Error::kUpgradeField, ""},
      {"another one too, in a field of its own",
       status + upgrade + "Upgrade: h2c\r\n" + connection + accept, Error::kUpgradeField, ""},
      {"almost", status + "Upgrade: websocket2\r\n" + connection + accept, Error::kUpgradeField,
       ""},
      {"no Connection [6455-4.1-CONNECTION]", status + upgrade + accept, Error::kConnectionField,
       ""},
      {"another Connection", status + upgrade + "Connection: close\r\n" + accept,
       Error::kConnectionField, ""},
      {"no Accept [6455-4.1-ACCEPT]", status + upgrade + connection, Error::kAccept, ""},
      {"another's Accept",
       status + upgrade + connection + "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
       Error::kAccept, ""},
      {"the key itself",
       status + upgrade + connection + "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n",
       Error::kAccept, ""},
      {"Accept has a case",
       status + upgrade + connection + "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
       Error::kAccept, ""},
      {"two Accepts", all + accept, Error::kAccept, ""},
      {"an extension [6455-4.1-EXTENSION]",
       all + "Sec-WebSocket-Extensions: permessage-deflate\r\n", Error::kUnofferedExtension, ""},
      {"an unoffered subprotocol [6455-4.1-SUBPROTOCOL-OFFERED]",
       all + "Sec-WebSocket-Protocol: mqtt\r\n", Error::kUnofferedSubprotocol, ""},
      {"in another case", all + "Sec-WebSocket-Protocol: Chat\r\n", Error::kUnofferedSubprotocol,
       ""},
      {"two subprotocols", all + "Sec-WebSocket-Protocol: chat, superchat\r\n",
       Error::kUnofferedSubprotocol, ""},
      {"two, in two fields",
       all + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: superchat\r\n",
       Error::kUnofferedSubprotocol, ""},
  };
  ClientHandshake client = example_client();
  client.subprotocols = {"chat", "superchat"};
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    HttpResponse response;
    const std::string bytes = row.bytes + "\r\n";
    parse(response, bytes);
    const ClientHandshake::Established established = client.judge_response(response);
    EXPECT_EQ(describe(established.error).text, describe(row.error).text);
    if (row.error == Error::kNone) {
      EXPECT_EQ(established.subprotocol, row.subprotocol);
    }
  }
}

TEST(Uri, HasNoControlCharacters) {
  // [6455-3-URI]
  EXPECT_FALSE(parse_uri("ws://a/\x7f").has_value());
  EXPECT_FALSE(parse_uri("ws://a/\t").has_value());
  EXPECT_TRUE(parse_uri("ws://a/~").has_value()) << "the last that is none";
}

TEST(Deflate, IsOfferedAnsweredAndAgreedOnInTheHandshake) {
  // [7692-5-OFFER], [7692-5-ACCEPT] The client's whole request, the server's whole answer, and what each makes of it.
  ClientHandshake client = example_client();
  client.deflate = {.is_enabled = true, .window_bits = 12};
  Output out;
  client.write_request(out);
  const Bytes request_bytes = flatten(out);
  EXPECT_NE(request_bytes.find("\r\nSec-WebSocket-Extensions: permessage-deflate; "
                               "server_max_window_bits=12; client_max_window_bits=12\r\n"),
            Bytes::npos)
      << request_bytes;

  HttpRequest request_head;
  parse(request_head, request_bytes);
  const Upgrade upgrade = judge_upgrade(request_head, {}, {.is_enabled = true, .window_bits = 11});
  ASSERT_TRUE(upgrade.deflate.has_value());
  out.clear();
  write_switching_protocols(upgrade, "", out);
  const Bytes answer_bytes = flatten(out);
  EXPECT_EQ(answer_bytes,
            "HTTP/1.1 101 Switching Protocols\r\n"
            "upgrade: websocket\r\n"
            "connection: upgrade\r\n"
            "sec-websocket-extensions: permessage-deflate; server_max_window_bits=11; "
            "client_max_window_bits=11\r\n"
            "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            "\r\n");

  HttpResponse answer;
  parse(answer, answer_bytes);
  const ClientHandshake::Established established = client.judge_response(answer);
  EXPECT_EQ(established.error, Error::kNone);
  ASSERT_TRUE(established.deflate.has_value());
  EXPECT_EQ(established.deflate->server_max_window_bits, 11);
  EXPECT_EQ(established.deflate->client_max_window_bits, 11);
}

TEST(Response, WithAMalformedListOfExtensionsIsRefused) {
  // [6455-9.1-SYNTAX]
  HttpResponse answer;
  const std::string bytes =
      "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
      "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate;\r\n\r\n";
  parse(answer, bytes);
  EXPECT_EQ(example_client().judge_response(answer).error, Error::kExtensionSyntax);
}

}  // namespace
}  // namespace ws::test
