// Payloads are decoded like in Java. The right-hand side is the result of OpenJDK 17 for the left-hand side, with
// `new String(bytes, UTF_8).getBytes(UTF_8)`; each ef bf bd in it is written as "?".
#include "server/app/payload_text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "protocol/frame/utf8.h"
#include "tests/support/bytes.h"

namespace ws {
namespace {

using test::Bytes;
using test::hex;

struct Row {
  std::string_view payload;
  std::string_view text;
};

constexpr Row kRows[] = {
    {"48 65 6c 6c 6f", "48 65 6c 6c 6f"},
    {"00", "00"},
    {"c3 a9", "c3 a9"},
    {"e4 bd a0 e5 a5 bd", "e4 bd a0 e5 a5 bd"},
    {"f0 9f 98 80", "f0 9f 98 80"},
    {"ef bf bd", "?"},
    {"ff", "?"},
    {"fe ff", "? ?"},
    {"ff fe", "? ?"},
    {"80", "?"},
    {"41 80 42", "41 ? 42"},
    {"c0 80", "? ?"},
    {"c1 bf", "? ?"},
    {"c2", "?"},
    {"c2 41", "? 41"},
    {"c3 a9 c3", "c3 a9 ?"},
    {"e0 80 80", "? ? ?"},
    {"e0 9f bf", "? ? ?"},
    {"e0 a0", "?"},
    {"e2 82", "?"},
    {"e2 82 41", "? 41"},
    {"e2 41 41", "? 41 41"},
    {"e2 28 a1", "? 28 ?"},
    {"ed 9f bf", "ed 9f bf"},
    {"ed a0 80", "?"},
    {"ed a0", "?"},
    {"ed a0 41", "? 41"},
    {"ed b0 80", "?"},
    {"ed a0 80 ed b0 80", "? ?"},
    {"ef bf", "?"},
    {"f0 80 80 80", "? ? ? ?"},
    {"f0 8f bf bf", "? ? ? ?"},
    {"f0 90 80", "?"},
    {"f0 90 80 41", "? 41"},
    {"f0 90 41", "? 41"},
    {"f0 90", "?"},
    {"f0", "?"},
    {"f0 41 80 80", "? 41 ? ?"},
    {"f4 8f bf bf", "f4 8f bf bf"},
    {"f4 90 80 80", "? ? ? ?"},
    {"f4 80", "?"},
    {"f5 80 80 80", "? ? ? ?"},
    {"f8 88 80 80 80", "? ? ? ? ?"},
    {"fc 84 80 80 80 80", "? ? ? ? ? ?"},
    {"41 ff 42 fe 43", "41 ? 42 ? 43"},
};

Bytes expected(std::string_view row) {
  Bytes bytes;
  while (!row.empty()) {
    const std::string_view one = row.substr(0, row.find(' '));
    bytes += one == "?" ? "\xEF\xBF\xBD" : hex(one);
    row.remove_prefix(std::min(one.size() + 1, row.size()));
  }
  return bytes;
}

TEST(PayloadText, ReplacesMalformedUtf8LikeJava) {
  for (const Row& row : kRows) {
    const Bytes payload = hex(row.payload);
    const std::string text = payload_text(std::as_bytes(std::span(payload)));
    EXPECT_EQ(text, expected(row.text)) << row.payload;
    EXPECT_TRUE(is_utf8(std::as_bytes(std::span(text)))) << row.payload;
  }
  EXPECT_EQ(payload_text({}), "");
}

TEST(MessageText, DoesNotCopyAValidUtf8Payload) {
  const Bytes valid = "gr\xC3\xBC\xC3\x9F";
  const Bytes invalid = "\xFF";
  std::string storage;
  EXPECT_EQ(message_text(Opcode::kText, std::as_bytes(std::span(valid)), storage).data(),
            valid.data());
  EXPECT_EQ(message_text(Opcode::kBinary, std::as_bytes(std::span(valid)), storage).data(),
            valid.data());
  EXPECT_EQ(message_text(Opcode::kBinary, std::as_bytes(std::span(invalid)), storage),
            "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace ws
