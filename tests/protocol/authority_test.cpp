// parse_authority splits host and port; is_host and the others check the grammar of RFC 3986.
#include "protocol/authority.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
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

// [3986-3.2.2-HOST]
constexpr const char* kAddresses[] = {"::",
                                      "::1",
                                      "1::",
                                      "fe80::1",
                                      "2001:db8::8:800:200c:417a",
                                      "1:2:3:4:5:6:7:8",
                                      "1:2:3:4:5:6:7::",
                                      "::2:3:4:5:6:7:8",
                                      "1::3:4:5:6:7:8",
                                      "::ffff:127.0.0.1",
                                      "64:ff9b::192.0.2.33",
                                      "1:2:3:4:5:6:255.255.255.255",
                                      "1:2:3:4:5::0.0.0.0",
                                      "::1:2:3:4:5:1.2.3.4",
                                      "ABCD:ef01::"};
constexpr const char* kNoAddresses[] = {"",
                                        ":",
                                        ":::",
                                        "1",
                                        "1:2",
                                        ":1",
                                        "1:",
                                        "::1:",
                                        ":1::",
                                        "1:::2",
                                        "::1::",
                                        "1::2::3",
                                        "12345::",
                                        "g::",
                                        "1:2:3:4:5:6:7",
                                        "1:2:3:4:5:6:7:8:9",
                                        "1:2:3:4:5:6:7:8::",
                                        "::1:2:3:4:5:6:7:8",
                                        "1:2:3:4::5:6:7:8",
                                        "1.2.3.4",
                                        "::1.2.3",
                                        "::1.2.3.4.5",
                                        "::1.2.3.4:5",
                                        "1.2.3.4::",
                                        "::256.0.0.1",
                                        "::01.2.3.4",
                                        "::1.2.3.",
                                        "::.1.2.3",
                                        "::1..2.3",
                                        "1:2:3:4:5:6:7:1.2.3.4",
                                        "1:2:3:4:5:6::1.2.3.4",
                                        "::1.2.3.0004",
                                        "::1.2.3.a",
                                        "::1 ",
                                        " ::1",
                                        "::1/64",
                                        "::1%1",
                                        "::1%25",
                                        "::1%eth0",
                                        "::%31",
                                        "[::1]"};

TEST(IsHost, AcceptsNamesAndAddresses) {
  for (const std::string_view text :
       {"a", "example.com", "example.com.", "localhost", "127.0.0.1", "999.1.1.1", "a_b", "-", "~",
        "1", ".", "xn--bcher-kva.example", "b%C3%BCcher", "%61", "%7e", "!$&'()*+,;=", "[v1.a]",
        "[vF.a:b]", "[V10.!$&'()*+,;=:-._~aZ09]"})
    EXPECT_TRUE(is_host(text)) << text;
  for (const std::string text : kAddresses)
    EXPECT_TRUE(is_host("[" + text + "]")) << text;
}

TEST(IsHost, RejectsTextsThatTheGrammarDoesNotAllow) {
  for (const std::string_view text : {"",
                                      ":",
                                      "a:",
                                      "a b",
                                      " a",
                                      "a/b",
                                      "u@a",
                                      "a?b",
                                      "a#b",
                                      "a,b\"",
                                      "<a>",
                                      "a\\b",
                                      "a^b",
                                      "a|b",
                                      "{a}",
                                      "`a`",
                                      "%",
                                      "%6",
                                      "a%",
                                      "a%6",
                                      "%zz",
                                      "%6g",
                                      "%g6",
                                      "%%61",
                                      "[",
                                      "]",
                                      "[]",
                                      "[::1",
                                      "::1]",
                                      "::1",
                                      "a]",
                                      "[a]",
                                      "[::1]a",
                                      "a[::1]",
                                      "[[::1]]",
                                      "[::1][::1]",
                                      "[v.a]",
                                      "[v1]",
                                      "[v1.]",
                                      "[vg.a]",
                                      "[1.a]",
                                      "[v1.a/b]",
                                      "[v1.%61]",
                                      "[v1.a b]",
                                      "[v]",
                                      "[.a]",
                                      "[127.0.0.1]",
                                      "[fe80::1%25eth0]",
                                      "[fe80::1%eth0]",
                                      "b\xc3\xbc",
                                      "a\x7f",
                                      "a\t"})
    EXPECT_FALSE(is_host(text)) << text;
  EXPECT_FALSE(is_host(std::string_view("a\0b", 3)));
  for (const std::string text : kNoAddresses)
    EXPECT_FALSE(is_host("[" + text + "]")) << text;
}

