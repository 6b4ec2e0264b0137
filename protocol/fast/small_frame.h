// Fast path for the common message: complete, in one frame of less than 64 KiB, not compressed. RFC 6455 §5.2
//
// This file is optional: without it `Connection` gives the same result on the general path (frame, message and
// connection in protocol/frame/; read these first). The code here applies the same rules to one kind of frame; the
// general path handles all other frames. The functions are inlined, since for short messages a call costs as much as
// the work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "protocol/output.h"

namespace ws {

/// A complete, masked text or binary frame with FIN at the front of the input.
struct SmallFrame {
  std::size_t header_size = 0;  ///< 6 or 8; 0 if there is no such frame
  std::size_t length = 0;       ///< bytes of payload

  explicit operator bool() const { return header_size != 0; }
};

/// Finds a SmallFrame with at most `limit` bytes of payload at the front of `in`.
[[gnu::always_inline]] inline SmallFrame find_small_frame(std::span<const std::byte> in,
                                                          std::uint64_t limit) {
  constexpr std::size_t kShort = 6;  // 2 bytes and a masking key
  if (in.size() < kShort + 2)
    return {};
  // Accept only 0x81 (FIN, text) and 0x82 (FIN, binary). Smaller bytes wrap to large numbers.
  if (std::to_integer<unsigned>(in[0]) - 0x81U > 1)
    return {};
  SmallFrame frame{.header_size = kShort,
                   .length = std::to_integer<unsigned>(in[1]) - 0x80U};  // > 127 if not masked
  if (frame.length == 126) {
    frame.header_size += 2;
    frame.length = std::to_integer<std::size_t>(in[2]) << 8U | std::to_integer<std::size_t>(in[3]);
    if (frame.length < 126)
      return {};
  } else if (frame.length > 126) {
    return {};
  }
  if (frame.length > limit || frame.length > in.size() - frame.header_size)
    return {};
  return frame;
}

/// Appends a message of less than 64 KiB as one unmasked frame that begins with `first_byte`. Returns false and appends
/// nothing if the payload is empty or the block of `out` would have to grow.
[[gnu::always_inline]] inline bool append_small_frame(std::byte first_byte,
                                                      std::span<const std::byte> payload,
                                                      Output& out) {
  const std::size_t size = payload.size();
  if (size == 0 || size + 4 > out.room())
    return false;
  // [6455-6.1-FRAME], [6455-5.2-MINLEN]
  std::byte* at = out.extend(4 + size).data();
  *at++ = first_byte;
  if (size <= 125) {
    *at++ = static_cast<std::byte>(size);
    out.shrink(2);
  } else {
    *at++ = std::byte{126};
    *at++ = static_cast<std::byte>(size >> 8U);
    *at++ = static_cast<std::byte>(size & 0xFFU);
  }
  std::memcpy(at, payload.data(), size);
  return true;
}

}  // namespace ws
