// The error table: each rule has a tag, an HTTP status or close code, and a text that fits into a Close.
#include "protocol/error.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "protocol/frame/close.h"

namespace ws::test {
namespace {

constexpr auto kFirst = static_cast<unsigned>(Error::kNotHttp);
constexpr auto kLast = static_cast<unsigned>(Error::kOutOfMemory);

/// RFC number, section, name: 6455-5.2-MINLEN.
bool is_tag(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::string_view kName = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
  const std::size_t section = text.find('-') + 1;
  const std::size_t name = text.find('-', section) + 1;
  if (section != 5 || name < 7 || name == text.size())
    return false;
  return text.substr(0, 4).find_first_not_of(kDigits) == std::string_view::npos &&
         text.substr(section, name - 1 - section).find_first_not_of("0123456789.") ==
             std::string_view::npos &&
         text.substr(name).find_first_not_of(kName) == std::string_view::npos;
}

TEST(ErrorTable, HasAUniqueTagForEachRule) {
  std::map<std::string, int> tags;
  for (unsigned i = kFirst; i <= kLast; ++i) {
    const std::string tag(describe(static_cast<Error>(i)).tag);
    EXPECT_TRUE(is_tag(tag)) << tag;
    ++tags[tag];
  }
  EXPECT_EQ(tags["9112-3-REQUEST"], 2) << "kNotHttp and kRequestLine have the same tag";
  tags.erase("9112-3-REQUEST");
  for (const auto& [tag, count] : tags)
    EXPECT_EQ(count, 1) << tag;
}

TEST(ErrorTable, HasAUniqueTextForEachRuleThatFitsIntoACloseFrame) {
  std::set<std::string_view> texts;
  for (unsigned i = kFirst; i <= kLast; ++i) {
    const std::string_view text = describe(static_cast<Error>(i)).text;
    EXPECT_FALSE(text.empty());
    EXPECT_LE(text.size(), kMaxCloseReason) << text;
    EXPECT_TRUE(texts.insert(text).second) << "duplicate: " << text;
    for (const char c : text)
      EXPECT_TRUE(c >= 0x20 && c < 0x7F) << "printable ASCII only: " << text;
  }
}

TEST(ErrorTable, MapsEachRuleToTheStatusOrCloseCodeOfItsStandard) {
  // One row per answer: HTTP statuses, then close codes.
  const std::map<unsigned, std::set<Error>> answers = {
      {400,
       {Error::kNotHttp, Error::kRequestLine, Error::kBareControl, Error::kTarget,
        Error::kFieldSyntax, Error::kFieldFolding, Error::kHost, Error::kBodyLength,
        Error::kStatusLine, Error::kKey, Error::kBodyWithUpgrade, Error::kSubprotocolSyntax,
        Error::kExtensionSyntax}},
      {403, {Error::kOrigin}},       // [6455-4.2.2-ORIGIN]
      {404, {Error::kPath}},         // [6455-4.2.2-RESOURCE]
      {405, {Error::kMethod}},       // [6455-4.2.1-GET]
      {408, {Error::kHeadTimeout}},  // [9110-15.5.9-TIMEOUT]
      {414, {Error::kRequestLineTooLong}},
      {426, {Error::kNotAnUpgrade, Error::kVersion}},
      {431, {Error::kFieldsTooLarge}},
      {503, {Error::kUnavailable}},  // [9110-15.6.4-UNAVAILABLE]
      {505, {Error::kHttpVersion}},
      {1002,
       {Error::kStatus, Error::kUpgradeField, Error::kConnectionField, Error::kAccept,
        Error::kUnofferedExtension, Error::kUnofferedSubprotocol, Error::kDeflateAnswer,
        Error::kReservedBit, Error::kReservedOpcode, Error::kNotMasked, Error::kMasked,
        Error::kLengthNotMinimal, Error::kLengthTopBit, Error::kControlFragmented,
        Error::kControlTooLong, Error::kLoneContinuation, Error::kInterleavedMessage,
        Error::kCloseLength, Error::kCloseCode}},
      {1007, {Error::kTextNotUtf8, Error::kCompressedData, Error::kCloseReasonNotUtf8}},
      {1008, {Error::kTooManyFragments, Error::kMessageTimeout}},
      {1009, {Error::kMessageTooBig}},
      {1011, {Error::kOutOfMemory}},
      {1013, {Error::kOverBudget}},
  };
  std::size_t count = 0;
  for (const auto& [code, errors] : answers) {
    EXPECT_TRUE(code < 1000 || may_be_sent(static_cast<std::uint16_t>(code))) << code;
    for (const Error error : errors)
      EXPECT_EQ(describe(error).code, code) << describe(error).text;
    count += errors.size();
  }
  EXPECT_EQ(count, kLast - kFirst + 1) << "a rule is missing in `answers`";
  EXPECT_EQ(describe(Error::kNone).code, 0);
}

TEST(Cite, ReturnsTheTextAndTheTag) {
  const std::string tag(describe(Error::kReservedOpcode).tag);
  EXPECT_EQ(cite(Error::kReservedOpcode), "reserved opcode [" + tag + "]");
}

}  // namespace
}  // namespace ws::test
