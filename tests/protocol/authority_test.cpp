// parse_authority splits host and port; has_authority_characters checks the characters.
#include "protocol/authority.h"

#include <gtest/gtest.h>

#include <string>

namespace ws {
namespace {

TEST(ParseAuthority, SplitsHostAndPort) {
  const struct {
    const char* text;
    const char* host;
    int port;  // -1: none
  } rows[] = {
      {"example.com", "example.com", -1},
      {"example.com:", "example.com", -1},
      {"localhost:8080", "localhost", 8080},
      {"127.0.0.1:0", "127.0.0.1", 0},
      {"a:65535", "a", 65535},
      {"a:0080", "a", 80},
      // An IPv6 address keeps its brackets and its colons.
      {"[::1]", "[::1]", -1},
      {"[::1]:", "[::1]", -1},
      {"[2001:db8::1]:443", "[2001:db8::1]", 443},
  };
  for (const auto& [text, host, port] : rows) {
    const auto authority = parse_authority(text);
    ASSERT_TRUE(authority.has_value()) << text;
    EXPECT_EQ(authority->host, host) << text;
    EXPECT_EQ(authority->port.has_value() ? int{*authority->port} : -1, port) << text;
  }
}

TEST(ParseAuthority, RejectsAnEmptyHostOrAnInvalidPort) {
  for (const char* const text : {"", ":", ":80", "::1", "a:65536", "a:99999999999", "a:x", "a:8x",
                                 "a:+80", "a:-0", "a: 80", "a:80:80", "[::1]:x"}) {
    EXPECT_FALSE(parse_authority(text).has_value()) << text;
  }
}

TEST(ParseAuthority, ReadsNoBytesAfterTheEndOfTheText) {
  EXPECT_EQ(parse_authority(std::string_view("a:8080").substr(0, 4))->port, 80);
  EXPECT_EQ(parse_authority(std::string_view("a:8080").substr(0, 2))->port, std::nullopt);
}

TEST(HasAuthorityCharacters, AcceptsOnlyCharactersOfHostsAndPorts) {
  // RFC 3986 §3.2 without userinfo: unreserved, percent, sub-delims, brackets and colons
  EXPECT_TRUE(has_authority_characters("aZ09-._~%41!$&'()*+,;=[::1]:80"));
  EXPECT_TRUE(has_authority_characters(""));
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    if (i <= 0x20 || i >= 0x7F ||
        std::string_view("\"#/<>?@\\^`{|}").find(c) != std::string_view::npos)
      EXPECT_FALSE(has_authority_characters(std::string("a") + c)) << i;
    else
      EXPECT_TRUE(has_authority_characters(std::string("a") + c)) << i;
  }
}

}  // namespace
}  // namespace ws
