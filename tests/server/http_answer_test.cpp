// The text of HTTP answers other than 101.
#include "server/http/http_answer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <span>
#include <string>

namespace ws {
namespace {

std::string written(const Answer& answer, std::time_t now = 0) {
  Output out;
  write_answer(answer, now, out);
  std::string text;
  out.for_each_piece([&](std::span<const std::byte> piece) {
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  return text;
}

TEST(HttpAnswer, HasAllFieldsAndClosesTheConnection) {
  ::setenv("TZ", "EAST-9", 1);  // the Date must still be UTC
  ::tzset();
  EXPECT_EQ(written(refusal(Error::kPath), 784111777),
            "HTTP/1.1 404 Not Found\r\n"
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Connection: close\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: 33\r\n"
            "\r\n"
            "no such path; try /echo or /chat\n");
}

TEST(HttpAnswer, WritesDayAndTimeOfItsDateWithTwoDigits) {
  EXPECT_NE(written(refusal(Error::kPath), 1286705410).find("Date: Sun, 10 Oct 2010 10:10:10 GMT"),
            std::string::npos);
}

TEST(HttpAnswer, ListsUpgradeInTheConnectionFieldOfA426) {
  EXPECT_NE(written(refusal(Error::kNotAnUpgrade)).find("Connection: close, Upgrade\r\n"),
            std::string::npos);
}

TEST(HttpAnswer, HasContentLengthButNoBodyForAHeadRequest) {
  const std::string text = written({.status = 200, .body = "ok\n", .is_head = true});
  EXPECT_TRUE(text.ends_with("Content-Length: 3\r\n\r\n")) << text;
}

// [9112-3-LENGTH] [6585-5-FIELDS]
TEST(Refusal, NamesTheLimitItsOptionAndTheFieldThatExceedsIt) {
  Limits limits;
  limits.request_line = 40;
  limits.field_line = 100;
  limits.fields = 3;
  limits.field_bytes = 150;
  const auto body = [&](const std::string& lines) {
    HttpRequest request;
    EXPECT_EQ(request.parse(lines, limits), HttpHead::Status::kError);
    return refusal(request, limits).body;
  };
  const std::string head = "GET / HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(body("GET /" + std::string(99, 'x') + " HTTP/1.1\r\n"),
            "the request line is longer than 40 bytes (--max-request-line)\n");
  EXPECT_EQ(body(head + "Cookie: " + std::string(99, 'x') + "\r\n"),
            "the header field 'Cookie' is longer than 100 bytes (--max-field-line)\n");
  EXPECT_EQ(body(head + "A: b\r\nC: d\r\nE: f\r\n"),
            "the request has more than 3 header fields (--max-fields); the last one within the "
            "limit is 'C'\n");
  EXPECT_EQ(
      body(head + "A: " + std::string(90, 'x') + "\r\nCookie: " + std::string(90, 'x') + "\r\n"),
      "the header fields are longer than 150 bytes in total (--max-field-bytes); the limit is "
      "exceeded in "
      "'Cookie'\n");
  EXPECT_EQ(body(head + "A\x1b\xff" + std::string(99, 'x')),
            "the header field 'A\\x1b\\xff" + std::string(61, 'x') +
                "… (101 bytes)' is longer than 100 bytes (--max-field-line)\n");
  EXPECT_EQ(body("GET /x y HTTP/1.1\r\n"), "malformed request line\n");
}

}  // namespace
}  // namespace ws
