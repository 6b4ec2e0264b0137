// The head of an HTTP/1.1 message: RFC 9112 §2 to §5.
//
// Each head is parsed whole, byte by byte and cut at every point, from fresh copies beside a guard page. The outcome
// and the byte at which it is known must be the same.
#include "protocol/http/http_message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/bytes.h"

namespace ws::test {
namespace {

using Status = HttpHead::Status;
using Fields = std::vector<std::pair<std::string, std::string>>;

/// The result of parsing a head, copied.
struct Outcome {
  Status status = Status::kNeedMore;
  std::string error{};
  HttpHead::Limit limit = HttpHead::Limit::kNone;
  std::string exceeding_field{};
  std::size_t with = 0;  ///< bytes received when the outcome was known
  std::size_t size = 0;
  std::string start{};  ///< method, target, path and minor version; or status and reason
  Fields fields{};
  bool operator==(const Outcome&) const = default;
};

std::string start_of(const HttpRequest& head) {
  return std::string(head.method()) + " " + std::string(head.target()) + " " +
         std::string(head.path()) + " " + std::to_string(head.minor_version());
}
std::string start_of(const HttpResponse& head) {
  return std::to_string(head.status()) + " " + std::string(head.reason());
}

/// Parses the bytes up to each cut, as a session does. Each of these prefixes may lie at another address.
template <typename Head>
Outcome parse(std::string_view bytes, const std::vector<std::size_t>& cuts, const Limits& limits,
              GuardedMemory& memory) {
  Head head;
  for (const std::size_t end : cuts) {
    const std::string_view part = bytes.substr(0, end);
    const auto copy = end % 2 == 0 ? memory.before_guard(part) : memory.behind_guard(part);
    const Status status =
        head.parse({reinterpret_cast<const char*>(copy.data()), copy.size()}, limits);
    if (status == Status::kNeedMore)
      continue;
    Outcome outcome{.status = status,
                    .error = std::string(describe(head.error()).text),
                    .limit = head.exceeded_limit(),
                    .exceeding_field = std::string(head.exceeding_field()),
                    .with = end};
    if (status == Status::kError)
      return outcome;
    outcome.size = head.size();
    outcome.start = start_of(head);
    for (std::size_t i = 0; i < head.field_count(); ++i) {
      outcome.fields.emplace_back(head.field_name(i), head.field_value(i));
    }
    return outcome;
  }
  return {};
}

/// The outcome; expects that it is the same in every chunking.
template <typename Head = HttpRequest>
Outcome parse_in_every_way(const std::string& bytes, const Limits& limits = {}) {
  GuardedMemory memory(bytes.size());
  std::vector<std::size_t> every;
  for (std::size_t i = 0; i <= bytes.size(); ++i)
    every.push_back(i);
  const Outcome reference = parse<Head>(bytes, every, limits, memory);
  for (const std::size_t cut : every) {
    if (bytes.size() > 2000 && cut % 97 != 0 && bytes.size() - cut > 8)
      continue;
    Outcome outcome = parse<Head>(bytes, {cut, bytes.size()}, limits, memory);
    if (outcome.status != Status::kNeedMore) {
      EXPECT_EQ(outcome.with, reference.with <= cut ? cut : bytes.size()) << "cut at " << cut;
      outcome.with = reference.with;
    }
    EXPECT_TRUE(outcome == reference)
        << "cut at " << cut << ": " << outcome.error << " " << outcome.start
        << ", byte by byte: " << reference.error << " " << reference.start;
    if (outcome != reference)
      break;
  }
  return reference;
}

/// A valid request with `field` as one more line.
std::string with_field(std::string_view field) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(field) + "\r\n\r\n";
}
std::string with_line(std::string_view line) {
  return std::string(line) + "\r\nHost: a\r\n\r\n";
}

// The article's request, as the `ws` client sends it: 227 bytes, row 4 of the documented trace.
constexpr std::string_view kArticle =
    "GET /echo HTTP/1.1\r\n"                                                    // 20
    "Sec-WebSocket-Version: 13\r\n"                                             // 27
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                           // 45
    "Connection: Upgrade\r\n"                                                   // 21
    "Upgrade: websocket\r\n"                                                    // 20
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"  // 70
    "Host: localhost:8080\r\n"                                                  // 22
    "\r\n";                                                                     // 2

TEST(Request, ParsesTheRequestInTheDocumentedTrace) {
  static_assert(kArticle.size() == 227);
  const Outcome outcome = parse_in_every_way(std::string(kArticle));
  EXPECT_EQ(outcome.status, Status::kComplete);
  EXPECT_EQ(outcome.with, 227U);
  EXPECT_EQ(outcome.size, 227U);
  EXPECT_EQ(outcome.start, "GET /echo /echo 1");
  EXPECT_EQ(outcome.fields,
            (Fields{{"Sec-WebSocket-Version", "13"},
                    {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                    {"Connection", "Upgrade"},
                    {"Upgrade", "websocket"},
                    {"Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"},
                    {"Host", "localhost:8080"}}));
}

TEST(Request, ConsumesNoBytesAfterItsEmptyLine) {
  const std::string bytes = std::string(kArticle) + "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
  const Outcome outcome = parse_in_every_way(bytes);
  EXPECT_EQ(outcome.status, Status::kComplete);
  EXPECT_EQ(outcome.with, 227U);
  EXPECT_EQ(outcome.size, 227U);
}

TEST(RequestLine, AcceptsEachTargetFormAndHttp1Version) {
  const struct {
    const char* name;
    const char* line;
    const char* start;  // method, target, path, minor version
  } kRows[] = {
      {"origin-form", "GET /chat HTTP/1.1", "GET /chat /chat 1"},
      {"with a query", "GET /chat?a=/b?c HTTP/1.1", "GET /chat?a=/b?c /chat 1"},
      {"an empty query", "GET /? HTTP/1.1", "GET /? / 1"},
      {"with escapes", "GET /%20%aF HTTP/1.1", "GET /%20%aF /%20%aF 1"},
      {"a malformed escape in the query", "GET /?%zz% HTTP/1.1", "GET /?%zz% / 1"},
      {"two slashes", "GET //a//b HTTP/1.1", "GET //a//b //a//b 1"},
      {"absolute-form", "GET http://localhost:8080/echo?x HTTP/1.1",
       "GET http://localhost:8080/echo?x /echo 1"},
      {"absolute-form, ws", "GET ws://[::1]/echo HTTP/1.1", "GET ws://[::1]/echo /echo 1"},
      {"absolute-form without a path", "GET http://localhost HTTP/1.1", "GET http://localhost / 1"},
      {"absolute-form, a query and no path", "GET http://localhost?x=/ HTTP/1.1",
       "GET http://localhost?x=/ / 1"},
      {"authority-form", "CONNECT a:443 HTTP/1.1", "CONNECT a:443  1"},
      {"asterisk-form", "OPTIONS * HTTP/1.1", "OPTIONS * * 1"},
      {"an unknown method", "P!A#T$C%H /x HTTP/1.1", "P!A#T$C%H /x /x 1"},
      {"HTTP/1.0", "GET / HTTP/1.0", "GET / / 0"},
      {"HTTP/1.2, as 1.1 [9110-15.6.6-VERSION]", "GET / HTTP/1.2", "GET / / 1"},
      {"HTTP/1.9, as 1.1", "GET / HTTP/1.9", "GET / / 1"},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    const Outcome outcome = parse_in_every_way(with_line(row.line));
    EXPECT_EQ(outcome.status, Status::kComplete) << outcome.error;
    EXPECT_EQ(outcome.start, row.start);
  }
}

TEST(Request, RejectsEachMalformedHeadWithItsError) {
  using namespace std::string_literals;
  const struct {
    const char* name;
    std::string bytes;
    Error error;
  } kRows[] = {
      // Not HTTP at all: known from the first byte.
      {"a TLS ClientHello [9112-3-REQUEST]", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s,
       Error::kNotHttp},
      {"a NUL", "\0"s, Error::kNotHttp},
      {"a blank", " GET / HTTP/1.1\r\n", Error::kNotHttp},
      {"a bare LF first", "\nGET / HTTP/1.1\r\n", Error::kNotHttp},
      {"an HTTP answer [9112-3-REQUEST]", with_line("HTTP/1.1 200 OK"), Error::kRequestLine},
      {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Error::kHttpVersion},

      // [9112-2.2-EMPTY] one empty line is accepted, see below; two are not
      {"two empty lines", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Error::kRequestLine},

      // [9112-3-REQUEST] method SP target SP version
      {"only a method", with_line("GET"), Error::kRequestLine},
      {"HTTP/0.9", with_line("GET /"), Error::kRequestLine},
      {"no target", with_line("GET HTTP/1.1"), Error::kRequestLine},
      {"an empty target", with_line("GET  HTTP/1.1"), Error::kRequestLine},
      {"two blanks before the target", with_line("GET  / HTTP/1.1"), Error::kRequestLine},
      {"two blanks after it", with_line("GET /  HTTP/1.1"), Error::kRequestLine},
      {"a blank at the end", with_line("GET / HTTP/1.1 "), Error::kRequestLine},
      {"a blank in the target", with_line("GET /a b HTTP/1.1"), Error::kRequestLine},
      {"tabs instead of blanks", with_line("GET\t/\tHTTP/1.1"), Error::kRequestLine},
      {"a method that is no token", with_line("G(T / HTTP/1.1"), Error::kRequestLine},
      {"a method beyond ASCII", with_line("G\xc3\x89T / HTTP/1.1"), Error::kRequestLine},
      {"http/1.1 in lower case", with_line("GET / http/1.1"), Error::kRequestLine},
      {"a version of one digit", with_line("GET / HTTP/1"), Error::kRequestLine},
      {"a version of three", with_line("GET / HTTP/1.10"), Error::kRequestLine},
      {"a version without a dot", with_line("GET / HTTP/1,1"), Error::kRequestLine},
      {"another protocol", with_line("GET / HTTQ/1.1"), Error::kRequestLine},
      {"a major version that is no digit", with_line("GET / HTTP/a.1"), Error::kRequestLine},
      {"a minor version that is no digit", with_line("GET / HTTP/1.x"), Error::kRequestLine},

      // [9110-15.6.6-VERSION]
      {"HTTP/2.0", with_line("GET / HTTP/2.0"), Error::kHttpVersion},
      {"HTTP/3.0", with_line("GET / HTTP/3.0"), Error::kHttpVersion},
      {"an explicit HTTP/0.9", with_line("GET / HTTP/0.9"), Error::kHttpVersion},

      // [9112-3.2-TARGET]
      {"a fragment", with_line("GET /a#b HTTP/1.1"), Error::kTarget},
      {"a control character", with_line("GET /\x01 HTTP/1.1"), Error::kTarget},
      {"a DEL", with_line("GET /\x7f HTTP/1.1"), Error::kTarget},
      {"a tab in the target", with_line("GET /\t HTTP/1.1"), Error::kTarget},
      {"a NUL in the target", with_line("GET /\0 HTTP/1.1"s), Error::kTarget},
      {"a CR in the target", with_line("GET /\r HTTP/1.1"), Error::kTarget},
      {"beyond ASCII", with_line("GET /\xc3\xa9 HTTP/1.1"), Error::kTarget},
      {"a malformed escape [3986-2.1-PERCENT]", with_line("GET /%zz HTTP/1.1"), Error::kTarget},
      {"an escape of one digit", with_line("GET /%4 HTTP/1.1"), Error::kTarget},
      {"an escape cut by the query", with_line("GET /%4?1 HTTP/1.1"), Error::kTarget},
      {"a percent sign", with_line("GET http://a/% HTTP/1.1"), Error::kTarget},
      {"asterisk-form without OPTIONS [9112-3.2.4-ASTERISK]", with_line("GET * HTTP/1.1"),
       Error::kTarget},
      {"an asterisk and more", with_line("OPTIONS */ HTTP/1.1"), Error::kTarget},
      {"a path without its slash", with_line("GET echo HTTP/1.1"), Error::kTarget},
      {"an authority without CONNECT", with_line("GET a:443 HTTP/1.1"), Error::kTarget},
      {"CONNECT to no authority", with_line("CONNECT a?b HTTP/1.1"), Error::kTarget},
      {"a scheme that starts with a digit", with_line("GET 1://a/ HTTP/1.1"), Error::kTarget},
      {"no scheme", with_line("GET ://a/ HTTP/1.1"), Error::kTarget},
      {"no authority", with_line("GET http:///echo HTTP/1.1"), Error::kTarget},
      {"user information", with_line("GET http://u@a/ HTTP/1.1"), Error::kTarget},
      {"a malformed authority", with_line("GET http://a:x/ HTTP/1.1"), Error::kTarget},
      {"a zone", with_line("GET http://[fe80::1%25eth0]/ HTTP/1.1"), Error::kTarget},
      {"CONNECT to a malformed address", with_line("CONNECT [::1:443 HTTP/1.1"), Error::kTarget},

      // [9112-2.2-CRLF] lines end in CRLF, and contain no other CR or LF
      {"a bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", Error::kBareControl},
      {"a bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", Error::kBareControl},
      {"a bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", Error::kBareControl},
      {"a bare CR in a value", with_field("X: a\rb"), Error::kBareControl},
      {"two CRs", with_field("X: a\r"), Error::kBareControl},
      {"a CR at the start of a value", with_field("X:\ra"), Error::kBareControl},
      {"a NUL in a value", with_field("X: a\0b"s), Error::kBareControl},
      {"a control character in a value", with_field("X: a\x1f"), Error::kBareControl},
      {"a DEL in a value", with_field("X: \x7f"), Error::kBareControl},

      // [9112-5-FIELD]
      {"no colon", with_field("X"), Error::kFieldSyntax},
      {"no name", with_field(": x"), Error::kFieldSyntax},
      {"a blank before the colon", with_field("X : x"), Error::kFieldSyntax},
      {"a tab before the colon", with_field("X\t: x"), Error::kFieldSyntax},
      {"a name that is no token", with_field("X(: x"), Error::kFieldSyntax},
      {"a name beyond ASCII", with_field("\xc3\x89: x"), Error::kFieldSyntax},
      {"a NUL in a name", with_field("X\0: x"s), Error::kFieldSyntax},
      {"a CR in a name", with_field("X\r: x"), Error::kFieldSyntax},

      // [9112-5.2-FOLD]
      {"folded by a blank", with_field("X: a\r\n b"), Error::kFieldFolding},
      {"folded by a tab", with_field("X: a\r\n\tb: c"), Error::kFieldFolding},
      {"a blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
       Error::kFieldFolding},

      // [9112-3.2-HOST]
      {"no Host", "GET / HTTP/1.1\r\n\r\n", Error::kHost},
      {"no Host, HTTP/1.2", "GET / HTTP/1.2\r\nX: y\r\n\r\n", Error::kHost},
      {"two Hosts", with_field("Host: a"), Error::kHost},
      {"two Hosts, HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nhOST: a\r\n\r\n", Error::kHost},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Error::kHost},
      {"a Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Error::kHost},
      {"a Host with user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Error::kHost},
      {"a Host with a query", "GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", Error::kHost},
      {"a Host with a scheme", "GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", Error::kHost},
      {"a list of Hosts", "GET / HTTP/1.1\r\nHost: a:1,b:2\r\n\r\n", Error::kHost},
      // [3986-3.2.2-HOST]
      {"a port that is no number", "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", Error::kHost},
      {"a negative port", "GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n", Error::kHost},
      {"two ports", "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", Error::kHost},
      {"a malformed escape", "GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", Error::kHost},
      {"an IPv6 address without brackets", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", Error::kHost},
      {"an IPv6 address of nine groups", "GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8:9]\r\n\r\n",
       Error::kHost},
      {"an unclosed bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", Error::kHost},
      {"text after the bracket", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", Error::kHost},
      {"a name in brackets", "GET / HTTP/1.1\r\nHost: [a]\r\n\r\n", Error::kHost},
      {"a zone [6874-2-ZONE]", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", Error::kHost},
      // [9112-3.2-NO-AUTHORITY]
      {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", Error::kHost},
      {"an empty Host, HTTP/1.0", "GET / HTTP/1.0\r\nHost: \r\n\r\n", Error::kHost},
      {"an empty Host, absolute-form", "GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", Error::kHost},
      {"an empty Host, authority-form", "CONNECT a:443 HTTP/1.1\r\nHost:\r\n\r\n", Error::kHost},
      {"a port without a host", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", Error::kHost},
      {"the same, asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: :80\r\n\r\n", Error::kHost},
      {"a Host beyond ASCII", "GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", Error::kHost},

      // [9112-6.3-LENGTH] ambiguous lengths allow request smuggling
      {"Content-Length with Transfer-Encoding",
       with_field("Content-Length: 5\r\nTransfer-Encoding: chunked"), Error::kBodyLength},
      {"the other way round", with_field("transfer-encoding: chunked\r\ncontent-length: 0"),
       Error::kBodyLength},
      {"two Content-Lengths", with_field("Content-Length: 5\r\nContent-Length: 6"),
       Error::kBodyLength},
      {"two equal ones", with_field("Content-Length: 5\r\nContent-Length: 5"), Error::kBodyLength},
      {"a list of them", with_field("Content-Length: 5, 5"), Error::kBodyLength},
      {"a sign", with_field("Content-Length: +5"), Error::kBodyLength},
      {"a negative one", with_field("Content-Length: -1"), Error::kBodyLength},
      {"hexadecimal", with_field("Content-Length: 0x5"), Error::kBodyLength},
      {"an empty one", with_field("Content-Length: "), Error::kBodyLength},
      {"a blank inside", with_field("Content-Length: 1 2"), Error::kBodyLength},
      {"one beyond 2^63", with_field("Content-Length: 99999999999999999999"), Error::kBodyLength},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    const Outcome outcome = parse_in_every_way(row.bytes);
    EXPECT_EQ(outcome.status, Status::kError);
    EXPECT_EQ(outcome.error, describe(row.error).text);
  }
}

TEST(Request, ReportsAnErrorAtTheFirstBadByteOrLine) {
  EXPECT_EQ(parse_in_every_way("\x16\x03\x01").with, 1U) << "TLS, by its first byte";
  EXPECT_EQ(parse_in_every_way("\r\n\x16").with, 3U);
  EXPECT_EQ(parse_in_every_way("GET / HTTP/2.0\r\nHost").with, 16U) << "by the request line";
  EXPECT_EQ(parse_in_every_way("GET / HTTP/1.1\r\nX : y\r\nHost").with, 23U) << "by the field line";
}

TEST(Request, AcceptsUnusualHeadsThatTheStandardAllows) {
  // [9112-2.2-EMPTY] one empty line before the request is skipped, and counts in its size
  Outcome outcome = parse_in_every_way("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(outcome.status, Status::kComplete) << outcome.error;
  EXPECT_EQ(outcome.size, 29U);
  EXPECT_EQ(outcome.start, "GET / / 1");

  // Blanks around a value, an empty value, bytes beyond ASCII, any tchar in a name.
  outcome = parse_in_every_way(
      "GET / HTTP/1.1\r\n"
      "Host:a\r\n"
      "A: \t x y \t \r\n"
      "B:\r\n"
      "C: \t\r\n"
      "D: caf\xc3\xa9\r\n"
      "!#$%&'*+-.^_`|~09azAZ: ;:\"()\r\n"
      "\r\n");
  EXPECT_EQ(outcome.status, Status::kComplete) << outcome.error;
  EXPECT_EQ(outcome.fields, (Fields{{"Host", "a"},
                                    {"A", "x y"},
                                    {"B", ""},
                                    {"C", ""},
                                    {"D", "caf\xc3\xa9"},
                                    {"!#$%&'*+-.^_`|~09azAZ", ";:\"()"}}));

  // HTTP/1.0 requires no Host. A Host may be an address or have a port, which may be empty or too large. It may be
  // empty if the target has no authority. [9112-3.2-NO-AUTHORITY]
  for (const char* head :
       {"GET / HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "GET / HTTP/1.1\r\nHost: [v1.a]\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: %61\r\n\r\n", "GET / HTTP/1.1\r\nhOsT: [::1]:80\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a-b.c_d:1\r\n\r\n"}) {
    EXPECT_EQ(parse_in_every_way(head).status, Status::kComplete) << head;
  }
}

// ------------------------------------------------------------------ limits, each at N and N + 1

TEST(RequestLineLimit, RejectsALineThatIsOneByteTooLong) {
  // [9112-3-LENGTH] N counts the line without its CRLF: "GET /" 5, " HTTP/1.1" 9.
  Limits limits;
  limits.request_line = 30;
  const auto request = [](std::size_t size) {
    return with_line("GET /" + std::string(size - 14, 'x') + " HTTP/1.1");
  };
  EXPECT_EQ(parse_in_every_way(request(30), limits).status, Status::kComplete);
  EXPECT_EQ(parse_in_every_way(request(31), limits).error,
            describe(Error::kRequestLineTooLong).text);
  EXPECT_EQ(parse_in_every_way("\r\n" + request(30), limits).status, Status::kComplete);
  // Detected before the end of the line, at N + 2 bytes: byte N + 1 may be the CR.
  EXPECT_EQ(parse_in_every_way(std::string(31, 'x'), limits).status, Status::kNeedMore);
  EXPECT_EQ(parse_in_every_way(std::string(1000, 'x'), limits).with, 32U);

  const Limits defaults;
  EXPECT_EQ(defaults.request_line, 8192U);
  EXPECT_EQ(parse_in_every_way(request(8192)).status, Status::kComplete);
  EXPECT_EQ(parse_in_every_way(request(8193)).error, describe(Error::kRequestLineTooLong).text);
}

TEST(FieldLimits, RejectALongLineTooManyFieldsAndTooManyBytes) {
  // [6585-5-FIELDS]
  const std::string too_large(describe(Error::kFieldsTooLarge).text);
  Limits limits;
  limits.field_line = 20;  // "X: " 3
  const auto one = [](std::size_t size) { return with_field("X: " + std::string(size - 3, 'x')); };
  EXPECT_EQ(parse_in_every_way(one(20), limits).status, Status::kComplete);
  EXPECT_EQ(parse_in_every_way(one(21), limits).error, too_large);
  EXPECT_EQ(parse_in_every_way("GET / HTTP/1.1\r\n" + std::string(1000, 'x'), limits).with,
            16U + 22U)
      << "detected before the end of the line";

  limits = Limits{};
  limits.fields = 4;
  const auto many = [](std::size_t count) {  // Host is one of them
    std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (std::size_t i = 1; i < count; ++i)
      bytes += "X: y\r\n";
    return bytes + "\r\n";
  };
  EXPECT_EQ(parse_in_every_way(many(4), limits).status, Status::kComplete);
  EXPECT_EQ(parse_in_every_way(many(5), limits).error, too_large);
  EXPECT_EQ(parse_in_every_way(many(5), limits).with, 16U + 9 + 3 * 6 + 2)
      << "detected at the second byte of the line: the first could be the CR of the empty line";

  limits = Limits{};
  limits.field_bytes = 9 + 20;  // "Host: a" CRLF is 9; the other line has 20 with its CRLF
  const auto sum = [](std::size_t size) {
    return with_field("X: " + std::string(size - 9 - 3 - 2, 'x'));
  };
  EXPECT_EQ(parse_in_every_way(sum(29), limits).status, Status::kComplete);
  EXPECT_EQ(parse_in_every_way(sum(30), limits).error, too_large);
  EXPECT_EQ(
      parse_in_every_way("GET / HTTP/1.1\r\nHost: a\r\n" + std::string(1000, 'x'), limits).with,
      16U + 9 + 20)
      << "at least 19 characters and a CRLF exceed the limit";
}

// Each head is also parsed byte by byte and cut at every point, see parse_in_every_way.
TEST(FieldLimits, NameTheLimitThatIsExceededFirstAndItsField) {
  using Limit = HttpHead::Limit;
  Limits limits;
  limits.request_line = 20;
  limits.field_line = 30;
  limits.fields = 4;
  limits.field_bytes = 9 + 60;  // "Host: a" CRLF is 9
  const struct {
    std::string head;
    Limit limit;
    std::string field;
  } kRows[] = {
      {with_line("GET /" + std::string(50, 'x') + " HTTP/1.1"), Limit::kRequestLine, ""},
      {std::string(50, 'x'), Limit::kRequestLine, ""},
      {with_field("Cookie: " + std::string(23, 'x')), Limit::kFieldLine, "Cookie"},
      {with_field("Cookie: " + std::string(500, 'x')), Limit::kFieldLine, "Cookie"},
      {with_field(std::string(50, 'x') + ":"), Limit::kFieldLine, std::string(31, 'x')},
      {with_field(std::string(30, '\x01') + ":"), Limit::kFieldLine, std::string(30, '\x01')},
      // 27 + 2 bytes, 31 bytes left
      {with_field("A: " + std::string(24, 'x') + "\r\nB: " + std::string(26, 'x')), Limit::kNone,
       ""},
      {with_field("A: " + std::string(24, 'x') + "\r\nB: " + std::string(27, 'x')),
       Limit::kFieldBytes, "B"},
      {with_field("A: " + std::string(24, 'x') + "\r\nB: " + std::string(99, 'x')),
       Limit::kFieldBytes, "B"},
      // 1 byte left: the end of the fields comes before the end of the name
      {with_field("A: " + std::string(25, 'x') + "\r\nB: " + std::string(22, 'x') +
                  "\r\nCookie: x"),
       Limit::kFieldBytes, "Co"},
      {with_field("A: b\r\nC: d\r\nE: f\r\nG: " + std::string(99, 'x')), Limit::kFields, "E"},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.head);
    const Outcome outcome = parse_in_every_way(row.head, limits);
    EXPECT_EQ(outcome.status == Status::kError, row.limit != Limit::kNone);
    EXPECT_EQ(outcome.limit, row.limit);
    EXPECT_EQ(outcome.exceeding_field, row.field);
  }
  limits.fields = 0;
  EXPECT_EQ(parse_in_every_way(with_field("A: b"), limits).exceeding_field, "");
}

TEST(FieldLimits, DefaultTo8KiBPerLine100FieldsAnd32KiBInTotal) {
  const Limits defaults;
  EXPECT_EQ(defaults.field_line, 8192U);
  EXPECT_EQ(defaults.fields, 100U);
  EXPECT_EQ(defaults.field_bytes, 32768U);
  const auto head = [](std::size_t fields, std::size_t line) {
    std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";  // 9 bytes of fields
    for (std::size_t i = 1; i < fields; ++i)
      bytes += "X: " + std::string(line - 3, 'x') + "\r\n";
    return bytes + "\r\n";
  };
  const std::string too_large(describe(Error::kFieldsTooLarge).text);
  EXPECT_EQ(parse_in_every_way(head(100, 10)).status, Status::kComplete);
  EXPECT_EQ(parse_in_every_way(head(101, 10)).error, too_large);
  EXPECT_EQ(parse_in_every_way(head(2, 8192)).status, Status::kComplete);
  EXPECT_EQ(parse_in_every_way(head(2, 8193)).error, too_large);
}

TEST(Request, ParsesTheLargestHeadByteByByte) {
  // Fields of exactly 32 KiB after a line of 8 KiB. A parser that restarts at each byte would read a billion bytes.
  std::string bytes = "GET /" + std::string(8192 - 14, 'x') + " HTTP/1.1\r\nHost: a\r\n";
  std::size_t left = 32768 - 9;
  for (std::size_t i = 99; i > 0; --i) {
    const std::size_t line = left / i;
    bytes += "X: " + std::string(line - 5, 'x') + "\r\n";
    left -= line;
  }
  bytes += "\r\n";
  EXPECT_EQ(bytes.size(), 8192U + 2 + 32768 + 2);
  const Limits limits;
  HttpRequest head;
  std::size_t size = 0;
  while (head.parse(std::string_view(bytes).substr(0, size), limits) == Status::kNeedMore)
    ++size;
  EXPECT_EQ(size, bytes.size());
  EXPECT_EQ(head.error(), Error::kNone);
  EXPECT_EQ(head.field_count(), 100U);
}

TEST(Head, ParsesANewMessageAfterReset) {
  const Limits limits;
  HttpRequest head;
  EXPECT_EQ(head.parse("\r\nGET /a HTTP/1.0\r\nX", limits), Status::kNeedMore);
  head.reset();
  EXPECT_EQ(head.parse("\r\nGET /b HTTP/1.1\r\nHost: b\r\n\r\n", limits), Status::kComplete);
  EXPECT_EQ(head.path(), "/b");
  EXPECT_EQ(head.field_count(), 1U);
  head.reset();
  EXPECT_EQ(head.parse("BAD\r\n", limits), Status::kError);
  head.reset();
  EXPECT_EQ(head.error(), Error::kNone);
  EXPECT_EQ(head.parse("GET /c HTTP/1.1\r\nHost: c\r\n\r\n", limits), Status::kComplete);
  EXPECT_EQ(head.find("host"), "c");
}

// ------------------------------------------------------------------ fields, lists, names

TEST(Fields, AreFoundInAnyCaseAndOverSeveralLines) {
  const Limits limits;
  HttpRequest head;
  ASSERT_EQ(head.parse("GET / HTTP/1.1\r\n"
                       "Host: a\r\n"
                       "Connection: keep-alive , ,Upgrade\r\n"
                       "connection: close\r\n"
                       "Upgrade: h2c,websockets\r\n"
                       "Empty:\r\n"
                       "\r\n",
                       limits),
            Status::kComplete);
  EXPECT_EQ(head.count("CONNECTION"), 2U);
  EXPECT_EQ(head.count("connect"), 0U);
  EXPECT_EQ(head.find("connection"), "keep-alive , ,Upgrade") << "the first of two";
  EXPECT_EQ(head.find("nothing"), std::nullopt);
  EXPECT_EQ(head.find("empty"), "");
  EXPECT_TRUE(head.lists("Connection", "upgrade"));
  EXPECT_TRUE(head.lists("Connection", "CLOSE"));
  EXPECT_FALSE(head.lists("Connection", ""));
  EXPECT_FALSE(head.lists("Connection", "keep"));
  EXPECT_TRUE(head.lists("Upgrade", "H2C"));
  EXPECT_FALSE(head.lists("Upgrade", "websocket")) << "an element is compared whole";
  EXPECT_FALSE(head.lists("Empty", "x"));
}

TEST(Request, HasABodyIfItsLengthIsNotZeroOrItHasATransferEncoding) {
  const struct {
    const char* field;
    bool has_body;
  } kRows[] = {
      {"X: y", false},
      {"Content-Length: 0", false},
      {"Content-Length: 000", false},
      {"Content-Length: 1", true},
      {"Content-Length: 10", true},
      {"Content-Length: 9999999999999999999", true},  // 19 digits
      {"Transfer-Encoding: chunked", true},
  };
  for (const auto& row : kRows) {
    const Limits limits;
    HttpRequest head;
    const std::string bytes = with_field(row.field);
    EXPECT_EQ(head.parse(bytes, limits), Status::kComplete) << row.field;
    EXPECT_EQ(head.has_body(), row.has_body) << row.field;
  }
}

// ------------------------------------------------------------------ responses

TEST(Response, ParsesItsStatusReasonAndFields) {
  const Outcome outcome = parse_in_every_way<HttpResponse>(
      "HTTP/1.1 101 Switching Protocols\r\n"
      "upgrade: websocket\r\n"
      "\r\n"
      "\x81\x05Hello");
  EXPECT_EQ(outcome.status, Status::kComplete);
  EXPECT_EQ(outcome.size, 56U);
  EXPECT_EQ(outcome.start, "101 Switching Protocols");
  EXPECT_EQ(outcome.fields, (Fields{{"upgrade", "websocket"}}));
}

TEST(StatusLine, AcceptsValidLinesAndRejectsMalformedOnes) {
  const struct {
    const char* line;
    const char* start;  // status and reason; null: refused
  } kRows[] = {
      {"HTTP/1.1 200 OK", "200 OK"},
      {"HTTP/1.0 404 Not Found", "404 Not Found"},
      {"HTTP/1.1 204 ", "204 "},
      {"HTTP/1.1 204", "204 "},  // without the blank, as many servers send it
      {"HTTP/1.1 599 caf\xc3\xa9", "599 caf\xc3\xa9"},
      // [9112-4-STATUS]
      {"HTTP/2.0 200 OK", nullptr},
      {"http/1.1 200 OK", nullptr},
      {"HTTP/1.x 200 OK", nullptr},
      {"HTTP/1.1  200 OK", nullptr},
      {"HTTP/1.1\t200 OK", nullptr},
      {"HTTP/1.1 20", nullptr},
      {"HTTP/1.1 2000", nullptr},
      {"HTTP/1.1 2x0 OK", nullptr},
      {"HTTP/1.1 20x OK", nullptr},
      {"HTTP/1.1 099 OK", nullptr},
      {"HTTP/1.1 200\tOK", nullptr},
      {"HTTP/1.1", nullptr},
      {"GET / HTTP/1.1", nullptr},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.line);
    const Outcome outcome = parse_in_every_way<HttpResponse>(std::string(row.line) + "\r\n\r\n");
    if (row.start != nullptr) {
      EXPECT_EQ(outcome.status, Status::kComplete) << outcome.error;
      EXPECT_EQ(outcome.start, row.start);
    } else {
      EXPECT_EQ(outcome.error, describe(Error::kStatusLine).text);
    }
  }
}

TEST(StatusLine, RejectsAColonInPlaceOfADigit) {
  // [9112-4-STATUS]
  EXPECT_EQ(parse_in_every_way<HttpResponse>("HTTP/1.1 :00 OK\r\n\r\n").error,
            describe(Error::kStatusLine).text);
}

TEST(StatusLine, RejectsABareCarriageReturnInTheReason) {
  // [9112-2.2-CRLF] other text in a reason is allowed
  EXPECT_EQ(parse_in_every_way<HttpResponse>("HTTP/1.1 200 O\rK\r\n\r\n").error,
            describe(Error::kBareControl).text);
}

}  // namespace
}  // namespace ws::test
