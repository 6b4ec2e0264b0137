// Compares validation of UTF-8 by block and by character with validation by byte, which utf8_test.cpp tests against
// RFC 3629. The fast path must skip only text that the general path accepts.
#include "protocol/fast/utf8_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "protocol/frame/utf8.h"
#include "tests/support/bytes.h"

namespace ws::test {
namespace {

#if defined(__x86_64__)
const bool has_blocks = __builtin_cpu_supports("avx2") != 0;
#else
const bool has_blocks = false;
#endif

constexpr std::size_t kBlock = kUtf8Block;

/// The general path: byte by byte.
bool accepts_bytes(Utf8Validator& validator, std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [&](std::byte byte) { return validator.accept(byte); });
}
bool is_utf8_by_bytes(std::span<const std::byte> bytes) {
  Utf8Validator validator;
  return accepts_bytes(validator, bytes) && validator.is_complete();
}

/// Number of bytes that skip_utf8_blocks skips.
std::size_t skipped(std::span<const std::byte> bytes) {
  const std::byte* const begin = bytes.data();
  return static_cast<std::size_t>(skip_utf8_blocks(begin, begin + bytes.size()) - begin);
}

/// Expects that the blocks skip only whole, valid characters, and that is_utf8 agrees with the general path.
void expect_twins_agree(std::span<const std::byte> bytes) {
  ASSERT_EQ(is_utf8(bytes), is_utf8_by_bytes(bytes)) << dump(to_bytes(bytes));
  if (bytes.size() < kBlock)
    return;
  const std::size_t size = skipped(bytes);
  ASSERT_LE(size, bytes.size());
  ASSERT_TRUE(is_utf8_by_bytes(bytes.first(size))) << size << " of\n" << dump(to_bytes(bytes));
}

constexpr std::string_view kCharacters[] = {"a", "é", "字", "😀"};
/// Valid texts of 840 bytes: one for each kind of character, and one with all kinds.
std::vector<Bytes> right_texts() {
  std::vector<Bytes> texts;
  for (const std::string_view character : kCharacters)
    texts.push_back(repeat(840 / character.size(), character));
  texts.push_back(repeat(84, "é字a😀"));
  return texts;
}

TEST(Utf8Blocks, SkipValidTextUpToItsLastCharacter) {
  for (const Bytes& text : right_texts()) {
    for (std::size_t size = kBlock; size <= 200; ++size) {
      const Bytes cut = text.substr(0, size);
      // One or two bytes after the first block are too few for a second block that ends with them.
      std::size_t last = (size < kBlock + 3 ? kBlock : size) - 1;
      while ((static_cast<unsigned char>(cut[last]) & 0xC0U) == 0x80)
        --last;
      ASSERT_EQ(skipped(as_span(cut)), has_blocks ? last : 0) << dump(cut);
    }
  }
}

TEST(Utf8Blocks, NeverSkipAnInvalidByte) {
  // [3629-4-TABLE] Each byte value at each position of three blocks and a part, among characters of each kind.
  for (Bytes text : right_texts()) {
    text.resize(100);
    for (char& place : text) {
      const char right = place;
      for (unsigned byte = 0; byte < 256; ++byte) {
        place = static_cast<char>(byte);
        ASSERT_NO_FATAL_FAILURE(expect_twins_agree(as_span(text)));
      }
      place = right;
    }
  }
}

/// At least one byte of each range that RFC 3629's table, or the high half of a byte, distinguishes.
constexpr unsigned kEdges[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2,
                               0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF3, 0xF4, 0xF5, 0xFF};

TEST(Utf8Blocks, ValidateFourBytesAtRangeEdgesAcrossBlockEdges) {
  // [3629-4-TABLE] The four bytes stand between whole characters and ASCII, so that their validity does not depend on
  // their position: in the first block, across its end, or in the last 32 bytes.
  constexpr std::size_t kPlaces[] = {0, 10, 29, 30, 31, 32, 45, 61, 66};
  std::vector<Bytes> texts;
  for (const std::size_t at : kPlaces) {
    texts.push_back(Bytes(70, 'a'));
    texts.push_back(Bytes(at % 3, 'a') + repeat(at / 3, "字") + Bytes(70 - at, 'a'));
  }
  for (const unsigned a : kEdges) {
    for (const unsigned b : kEdges) {
      for (const unsigned c : kEdges) {
        for (const unsigned d : kEdges) {
          const Bytes four = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                              static_cast<char>(d)};
          std::size_t right = 4;  // bytes that are whole characters
          while (!is_utf8_by_bytes(as_span(four).first(right)))
            --right;
          for (std::size_t i = 0; i < texts.size(); ++i) {
            const std::size_t at = kPlaces[i / 2];
            texts[i].replace(at, 4, four);
            ASSERT_EQ(is_utf8(as_span(texts[i])), right == 4) << dump(texts[i]);
            ASSERT_TRUE(right == 4 || skipped(as_span(texts[i])) <= at + right) << dump(texts[i]);
            texts[i].replace(at, 4, 4, 'a');
          }
        }
      }
    }
  }
}

