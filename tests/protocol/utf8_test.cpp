// UTF-8: RFC 3629 §4, RFC 6455 §8.1.
//
// The validator uses a table of byte ranges. The reference here does not: it encodes each of the 1,112,064 code points
// by arithmetic; only these encodings are UTF-8.
#include "protocol/frame/utf8.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/support/bytes.h"

namespace ws::test {
namespace {

/// RFC 3629 §3: distributes the bits of a code point over the x's of its form.
Bytes encode(unsigned code_point) {
  const auto byte = [](unsigned value) { return static_cast<char>(value); };
  const auto tail = [&](unsigned shift) { return byte(0x80 + (code_point >> shift) % 64); };
  if (code_point < 0x80)
    return {byte(code_point)};
  if (code_point < 0x800)
    return {byte(0xC0 + (code_point >> 6U)), tail(0)};
  if (code_point < 0x10000)
    return {byte(0xE0 + (code_point >> 12U)), tail(6), tail(0)};
  return {byte(0xF0 + (code_point >> 18U)), tail(12), tail(6), tail(0)};
}

unsigned number(std::string_view bytes) {
  unsigned value = 0;
  for (const char c : bytes)
    value = value * 256 + static_cast<unsigned char>(c);
  return value;
}

/// Which strings of 1 to 4 bytes are one character, and which of 1 to 3 begin one.
struct Reference {
  std::array<std::vector<bool>, 4>
      is_character;  ///< [size - 1][number]; of 4 bytes, from F0 00 00 00
  std::array<std::vector<bool>, 3> is_start;

