// The client's side of the opening handshake: RFC 6455 §1.3, §3 and §4.1.
#include "protocol/client/client_handshake.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "protocol/http/handshake.h"
#include "tests/support/stream.h"

namespace ws::test {
namespace {

/// Parses `bytes`, a complete head. `bytes` must outlive `head`.
template <typename Head>
void parse(Head& head, const std::string& bytes) {
  const Limits limits;
  ASSERT_EQ(head.parse(bytes, limits), HttpHead::Status::kComplete) << describe(head.error()).text;
  ASSERT_EQ(head.size(), bytes.size());
}

TEST(Uri, IsSplitIntoHostPortAuthorityAndResource) {
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
      {"ws://ex%61mple.com/%61", "example.com", 80, "ex%61mple.com", "/%61"},
      {"ws://a/x@y:z", "a", 80, "a", "/x@y:z"},
      // without a scheme
      {"localhost:8080/echo", "localhost", 8080, "localhost:8080", "/echo"},
      {"localhost", "localhost", 80, "localhost", "/"},
      {"a/b://c", "a", 80, "a", "/b://c"},
      {"[::1]:8080", "::1", 8080, "[::1]:8080", "/"},
      {"ws", "ws", 80, "ws", "/"},
      {"wss.example:81", "wss.example", 81, "wss.example:81", "/"},
      // [6874-4-ZONE] the zone is to connect, and not for the Host field
      {"ws://[fe80::1%25eth0]:8080/x", "fe80::1%eth0", 8080, "[fe80::1]:8080", "/x"},
      {"ws://[fe80::1%25a%2eb%2Fc]", "fe80::1%a.b/c", 80, "[fe80::1]", "/"},
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

TEST(Uri, IsRejectedWithTheReasonIfItIsMalformedOrItsSchemeIsNotWs) {
  // [6455-3-URI]
  const char* const blank =
      "has a blank, a control character or one beyond ASCII: percent-encode it (a blank is %20)";
  const char* const fragment =
      "has a fragment, which a WebSocket URI must not have: write %23 for '#'";
  const char* const slashes = "lacks the two slashes after the scheme: write ws://HOST";
  const char* const no_host = "has no host";
  const char* const tls = "requires TLS, which is not supported: use ws://";
  const char* const user = "has a user name: use --user NAME:PASSWORD";
  const char* const name = "has a host with a character that is not allowed in a host name";
  const char* const bare = "has an IPv6 address without brackets: write ws://[::1]:8080/";
  const char* const bracket = "has no ']' at the end of the IPv6 address";
  const char* const literal = "has brackets around a text that is not an IPv6 address";
  const char* const encoded =
      "has a host with an encoded character that is not allowed in a host name";
  const char* const zone =
      "has a malformed zone: write [fe80::1%25eth0] for the interface eth0 (RFC 6874)";
  const struct {
    const char* text;
    const char* why;
  } kRows[] = {
      {"", "is empty"},
      {"ws:", slashes},
      {"ws:/a", slashes},
      {"wss:a", slashes},
      {"ws://", no_host},
      {"ws:///echo", no_host},
      {"/echo", no_host},
      {"//a/", no_host},
      {"ws://:80/", no_host},
      {"://a/", "has the unknown scheme '': use ws://"},
      {"wss://a/", tls},
      {"HTTPS://a/", tls},
      {"http://a/", "has the scheme http: use ws://"},
      {"ftp://a/", "has the unknown scheme 'ftp': use ws://"},
      {"ws://a/#x", fragment},
      {"ws://a/b#", fragment},
      {"ws://u@a/", user},
      {"u:p@a/", user},
      {"ws://a b/", blank},
      {"ws://a/ b", blank},
      {"ws://a/\r\nX: y", blank},
      {"ws://\xc3\xa9/", blank},
      {"ws://a/\x7f", blank},
      {"ws://a/\t", blank},
      {"ws://a:0/", "has the port '0': use a number from 1 to 65535"},
      {"ws://a:65536/", "has the port '65536': use a number from 1 to 65535"},
      {"ws://a:99999999999/", "has the port '99999999999': use a number from 1 to 65535"},
      {"ws://a:+80/", "has the port '+80': use a number from 1 to 65535"},
      {"ws://a:8x/", "has the port '8x': use a number from 1 to 65535"},
      {"ws://[::1]:x/", "has the port 'x': use a number from 1 to 65535"},
      {"ws://a:80:80/", bare},
      {"ws://::1/", bare},
      {"ws://[::1/", bracket},
      {"ws://[::1]80/", bracket},
      {"ws://[::1]x:80/", bracket},
      {"ws://[]/", literal},
      {"ws://[1.2.3.4]/", literal},
      {"ws://[::1::]/", literal},
      {"ws://ab]/", name},
      {"ws://a\\b/", name},
      {"ws://a%2/", name},
      {"ws://[fe80::1%eth0]/", zone},
      {"ws://[fe80::1%25]/", zone},
      {"ws://[fe80::1%25a%2]/", zone},
      {"ws://127.0.0.1%00.example.org/", encoded},
      {"ws://a%0ab/", encoded},
      {"ws://a%20b/", encoded},
      {"ws://%1b%5b31m/", encoded},
      {"ws://a%7f/", encoded},
      {"ws://a%ff/", encoded},
      {"ws://[fe80::1%25eth0%00x]/", encoded},
  };
  for (const auto& row : kRows) {
    EXPECT_FALSE(parse_uri(row.text).has_value()) << row.text;
    EXPECT_EQ(explain_bad_uri(row.text), row.why) << row.text;
  }
  EXPECT_EQ(explain_bad_uri("ws://a/~"), "") << "the last printable ASCII character";
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

  // [6455-4.1-ORIGIN] [6455-4.1-SUBPROTOCOL] [6455-4.1-FIELDS] optional fields
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

  // fields that replace ours, in any case
  client.fields = {"X: y", "host:other.example", "ORIGIN: null"};
  out.clear();
  client.write_request(out);
  EXPECT_EQ(flatten(out),
            "GET /?x HTTP/1.1\r\n"
            "host:other.example\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: chat, superchat\r\n"
            "X: y\r\n"
            "ORIGIN: null\r\n"
            "\r\n");
  EXPECT_TRUE(ClientHandshake::sets_field("upgrade"));
  EXPECT_TRUE(ClientHandshake::sets_field("CONNECTION"));
  EXPECT_TRUE(ClientHandshake::sets_field("sec-websocket-Key"));
  EXPECT_FALSE(ClientHandshake::sets_field("Sec-WebSocket"));
  EXPECT_FALSE(ClientHandshake::sets_field("Host"));
}

TEST(Response, IsInterimIfItsStatusIs1xxExcept101) {
  // [9110-15.2-INTERIM]
  for (const auto& [status, is_interim] : {std::pair("100", true),
                                           {"101", false},
                                           {"102", true},
                                           {"103", true},
                                           {"199", true},
                                           {"200", false}}) {
    HttpResponse response;
    const std::string head = std::string("HTTP/1.1 ") + status + " X\r\n\r\n";
    parse(response, head);
    EXPECT_EQ(response.is_interim(), is_interim) << status;
  }
}

TEST(Response, IsRejectedIfItsStatusOrAHandshakeFieldIsWrong) {
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
      {"valid", all, Error::kNone, ""},
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
      {"a second protocol", status + "Upgrade: h2c, websocket\r\n" + connection + accept,
       Error::kUpgradeField, ""},
      {"a second protocol in another field",
       status + upgrade + "Upgrade: h2c\r\n" + connection + accept, Error::kUpgradeField, ""},
      {"a suffix", status + "Upgrade: websocket2\r\n" + connection + accept, Error::kUpgradeField,
       ""},
      {"no Connection [6455-4.1-CONNECTION]", status + upgrade + accept, Error::kConnectionField,
       ""},
      {"another Connection", status + upgrade + "Connection: close\r\n" + accept,
       Error::kConnectionField, ""},
      {"no Accept [6455-4.1-ACCEPT]", status + upgrade + connection, Error::kAccept, ""},
      {"a wrong Accept",
       status + upgrade + connection + "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
       Error::kAccept, ""},
      {"the key itself",
       status + upgrade + connection + "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n",
       Error::kAccept, ""},
      {"Accept in another case",
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
    const ClientHandshake::Established established = client.validate_response(response);
    EXPECT_EQ(describe(established.error).text, describe(row.error).text);
    if (row.error == Error::kNone) {
      EXPECT_EQ(established.subprotocol, row.subprotocol);
    }
  }
}

TEST(Uri, IsRejectedIfItContainsAControlCharacter) {
  // [6455-3-URI]
}

TEST(Handshake, NegotiatesDeflateInRequestAndResponse) {
  // [7692-5-OFFER], [7692-5-ACCEPT] Checks the offer, the server's response, and the agreed parameters.
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
  const Upgrade upgrade =
      validate_upgrade(request_head, {}, {.is_enabled = true, .window_bits = 11});
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
  const ClientHandshake::Established established = client.validate_response(answer);
  EXPECT_EQ(established.error, Error::kNone);
  ASSERT_TRUE(established.deflate.has_value());
  EXPECT_EQ(established.deflate->server_max_window_bits, 11);
  EXPECT_EQ(established.deflate->client_max_window_bits, 11);
}

TEST(Response, IsRejectedIfItsListOfExtensionsIsMalformed) {
  // [6455-9.1-SYNTAX]
  HttpResponse answer;
  const std::string bytes =
      "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
      "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: permessage-deflate;\r\n\r\n";
  parse(answer, bytes);
  EXPECT_EQ(example_client().validate_response(answer).error, Error::kExtensionSyntax);
}

}  // namespace
}  // namespace ws::test
