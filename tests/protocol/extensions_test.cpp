// Sec-WebSocket-Extensions: its grammar (RFC 6455 §9.1), and the negotiation of permessage-deflate (RFC 7692 §5, §7.1).
#include "protocol/deflate/extensions.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/http/http_message.h"

namespace ws::test {
namespace {

/// A complete request with these field lines.
class Head {
 public:
  explicit Head(const std::string& fields)
      : bytes_("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n") {
    EXPECT_EQ(request_.parse(bytes_, Limits{}), HttpHead::Status::kComplete) << fields;
  }
  std::vector<std::string_view> values() const {
    return request_.values("Sec-WebSocket-Extensions");
  }

 private:
  std::string bytes_;
  HttpRequest request_;
};

std::string field(const std::string& value) {
  return "Sec-WebSocket-Extensions: " + value + "\r\n";
}

/// Returns "name; parameter; parameter=value name", or "malformed".
std::string parsed(const std::string& fields) {
  const Head head(fields);
  const auto extensions = parse_extensions(head.values());
  if (!extensions.has_value())
    return "malformed";
  std::string text;
  for (const Extension& extension : *extensions) {
    text += (text.empty() ? "" : " ") + std::string(extension.name);
    for (const ExtensionParameter& parameter : extension.parameters) {
      text += "; " + std::string(parameter.name);
      if (parameter.value.has_value())
        text += "=" + *parameter.value;
    }
  }
  return text;
}

TEST(ParseExtensions, AcceptsListsThatMatchTheGrammar) {
  // [6455-9.1-SYNTAX], [6455-9.1-SPLIT]
  EXPECT_EQ(parsed(""), "");
  EXPECT_EQ(parsed(field("foo")), "foo");
  EXPECT_EQ(parsed(field("foo; bar; baz=2")), "foo; bar; baz=2");
  EXPECT_EQ(parsed(field("foo;bar;baz=2")), "foo; bar; baz=2");
  EXPECT_EQ(parsed(field("foo \t;\t bar = 2\t")), "foo; bar=2") << "blanks between tokens";
  EXPECT_EQ(parsed(field("foo, bar; baz=2")), "foo bar; baz=2");
  EXPECT_EQ(parsed(field("foo") + field("bar; baz=2")), "foo bar; baz=2") << "two fields, one list";
  EXPECT_EQ(parsed(field(", foo, ,bar,")), "foo bar") << "empty elements";
  EXPECT_EQ(parsed("sec-websocket-EXTENSIONS: Foo\r\n"), "Foo");
  EXPECT_EQ(parsed(field("foo; bar=\"2\"")), "foo; bar=2");
  EXPECT_EQ(parsed(field("foo; bar=\"\\1\\2\"")), "foo; bar=12") << "backslashes are removed";
  EXPECT_EQ(parsed(field("foo; bar; bar")), "foo; bar; bar") << "the grammar allows duplicates";
}

TEST(ParseExtensions, RejectsMalformedLists) {
  for (const std::string value : {"",
                                  " ",
                                  ",",
                                  ", ,",
                                  ";",
                                  "foo;",
                                  "foo; ",
                                  "foo;;bar",
                                  ";bar",
                                  "foo bar",
                                  "foo; bar baz",
                                  "foo; =2",
                                  "foo; bar=",
                                  "foo; bar= ",
                                  "foo; bar=2=3",
                                  "foo; bar==2",
                                  "f(o)",
                                  "foo; b[r",
                                  "foo; bar=2 3",
                                  "foo; bar=(2)",
                                  "foo; bar=\"",
                                  "foo; bar=\"2",
                                  "foo; bar=2\"",
                                  "foo; bar=\"\"",
                                  "foo; bar=\"2 3\"",
                                  "foo; bar=\"2\\\"",
                                  "foo; bar=\"2\\\\\"",
                                  "foo; bar=\"a\"b\"",
                                  "foo; bar=\"2,3\"",
                                  "foo; bar=\"2;3\"",
                                  "foo; bar='2,3'; \"",
                                  "\"foo\"",
                                  "foo; \"bar\"=2",
                                  "f\xc3\xb6o",
                                  "ok, foo;",
                                  "ok; fine, ;"}) {
    EXPECT_EQ(parsed(field(value)), "malformed") << value;
  }
  EXPECT_EQ(parsed(field("foo") + field("")), "malformed") << "each field has at least one";
}

// ------------------------------------------------------------------ the server

/// Returns the answer to `offers`, "declined" or "malformed".
std::string answer(const std::string& offers, DeflateSettings settings = {.is_enabled = true}) {
  const Head head(field(offers));
  const auto extensions = parse_extensions(head.values());
  if (!extensions.has_value())
    return "malformed";
  const auto accepted = accept_deflate(*extensions, settings);
  if (!accepted.has_value())
    return "declined";
  const std::string_view name = "permessage-deflate";
  EXPECT_TRUE(accepted->text.starts_with(name));
  // Adds the parameters: the windows of server and client; "!" means no context takeover.
  const DeflateParameters& agreed = accepted->parameters;
  return accepted->text.substr(name.size()) + " [" + std::to_string(agreed.server_max_window_bits) +
         (agreed.server_no_context_takeover ? "! " : " ") +
         std::to_string(agreed.client_max_window_bits) +
         (agreed.client_no_context_takeover ? "!]" : "]");
}

TEST(Server, DeclinesDeflateUnlessItIsEnabledAndOffered) {
  // [7692-5-DECLINE], [7692-5-ACCEPT]
  EXPECT_EQ(answer("permessage-deflate", {}), "declined");
  EXPECT_EQ(answer("permessage-deflate"), " [15 15]");
  EXPECT_EQ(answer("permessage-bzip2, x-webkit-deflate-frame"), "declined");
  EXPECT_EQ(answer("Permessage-Deflate"), "declined") << "extension names are case-sensitive";
}

TEST(Server, AnswersEachParameterOfAnOfferAsRfc7692Requires) {
  const struct {
    const char* offer;
    const char* answer;
  } kRows[] = {
      // [7692-7.1.1-SERVER-NO-TAKEOVER]
      {"server_no_context_takeover", "; server_no_context_takeover [15! 15]"},
      // [7692-7.1.1-CLIENT-NO-TAKEOVER]
      {"client_no_context_takeover", "; client_no_context_takeover [15 15!]"},
      // [7692-7.1.2-SERVER-BITS] the parameter is always answered, even if it is 15
      {"server_max_window_bits=15", "; server_max_window_bits=15 [15 15]"},
      {"server_max_window_bits=10", "; server_max_window_bits=10 [10 15]"},
      {"server_max_window_bits=9", "; server_max_window_bits=9 [9 15]"},
      {"server_max_window_bits=8", "; server_max_window_bits=8 [8 15]"},
      {"server_max_window_bits=\"10\"", "; server_max_window_bits=10 [10 15]"},
      // [7692-7.1.2-CLIENT-BITS] a limit below 15 becomes the limit of the answer
      {"client_max_window_bits", " [15 15]"},
      {"client_max_window_bits=15", " [15 15]"},
      {"client_max_window_bits=10", "; client_max_window_bits=10 [15 10]"},
      {"client_max_window_bits=8", "; client_max_window_bits=8 [15 8]"},
      {"client_max_window_bits; server_max_window_bits=12; server_no_context_takeover; "
       "client_no_context_takeover",
       "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12 "
       "[12! 15!]"},
  };
  for (const auto& row : kRows)
    EXPECT_EQ(answer("permessage-deflate; " + std::string(row.offer)), row.answer) << row.offer;
}

TEST(Server, AddsItsOwnSettingsToTheAnswer) {
  const DeflateSettings frugal{.is_enabled = true, .keeps_context = false, .window_bits = 11};
  // [7692-7.1.1-UNASKED], [7692-7.1.2-UNASKED]
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits", frugal),
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; "
            "client_max_window_bits=11 [11! 11!]");
  // [7692-7.1.2-CLIENT-BITS-UNASKED]
  EXPECT_EQ(answer("permessage-deflate", frugal),
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11 "
            "[11! 15!]");
  EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=13; client_max_window_bits=9",
                   {.is_enabled = true, .window_bits = 11}),
            "; server_max_window_bits=11; client_max_window_bits=9 [11 9]");
}

