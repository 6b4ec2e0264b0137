// Text helpers, at the limits of the input that they accept.
#include "protocol/text.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace ws {
namespace {

TEST(EqualsIgnoringCase, ComparesAsciiLettersOnly) {
  EXPECT_TRUE(equals_ignoring_case("", ""));
  EXPECT_TRUE(equals_ignoring_case("Upgrade", "uPGRADE"));
  EXPECT_TRUE(equals_ignoring_case("AZ", "az"));
  EXPECT_FALSE(equals_ignoring_case("a", "ab"));
  EXPECT_FALSE(equals_ignoring_case("[", "{")) << "not letters, but one bit differs, as in A and a";
  EXPECT_FALSE(equals_ignoring_case("@", "`"));
  EXPECT_FALSE(equals_ignoring_case("\xc3\x89", "\xc3\xa9"));
}

TEST(IsToken, AcceptsVisibleAsciiWithoutDelimiters) {
  // RFC 9110 §5.6.2, written a second time
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool is_delimiter =
        std::string_view("\"(),/:;<=>?@[\\]{}").find(c) != std::string_view::npos;
    EXPECT_EQ(is_token(std::string_view(&c, 1)), i > 0x20 && i < 0x7F && !is_delimiter) << i;
  }
  EXPECT_FALSE(is_token(""));
  EXPECT_TRUE(is_token("a-b"));
  EXPECT_FALSE(is_token("a b"));
}

TEST(Trim, RemovesBlanksAtBothEndsOnly) {
  EXPECT_EQ(trim(" \t a \t b\t "), "a \t b");
  EXPECT_EQ(trim(" \t "), "");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim("\r\na\v"), "\r\na\v") << "no other white space: RFC 9110 §5.6.3";
}

TEST(NextListElement, SplitsAtCommasAndSkipsEmptyElements) {
  const struct {
    std::string_view list;
    std::vector<std::string_view> elements;
  } kRows[] = {
      {"", {}}, {" , ,\t,", {}}, {"a", {"a"}}, {" a , b\t,c", {"a", "b", "c"}}, {",a b,,", {"a b"}},
  };
  for (const auto& row : kRows) {
    std::string_view rest = row.list;
    std::vector<std::string_view> elements;
    while (const auto element = next_list_element(rest))
      elements.push_back(*element);
    EXPECT_EQ(elements, row.elements) << row.list;
    EXPECT_TRUE(rest.empty());
  }
}

TEST(ToHex, WritesTwoDigitsForEachByte) {
  constexpr std::array kBytes = {std::byte{0x00}, std::byte{0x0f}, std::byte{0xf0},
                                 std::byte{0xab}};
  EXPECT_EQ(to_hex(kBytes), "000ff0ab");
  EXPECT_EQ(to_hex(kBytes, ":"), "00:0f:f0:ab");
  EXPECT_EQ(to_hex(std::span<const std::byte>(), ":"), "");
}

TEST(ToHex, PadsANumberAndNeverCutsIt) {
  EXPECT_EQ(to_hex(0, 1), "0");
  EXPECT_EQ(to_hex(0x2a, 4), "002a");
  EXPECT_EQ(to_hex(0x12345, 4), "12345");
  EXPECT_EQ(to_hex(UINT64_MAX, 0), "ffffffffffffffff");
}

TEST(AsText, RestoresTheTextGivenToAsBytes) {
  const std::string text("a\0\xff", 3);
  EXPECT_EQ(as_text(as_bytes(text)), text);
  EXPECT_EQ(as_bytes(text)[2], std::byte{0xff});
}

TEST(PercentEncoding, HasTwoHexDigitsAfterEachPercentSign) {
  const auto all = [](char) { return true; };
  for (const auto* const text : {"", "a", "%41", "%aF%00", "%25%3A", "a%7eb"})
    EXPECT_TRUE(is_percent_encoded(text, all)) << text;
  for (const auto* const text : {"%", "%4", "a%", "%%41", "%4g", "%g4", "%-1", "% 1"})
    EXPECT_FALSE(is_percent_encoded(text, all)) << text;
  EXPECT_TRUE(is_percent_encoded("a%2F", is_alpha));
  EXPECT_FALSE(is_percent_encoded("a/", is_alpha));
}

// [3986-6.2.2.2-UNRESERVED] letters, digits and "-._~"; all others keep their meaning only if they stay encoded
TEST(PercentEncoding, IsDecodedForUnreservedCharactersOnly) {
  EXPECT_EQ(decode_unreserved("/%65%63ho"), "/echo");
  EXPECT_EQ(decode_unreserved("%41%5a%61%7A%30%39%2D%2e%5F%7E"), "AZaz09-._~");
  EXPECT_EQ(decode_unreserved(""), "");
  for (const std::string text :
       {"%2F", "%3F", "%25", "%2565", "%20", "%00", "%7f", "%C3%BC", "%2a", "a/b"})
    EXPECT_EQ(decode_unreserved(text), text);
}

}  // namespace
}  // namespace ws
