#include "protocol/frame/utf8.h"

#include <cstring>

#if FBF_FAST
#include "protocol/fast/utf8_blocks.h"
#else
namespace ws {
constexpr std::ptrdiff_t kUtf8Block = 32;
static const std::byte* skip_utf8_blocks(const std::byte* p, const std::byte*) {
  return p;
}
}  // namespace ws
#endif

namespace ws {
namespace {

std::uint64_t eight_at(const std::byte* p) {
  std::uint64_t eight;
  std::memcpy(&eight, p, 8);
  return eight;
}

bool is_ascii(std::byte byte) {
  return byte < std::byte{0x80};
}
bool is_ascii(std::uint64_t eight) {
  return (eight & 0x8080808080808080U) == 0;
}
bool is_continuation(std::byte byte) {
  return (byte & std::byte{0xC0}) == std::byte{0x80};
}

/// Skips ASCII, 64 bytes at a time, then 8 bytes at a time. Stops where the next 8 bytes are not all ASCII, or where
/// fewer than 8 bytes are left.
const std::byte* skip_ascii(const std::byte* p, const std::byte* end) {
  for (; end - p >= 64; p += 64) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 64; i += 8)
      bits |= eight_at(p + i);
    if (!is_ascii(bits))
      break;
  }
  while (end - p >= 8 && is_ascii(eight_at(p)))
    p += 8;
  return p;
}

/// Size in bytes of the non-ASCII character at `p`; 0 if the character is invalid or incomplete. Reads its bytes as one
/// big-endian number and checks the number's range: for characters of the same size, a larger number means a larger
/// code point.
std::ptrdiff_t size_of_character(const std::byte* p, const std::byte* end) {
  const auto byte = [&](std::ptrdiff_t i) { return std::to_integer<std::uint32_t>(p[i]); };
  const std::ptrdiff_t left = end - p;
  if (byte(0) >= 0xF0) {
    if (left < 4)
      return 0;
    const std::uint32_t number = byte(0) << 24U | byte(1) << 16U | byte(2) << 8U | byte(3);
    return (number & 0xC0C0C0U) == 0x808080U && number >= 0xF0908080U && number <= 0xF48FBFBFU ? 4
                                                                                               : 0;
  }
  if (byte(0) >= 0xE0) {
    if (left < 3)
      return 0;
    const std::uint32_t number = byte(0) << 16U | byte(1) << 8U | byte(2);
    return (number & 0xC0C0U) == 0x8080U && number >= 0xE0A080U && (number & 0xFFE000U) != 0xEDA000U
               ? 3
               : 0;
  }
  return left >= 2 && byte(0) >= 0xC2 && is_continuation(p[1]) ? 2 : 0;
}

/// Skips valid, complete characters from `p`, which must be the start of a character. Returns the start of the first
/// invalid or incomplete character, or `end`. The bytes from `begin` to `p` must already be validated.
const std::byte* skip_characters(const std::byte* begin, const std::byte* p, const std::byte* end) {
  p = skip_ascii(p, end);
  // If fewer than eight bytes are left, test the last eight bytes of the text, some of them a second time.
  if (end - p < 8 && end - begin >= 8 && is_ascii(eight_at(end - 8)))
    return end;
  if (end - p >= kUtf8Block)
    p = skip_utf8_blocks(p, end);
  while (p != end) {
    if (is_ascii(*p)) {
      p = end - p >= 8 && is_ascii(eight_at(p)) ? skip_ascii(p + 8, end) : p + 1;
      continue;
    }
    const std::ptrdiff_t size = size_of_character(p, end);
    if (size == 0)
      break;
    p += size;
  }
  return p;
}

}  // namespace

bool Utf8Validator::accept(std::byte next) {
  const auto byte = std::to_integer<std::uint8_t>(next);
  if (lacking_ != 0) {
    if (byte < low_ || byte > high_)
      return false;  // [6455-8.1-UTF8]
    --lacking_;
    low_ = 0x80;
    high_ = 0xBF;
  } else if (byte >= 0x80) {
    // [3629-4-TABLE] the first byte selects the row of the table in RFC 3629
    if (byte < 0xC2 || byte > 0xF4)
      return false;
    lacking_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0)
      low_ = 0xA0;
    if (byte == 0xED)
      high_ = 0x9F;
    if (byte == 0xF0)
      low_ = 0x90;
    if (byte == 0xF4)
      high_ = 0x8F;
  }
  return true;
}

bool Utf8Validator::accept(std::span<const std::byte> bytes) {
  const std::byte* const begin = bytes.data();
  const std::byte* const end = begin + bytes.size();
  const std::byte* p = begin;
  while (p != end) {
    if (lacking_ == 0) {
      p = skip_characters(begin, p, end);
      if (p == end)
        break;
    }
    if (!accept(*p++))
      return false;
  }
  return true;
}

bool is_utf8(std::span<const std::byte> bytes) {
  Utf8Validator validator;
  return validator.accept(bytes) && validator.is_complete();
}

}  // namespace ws