  Reference() {
    for (std::size_t size = 1; size <= 3; ++size) {
      is_character[size - 1].resize(std::size_t{1} << (8 * size));
      is_start[size - 1].resize(std::size_t{1} << (8 * size));
    }
    is_character[3].resize(std::size_t{1} << 28U);
    for (unsigned code_point = 0; code_point <= 0x10FFFF; ++code_point) {
      if (code_point >= 0xD800 && code_point <= 0xDFFF)
        continue;  // surrogates are no characters
      const Bytes bytes = encode(code_point);
      is_character[bytes.size() - 1][number(bytes) & 0xFFFFFFFU] = true;
      for (std::size_t size = 1; size < bytes.size(); ++size) {
        is_start[size - 1][number(std::string_view(bytes).substr(0, size))] = true;
      }
    }
  }
};
const Reference& reference() {
  static const Reference kReference;
  return kReference;
}

bool accepts(Utf8Validator& validator, std::string_view bytes) {
  return validator.accept(as_span(bytes));
}

/// Visits all characters that start with `prefix`, which `validator` has accepted.
void walk(const Utf8Validator& validator, const Bytes& prefix, std::size_t& characters) {
  for (unsigned next = 0; next < 256; ++next) {
    const Bytes bytes = prefix + static_cast<char>(next);
    const unsigned n = number(bytes);
    const bool is_character = (bytes.size() < 4 || n >= 0xF0000000U) &&
                              reference().is_character[bytes.size() - 1][n & 0xFFFFFFFU];
    const bool is_start = bytes.size() < 4 && reference().is_start[bytes.size() - 1][n];
    Utf8Validator step = validator;
    const bool is_accepted = step.accept(std::byte(next));
    ASSERT_EQ(is_accepted, is_character || is_start) << dump(bytes);
    Utf8Validator twin = validator;
    ASSERT_EQ(accepts(twin, std::string_view(bytes).substr(prefix.size())), is_accepted)
        << dump(bytes);
    if (!is_accepted)
      continue;
    ASSERT_EQ(step.is_complete(), is_character) << dump(bytes);
    if (is_character) {
      ++characters;
    } else {
      walk(step, bytes, characters);
    }
  }
}

TEST(Utf8, AcceptsOnlyBytesThatCanContinueACharacter) {
  // [3629-4-TABLE] [6455-8.1-UTF8] Covers all strings of up to 4 bytes: those not visited have a rejected prefix.
  std::size_t characters = 0;
  walk(Utf8Validator(), "", characters);
  EXPECT_EQ(characters, 0x110000U - 0x800U);
}

TEST(Utf8, ValidatesAllStringsOfUpToThreeBytesAtEachCut) {
  const auto& one = reference().is_character[0];
  const auto& two = reference().is_character[1];
  const auto& three = reference().is_character[2];
  Bytes s(3, '\0');
  for (unsigned n = 0; n < 1U << 24U; ++n) {
    const unsigned a = n >> 16U;
    const unsigned b = n >> 8U & 0xFFU;
    const unsigned c = n & 0xFFU;
    s[0] = static_cast<char>(a);
    s[1] = static_cast<char>(b);
    s[2] = static_cast<char>(c);
    const bool valid = three[n] || (one[a] && two[n & 0xFFFFU]) || (two[n >> 8U] && one[c]) ||
                       (one[a] && one[b] && one[c]);
    ASSERT_EQ(is_utf8(as_span(s)), valid) << dump(s);
    if (a != 'A' && a < 0xC0)
      continue;
    for (const std::size_t cut : {1U, 2U}) {
      Utf8Validator validator;
      const bool by_parts = accepts(validator, std::string_view(s).substr(0, cut)) &&
                            accepts(validator, std::string_view(s).substr(cut)) &&
                            validator.is_complete();
      ASSERT_EQ(by_parts, valid) << "cut at " << cut << "\n" << dump(s);
    }
  }
  for (unsigned n = 0; n < 1U << 16U; ++n) {
    s = {static_cast<char>(n >> 8U), static_cast<char>(n & 0xFFU)};
    ASSERT_EQ(is_utf8(as_span(s)), two[n] || (one[n >> 8U] && one[n & 0xFFU])) << dump(s);
  }
  for (unsigned n = 0; n < 1U << 8U; ++n) {
    ASSERT_EQ(is_utf8(as_span(Bytes(1, static_cast<char>(n)))), one[n]) << n;
  }
  EXPECT_TRUE(is_utf8({})) << "the empty text is valid";
}

TEST(Utf8, ValidatesFourByteStringsAtRangeEdgesAndEachCut) {
  constexpr unsigned kEdges[] = {0x00, 0x7F, 0x80, 0x81, 0x8F, 0x90,
                                 0x9F, 0xA0, 0xBE, 0xBF, 0xC0, 0xFF};
  for (unsigned lead = 0xF0; lead <= 0xF5; ++lead) {
    for (unsigned second = 0; second < 256; ++second) {
      for (const unsigned third : kEdges) {
        for (const unsigned fourth : kEdges) {
          const Bytes s = {static_cast<char>(lead), static_cast<char>(second),
                           static_cast<char>(third), static_cast<char>(fourth)};
          const bool valid = reference().is_character[3][number(s) & 0xFFFFFFFU];
          ASSERT_EQ(is_utf8(as_span(s)), valid) << dump(s);
          for (std::size_t cut = 0; cut <= 4; ++cut) {
            Utf8Validator validator;
            const bool by_parts = accepts(validator, std::string_view(s).substr(0, cut)) &&
                                  accepts(validator, std::string_view(s).substr(cut)) &&
                                  validator.is_complete();
            ASSERT_EQ(by_parts, valid) << "cut at " << cut << "\n" << dump(s);
          }
        }
      }
    }
  }
}

TEST(Utf8, RejectsAnInvalidByteAnywhereInShortAscii) {
  // The validator reads eight bytes per step: the bad byte is at each position of a step, and after the last step.
  for (std::size_t size = 1; size <= 41; ++size) {
    Bytes s(size, 'a');
    EXPECT_TRUE(is_utf8(as_span(s)));
    for (std::size_t at = 0; at < size; ++at) {
      for (const char bad : {'\x80', '\xbf', '\xc0', '\xf5', '\xff'}) {
        s[at] = bad;
        ASSERT_FALSE(is_utf8(as_span(s))) << size << " bytes, bad at " << at;
      }
      s[at] = 'a';
    }
  }
}

TEST(Utf8, AcceptsACharacterSplitAtEachPosition) {
  for (const std::string_view character : {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    for (std::size_t before = 0; before <= 20; ++before) {
      const Bytes s = Bytes(before, 'a') + Bytes(character) + Bytes(20, 'z');
      ASSERT_TRUE(is_utf8(as_span(s)));
      for (std::size_t cut = 0; cut <= s.size(); ++cut) {
        Utf8Validator validator;
        ASSERT_TRUE(accepts(validator, std::string_view(s).substr(0, cut)));
        ASSERT_EQ(validator.is_complete(), cut <= before || cut >= before + character.size());
        ASSERT_TRUE(accepts(validator, std::string_view(s).substr(cut)) && validator.is_complete());
      }
      // Without the character's last byte, the 'z' after it is the first invalid byte.
      const Bytes torn =
          Bytes(before, 'a') + Bytes(character.substr(0, character.size() - 1)) + Bytes(20, 'z');
      const std::size_t bad = before + character.size() - 1;
      Utf8Validator validator;
      ASSERT_TRUE(accepts(validator, std::string_view(torn).substr(0, bad)));
      ASSERT_FALSE(accepts(validator, std::string_view(torn).substr(bad)));
    }
  }
}

TEST(Utf8, ReadsNoByteOutsideTheText) {
  GuardedMemory memory(64);
  for (std::size_t size = 0; size <= 40; ++size) {
    EXPECT_TRUE(is_utf8(memory.before_guard(Bytes(size, 'a'))));
    EXPECT_TRUE(is_utf8(memory.behind_guard(Bytes(size, 'a'))));
    EXPECT_FALSE(is_utf8(memory.before_guard(Bytes(size, 'a') + "\xe2\x82")))
        << "ends inside a character";
  }
}

TEST(Utf8, RejectsAnInvalidByteAnywhereInLongAscii) {
  // The validator tests 64 or eight bytes together: it must not skip a position in either.
  for (std::size_t at = 0; at < 150; ++at) {
    Bytes text(150, 'a');
    text[at] = '\xff';
    EXPECT_FALSE(is_utf8(as_span(text))) << at;
    text.replace(at, 1, "é");
    EXPECT_TRUE(is_utf8(as_span(text))) << at;
  }
}

}  // namespace
}  // namespace ws::test