TEST(Server, DeclinesAnInvalidOffer) {
  // [7692-7-DECLINE], [7692-7.1.2-VALUE]
  for (const std::string parameters : {"unknown",
                                       "unknown=1",
                                       "Server_no_context_takeover",
                                       "server_no_context_takeover=1",
                                       "server_no_context_takeover=\"true\"",
                                       "client_no_context_takeover=15",
                                       "server_no_context_takeover; server_no_context_takeover",
                                       "client_no_context_takeover; client_no_context_takeover",
                                       "server_max_window_bits",
                                       "server_max_window_bits=7",
                                       "server_max_window_bits=16",
                                       "server_max_window_bits=0",
                                       "server_max_window_bits=1",
                                       "server_max_window_bits=015",
                                       "server_max_window_bits=08",
                                       "server_max_window_bits=+9",
                                       "server_max_window_bits=-9",
                                       "server_max_window_bits=9.0",
                                       "server_max_window_bits=0x9",
                                       "server_max_window_bits=1a",
                                       "server_max_window_bits=a",
                                       "server_max_window_bits=115",
                                       "server_max_window_bits=1!",
                                       "server_max_window_bits=25",
                                       "server_max_window_bits=10; server_max_window_bits=10",
                                       "client_max_window_bits=7",
                                       "client_max_window_bits=16",
                                       "client_max_window_bits=010",
                                       "client_max_window_bits; client_max_window_bits",
                                       "client_max_window_bits=10; client_max_window_bits",
                                       "client_max_window_bits; client_max_window_bits=10",
                                       "server_no_context_takeover; unknown"}) {
    const std::string bad = "permessage-deflate; " + parameters;
    EXPECT_EQ(answer(bad), "declined") << bad;
    // [7692-5-FALLBACK] accepts the next valid offer
    EXPECT_EQ(answer(bad + ", permessage-deflate; client_no_context_takeover"),
              "; client_no_context_takeover [15 15!]")
        << bad;
  }
}

