// The page and the policy that it runs under.
#include "server/page.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <array>
#include <string>
#include <string_view>

namespace ws {
namespace {

/// What stands between the first `begin` and the next `end`.
std::string_view between(std::string_view text, std::string_view begin, std::string_view end) {
  const std::size_t from = text.find(begin);
  EXPECT_NE(from, std::string_view::npos) << begin;
  text.remove_prefix(from + begin.size());
  EXPECT_EQ(text.find(begin), std::string_view::npos) << "one " << begin;
  return text.substr(0, text.find(end));
}

std::string hash_of(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<char, 45> encoded{};
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()), digest.data(), digest.size());
  return std::string("'sha256-") + encoded.data() + "'";
}

TEST(Page, HasTheStyleAndTheScriptThatItsPolicyAllows) {
  const std::string_view policy = page_content_security_policy();
  EXPECT_TRUE(policy.starts_with("default-src 'none'; ")) << policy;
  const std::string style = hash_of(between(page(), "<style>", "</style>"));
  const std::string script = hash_of(between(page(), "<script>", "</script>"));
  EXPECT_NE(policy.find("style-src " + style + ";"), std::string_view::npos) << style;
  EXPECT_NE(policy.find("script-src " + script + ";"), std::string_view::npos) << script;
  EXPECT_EQ(policy.find("unsafe"), std::string_view::npos) << policy;
}

TEST(Page, LoadsNothingAndRunsNothingFromElsewhere) {
  EXPECT_TRUE(page().starts_with("<!doctype html>"));
  for (const std::string_view no : {"http://", "https://", "src=", "@import", "url(", "innerHTML",
                                    " onclick=", " style=", "eval("}) {
    EXPECT_EQ(page().find(no), std::string_view::npos) << no;
  }
}

}  // namespace
}  // namespace ws
