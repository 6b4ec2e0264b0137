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
       {"http://a", "https://a:8443", "http://[::1]:80", "x+y://a", "null"})
    EXPECT_TRUE(is_origin(text)) << text;
  for (const auto* const text :
       {"", "a", "://a", "http://", "http://a/", "http://a?b", "http://u@a", "http://a:65536",
        "http://a:x", "http:// a", "h p://a"})
    EXPECT_FALSE(is_origin(text)) << text;
}

TEST(Origin, DefaultsToThePortOfItsScheme) {
  EXPECT_TRUE(same("http://a", "http://a:80"));
  EXPECT_TRUE(same("https://a", "https://a:443"));
  EXPECT_TRUE(same("wss://a", "wss://a:443"));
  EXPECT_FALSE(same("https://a", "https://a:80"));
}

TEST(Origin, ComparesSchemeHostAndPort) {
  EXPECT_TRUE(same("HTTP://Example.ORG", "http://example.org"));
  EXPECT_FALSE(same("http://a", "https://a:80"));
  EXPECT_FALSE(same("http://a", "http://b"));
  EXPECT_FALSE(same("http://a:81", "http://a:82"));
  EXPECT_TRUE(same("null", "null"));
  EXPECT_FALSE(same("null", "http://null"));
}

TEST(OwnOrigin, CombinesHttpAndTheHostField) {
  EXPECT_TRUE(are_same(*own_origin("localhost:8080"), *parse_origin("http://localhost:8080")));
  EXPECT_FALSE(own_origin("").has_value());
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