TEST(Server, AcceptsTheFirstValidOffer) {
  // [7692-5-FALLBACK]
  EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=10, permessage-deflate"),
            "; server_max_window_bits=10 [10 15]");
  EXPECT_EQ(answer("other; a=1, permessage-deflate, permessage-deflate; server_max_window_bits=10"),
            " [15 15]");
}

// ------------------------------------------------------------------ the client

TEST(Client, OffersTheParametersOfItsSettings) {
  // [7692-5-OFFER], [7692-7.1.2-CLIENT-BITS]
  EXPECT_EQ(offer_deflate({.is_enabled = true}), "permessage-deflate; client_max_window_bits");
  EXPECT_EQ(offer_deflate({.is_enabled = true, .keeps_context = false, .window_bits = 9}),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=9; client_max_window_bits=9");
}

/// Validates an answer as the client. Returns the parameters, "none", or the tag of the broken rule.
std::string judged(const std::string& fields, DeflateSettings settings = {.is_enabled = true}) {
  const Head head(fields);
  const auto extensions = parse_extensions(head.values());
  EXPECT_TRUE(extensions.has_value()) << fields;
  std::optional<DeflateParameters> agreed;
  const Error error = validate_deflate_answer(*extensions, settings, agreed);
  EXPECT_TRUE(error == Error::kNone || !agreed.has_value());
  if (error != Error::kNone)
    return std::string(describe(error).tag);
  if (!agreed.has_value())
    return "none";
  return std::to_string(agreed->server_max_window_bits) +
         (agreed->server_no_context_takeover ? "! " : " ") +
         std::to_string(agreed->client_max_window_bits) +
         (agreed->client_no_context_takeover ? "!" : "");
}

TEST(Client, AcceptsAnAnswerThatMatchesItsOffer) {
  EXPECT_EQ(judged(""), "none") << "the server has declined";
  EXPECT_EQ(judged(field("permessage-deflate")), "15 15");
  EXPECT_EQ(judged(field("permessage-deflate; server_no_context_takeover; "
                         "client_no_context_takeover; server_max_window_bits=8; "
                         "client_max_window_bits=8")),
            "8! 8!");
  const DeflateSettings frugal{.is_enabled = true, .keeps_context = false, .window_bits = 10};
  EXPECT_EQ(judged(field("permessage-deflate; server_no_context_takeover; "
                         "server_max_window_bits=10"),
                   frugal),
            "10! 10")
      << "our own limit applies if the server sets none";
  EXPECT_EQ(judged(field("permessage-deflate; server_no_context_takeover; "
                         "server_max_window_bits=9; client_max_window_bits=15"),
                   frugal),
            "9! 10");
}

TEST(Client, RejectsAnAnswerThatDoesNotMatchItsOffer) {
  // [6455-4.1-EXTENSION]
  EXPECT_EQ(judged(field("permessage-deflate"), {}), "6455-4.1-EXTENSION") << "nothing was offered";
  EXPECT_EQ(judged(field("permessage-bzip2")), "6455-4.1-EXTENSION");
  EXPECT_EQ(judged(field("permessage-deflate, permessage-deflate")), "6455-4.1-EXTENSION");
  EXPECT_EQ(judged(field("permessage-deflate, foo")), "6455-4.1-EXTENSION");
  // [7692-7-RESPONSE]
  for (const std::string parameters :
       {"unknown", "server_no_context_takeover=1", "client_max_window_bits",
        "client_max_window_bits=16", "server_max_window_bits", "server_max_window_bits=7",
        "server_max_window_bits=12; server_max_window_bits=12"}) {
    EXPECT_EQ(judged(field("permessage-deflate; " + parameters)), "7692-7-RESPONSE") << parameters;
  }
  // The answer does not grant a requested parameter: [7692-7.1.1-SERVER-NO-TAKEOVER], [7692-7.1.2-SERVER-BITS]
  const DeflateSettings no_takeover{.is_enabled = true, .keeps_context = false};
  EXPECT_EQ(judged(field("permessage-deflate"), no_takeover), "7692-7-RESPONSE");
  const DeflateSettings small{.is_enabled = true, .window_bits = 10};
  EXPECT_EQ(judged(field("permessage-deflate"), small), "7692-7-RESPONSE");
  EXPECT_EQ(judged(field("permessage-deflate; server_max_window_bits=11"), small),
            "7692-7-RESPONSE");
  EXPECT_EQ(judged(field("permessage-deflate; server_max_window_bits=10"), small), "10 10");
}

}  // namespace
}  // namespace ws::test
