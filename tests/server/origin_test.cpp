// Parsing and comparing origins.
#include "server/http/origin.h"

#include <gtest/gtest.h>

namespace ws {
namespace {

bool same(std::string_view a, std::string_view b) {
  const auto first = parse_origin(a);
  const auto second = parse_origin(b);
  return first.has_value() && second.has_value() && are_same(*first, *second);
}

TEST(Origin, ParserAcceptsOnlyWellFormedOrigins) {
  for (const auto* const text :
       {"http://a", "https://a:8443", "http://[::1]:80", "http://a/", "x+y://a", "null", "file://",
        "file:///", "chrome-extension://abcdefghijklmnopabcdefghijklmnop", "capacitor://localhost",
        "app://.", "moz-extension://3c1f9a5e-6c2d-4a3a-9a53-0b1cd1a3e7a1"})
    EXPECT_TRUE(is_origin(text)) << text;
  for (const auto* const text : {"",
                                 "a",
                                 "://a",
                                 "http://",
                                 "https:///",
                                 "ws://",
                                 "http://a//",
                                 "http://a/b",
                                 "http://a?b",
                                 "http://a#b",
                                 "http://u@a",
                                 "http://a:65536",
                                 "http://a:x",
                                 "http://:80",
                                 "http:// a",
                                 "h p://a",
                                 "1x://a",
                                 "http://[::1",
                                 "http://[a]",
                                 "http://a%4",
                                 "http://[fe80::1%25eth0]",
                                 "http://a,http://b",
                                 "Null",
                                 "file:/",
                                 "*"})
    EXPECT_FALSE(is_origin(text)) << text;
}

TEST(Origin, DefaultsToThePortOfItsScheme) {
  EXPECT_TRUE(same("http://a", "http://a:80"));
  EXPECT_TRUE(same("https://a", "https://a:443"));
  EXPECT_TRUE(same("wss://a", "wss://a:443"));
  EXPECT_FALSE(same("https://a", "https://a:80"));
  EXPECT_FALSE(same("app://a", "app://a:80")) << "this scheme has no default port";
}

TEST(Origin, ComparesSchemeHostAndPort) {
  EXPECT_TRUE(same("HTTP://Example.ORG", "http://example.org"));
  EXPECT_FALSE(same("http://a", "https://a:80"));
  EXPECT_FALSE(same("http://a", "http://b"));
  EXPECT_FALSE(same("http://a:81", "http://a:82"));
  EXPECT_TRUE(same("null", "null"));
  EXPECT_FALSE(same("null", "http://null"));
  EXPECT_FALSE(same("null", "null://null"));
  EXPECT_TRUE(same("file://", "FILE:///"));
  EXPECT_FALSE(same("file://", "app://"));
  EXPECT_TRUE(same("http://a/", "http://a"));
}

// The rows are the verdicts of Spring's RfcUriParser (6.2 to 7.1). docs/10-security.md has a row for each kind.
TEST(OriginLikeSpring, AcceptsWhatSpringAccepts) {
  const auto own = own_origin("localhost:8080", false);
  for (const auto* const text : {"null",
                                 "file://",
                                 "nonsense",
                                 "localhost:3000",
                                 "*",
                                 "http://",
                                 "http:a",
                                 "http:/a",
                                 "http//a",
                                 "//a",
                                 "/a",
                                 "://x",
                                 ":",
                                 ".",
                                 ";",
                                 "?",
                                 "#",
                                 "http://:80",
                                 "http://a/path",
                                 "http://a?b c",
                                 "http://a#b c",
                                 "http://u@a",
                                 "http://u:p@a",
                                 "http://a:",
                                 "http://a:65536",
                                 "http://a:99999999999",
                                 "http://[]",
                                 "http://[1]",
                                 "http://[::1",
                                 "http://a%41",
                                 "http://a/b c",
                                 "http://a/%41",
                                 "http://a/%4",
                                 "http://a/%u12aF",
                                 "http://a?%zz",
                                 "%",
                                 "a%4",
                                 "1http://a",
                                 "h p://a",
                                 "about:blank",
                                 "http://localhost",
                                 "http://localhost:65536",
                                 "https://localhost:8080",
                                 "http://localhost@a:8080"}) {
    const auto origin = parse_origin_like_spring(text);
    ASSERT_TRUE(origin.has_value()) << text;
    EXPECT_FALSE(are_same(*origin, *own)) << text;
  }
  for (const auto* const text :
       {"http://localhost:8080", "http://u@localhost:8080", "http://localhost:8080/x",
        "HTTP://localhost:8080?x", "http://localhost:08080#x"}) {
    const auto origin = parse_origin_like_spring(text);
    ASSERT_TRUE(origin.has_value()) << text;
    EXPECT_TRUE(are_same(*origin, *own)) << text;
  }
}

TEST(OriginLikeSpring, RefusesWhatSpringRefuses) {
  for (const auto* const text : {"",
                                 "**",
                                 "x:**",
                                 "http://a b",
                                 "http://a, http://b",
                                 "http://a http://b",
                                 "http://\xe9",
                                 "http://a\\b",
                                 "http://<a>",
                                 "http://a|b",
                                 "http://a:x",
                                 "http://a:1x",
                                 "http://a:80:80",
                                 "http://a:-1",
                                 "http://[zz]",
                                 "http://[::1]x",
                                 "http://[v1.a]",
                                 "http://[::ffff:1.2.3.4]",
                                 "http://[fe80::1%25eth0]",
                                 "http://a%4",
                                 "http://a%zz",
                                 "http://a%4/",
                                 "http://a/%zz",
                                 "http://a/%4?",
                                 "http://a/%u12z4",
                                 "%zz",
                                 "a%zz"})
    EXPECT_FALSE(parse_origin_like_spring(text).has_value()) << text;
}

TEST(OwnOrigin, CombinesTheSchemeAndTheHostField) {
  EXPECT_TRUE(
      are_same(*own_origin("localhost:8080", false), *parse_origin("http://localhost:8080")));
  EXPECT_TRUE(
      are_same(*own_origin("localhost:8443", true), *parse_origin("https://localhost:8443")));
  EXPECT_TRUE(are_same(*own_origin("localhost", true), *parse_origin("https://localhost")));
  EXPECT_TRUE(are_same(*own_origin("localhost", false), *parse_origin("http://localhost")));
  EXPECT_FALSE(are_same(*own_origin("localhost", true), *parse_origin("http://localhost:443")));
  EXPECT_FALSE(own_origin("", false).has_value());
}

TEST(FixedName, IsAnAddressOrLocalhost) {
  for (const auto* const name : {"127.0.0.1", "[::1]", "localhost", "LocalHost"})
    EXPECT_TRUE(is_fixed_name(name)) << name;
  for (const auto* const name :
       {"example.org", "127.0.0.1.example.org", "[evil", "localhost.a", "feed.cafe", "0x7f.1"})
    EXPECT_FALSE(is_fixed_name(name)) << name;
}

}  // namespace
}  // namespace ws
