#include "protocol/utf8.h"

#include <cstring>

namespace ws {
namespace {

constexpr std::uint64_t kTopBits = 0x8080808080808080U;

std::uint64_t eight_at(const std::byte* p) {
  std::uint64_t eight;
  std::memcpy(&eight, p, 8);
  return eight;
}

/// Most text has long runs of ASCII: 64 bytes without a top bit are 64 characters, and eight are eight.
const std::byte* skip_ascii(const std::byte* p, const std::byte* end) {
  for (; end - p >= 64; p += 64) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 64; i += 8)
      bits |= eight_at(p + i);
    if ((bits & kTopBits) != 0)
      break;
  }
  while (end - p >= 8 && (eight_at(p) & kTopBits) == 0)
    p += 8;
  return p;
}

}  // namespace

// region utf8-accept
bool Utf8Validator::accept(std::span<const std::byte> bytes) {
  const std::byte* p = bytes.data();
  const std::byte* const end = p + bytes.size();
  while (p != end) {
    if (lacking_ == 0) {
      p = skip_ascii(p, end);
      if (p == end)
        break;
    }
    const auto byte = std::to_integer<std::uint8_t>(*p++);
    if (lacking_ != 0) {
      if (byte < low_ || byte > high_)
        return false;  // [6455-8.1-UTF8]
      --lacking_;
      low_ = 0x80;
      high_ = 0xBF;
    } else if (byte >= 0x80) {
      // [3629-4-TABLE] the rows of RFC 3629, by their first byte
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
  }
  return true;
}
// endregion

bool is_utf8(std::span<const std::byte> bytes) {
  Utf8Validator validator;
  return validator.accept(bytes) && validator.is_complete();
}

}  // namespace ws