TEST(IsHost, AcceptsInNamesOnlyUnreservedCharactersAndDelimiters) {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool is_allowed =
        i > 0x20 && i < 0x7F &&
        std::string_view("\"#%/:<>?@[\\]^`{|}").find(c) == std::string_view::npos;
    EXPECT_EQ(is_host(std::string("a") + c), is_allowed) << i;
    EXPECT_EQ(is_host(std::string("%a") + c), i < 0x7F && std::isxdigit(i) != 0) << i;
  }
}

// is_host and inet_pton must accept the same addresses.
TEST(IsHost, AgreesWithInetPtonAboutEveryIpv6Address) {
  std::mt19937 random(6874);
  const auto pick = [&random](std::size_t size) { return random() % size; };
  constexpr std::array<const char*, 12> kParts = {":", ":",  "::",    "1",       "0",     "ffff",
                                                  "a", "B2", "1:2:3", "1.2.3.4", "12345", "255"};
  std::size_t accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    if (pick(2) == 0) {
      for (std::size_t parts = 1 + pick(14); parts > 0; --parts)
        text += kParts[pick(kParts.size())];
    } else {  // almost an address
      text = kAddresses[pick(std::size(kAddresses))];
      constexpr std::string_view kCharacters = ":.0127afG";
      for (std::size_t edits = pick(3); edits > 0; --edits) {
        const std::size_t at = pick(text.size());
        text.replace(at, pick(2), 1, kCharacters[pick(kCharacters.size())]);
      }
    }
    in6_addr address{};
    const bool expected = inet_pton(AF_INET6, text.c_str(), &address) == 1;
    accepted += expected ? 1 : 0;
    ASSERT_EQ(is_host("[" + text + "]"), expected) << text;
  }
  EXPECT_GT(accepted, 20'000U);
}

// [6874-2-ZONE]
TEST(IsHostWithZone, AcceptsAnIpv6AddressWithAZone) {
  for (const std::string_view text : {"[fe80::1%25eth0]", "[fe80::1%251]", "[::%25a-._~Z]",
                                      "[fe80::1%25%65th0]", "[fe80::1%2525]"}) {
    EXPECT_TRUE(is_host_with_zone(text)) << text;
    EXPECT_FALSE(is_host(text)) << text;
  }
  for (const std::string_view text :
       {"", "a", "a%25eth0", "[::1]", "fe80::1%25eth0", "[fe80::1%25]", "[fe80::1%eth0]",
        "[fe80::1%]", "[%25eth0]", "[fe80::1%25eth0", "[fe80::1%25et/h0]", "[fe80::1%25eth%]",
        "[fe80::1%25eth%4]", "[fe80::1%25e:0]", "[fe80::1%25eth0]a", "[v1.a%25eth0]",
        "[1.2.3.4%25eth0]", "[fe80::1%26eth0]", "[fe80::1%25!]"})
    EXPECT_FALSE(is_host_with_zone(text)) << text;
}

TEST(IsAuthority, AcceptsOnlyAHostWithAnOptionalPort) {
  for (const std::string_view text :
       {"a", "a:", "a:0", "a:80", "a:65536", "a:99999999999999999999", "a:0080", "127.0.0.1:8080",
        "[::1]", "[::1]:", "[::1]:80", "[v1.a:80]:80"})
    EXPECT_TRUE(is_authority(text)) << text;
  for (const std::string_view text :
       {"",        ":",     ":80",     "::1",      "::1:80",      "a:x",
        "a:8x",    "a:+80", "a:-1",    "a: 80",    "a :80",       "a:80 ",
        "a:80:80", "a::80", "[::1]80", "[::1]:x",  "[::1]:80:80", "[::1]:80]",
        "u@a:80",  "a:80/", "a:80?",   "http://a", "a,b:80 c",    "[fe80::1%25eth0]:80",
        "[]:80",   "%:80"})
    EXPECT_FALSE(is_authority(text)) << text;
}

}  // namespace
}  // namespace ws
