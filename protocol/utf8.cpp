#include "protocol/utf8.h"

#include <cstring>

namespace ws {

// region utf8-accept
bool Utf8Validator::accept(std::span<const std::byte> bytes) {
  const std::byte* p = bytes.data();
  const std::byte* const end = p + bytes.size();
  while (p != end) {
    if (lacking_ == 0) {
      // Most text has long runs of ASCII: eight bytes without a top bit are eight characters.
      std::uint64_t eight;
      while (end - p >= 8 && (std::memcpy(&eight, p, 8), (eight & 0x8080808080808080U) == 0))
        p += 8;
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