TEST(Utf8Blocks, AgreeWithTheByteVersionHoweverATextIsCut) {
  // [6455-8.1-UTF8] After each piece both versions agree: they reject the piece with the first invalid byte, and they
  // agree on whether a character is incomplete.
  std::mt19937 random(3629);
  const auto below = [&](std::size_t limit) { return random() % limit; };
  for (int run = 0; run < 20000; ++run) {
    Bytes text;
    while (text.size() < 200) {
      const std::string_view character = kCharacters[below(4)];
      for (std::size_t count = 1 + below(20); count > 0; --count)
        text += character;
    }
    for (std::size_t count = below(3); count > 0; --count)
      text[below(text.size())] = static_cast<char>(kEdges[below(std::size(kEdges))]);

    Utf8Validator validator;
    Utf8Validator plain;
    const std::size_t longest = 1 + below(150);
    for (std::span<const std::byte> left = as_span(text); !left.empty();) {
      const std::span<const std::byte> piece =
          left.first(std::min(left.size(), below(longest + 1)));
      left = left.subspan(piece.size());
      const bool is_accepted = validator.accept(piece);
      ASSERT_EQ(is_accepted, accepts_bytes(plain, piece)) << left.size() << " left of\n"
                                                          << dump(text);
      if (!is_accepted)
        break;
      ASSERT_EQ(validator.is_complete(), plain.is_complete()) << left.size() << " left of\n"
                                                              << dump(text);
    }
  }
}

TEST(Utf8Blocks, KeepTheStateOfAnIncompleteCharacterAtEachCut) {
  for (const Bytes& text : right_texts()) {
    for (std::size_t cut = 0; cut <= 140; ++cut) {
      Utf8Validator validator;
      Utf8Validator plain;
      ASSERT_TRUE(validator.accept(as_span(text).first(cut)));
      ASSERT_TRUE(accepts_bytes(plain, as_span(text).first(cut)));
      ASSERT_EQ(validator.is_complete(), plain.is_complete()) << "cut at " << cut;
      for (unsigned next = 0; next < 256; ++next) {
        Utf8Validator step = validator;
        Utf8Validator plain_step = plain;
        ASSERT_EQ(step.accept(std::byte(next)), plain_step.accept(std::byte(next)))
            << next << ", cut at " << cut;
      }
      ASSERT_TRUE(validator.accept(as_span(text).subspan(cut)) && validator.is_complete());
    }
  }
}

TEST(Utf8Blocks, ReadNoByteOutsideTheText) {
  GuardedMemory memory(200);
  for (const Bytes& text : right_texts()) {
    for (std::size_t size = 0; size <= 140; ++size) {
      for (const auto place : {&GuardedMemory::before_guard, &GuardedMemory::behind_guard}) {
        ASSERT_NO_FATAL_FAILURE(expect_twins_agree((memory.*place)(text.substr(0, size))));
      }
    }
  }
}

}  // namespace
}  // namespace ws::test
