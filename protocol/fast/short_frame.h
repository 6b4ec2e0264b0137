// The short way for what most messages are: whole, in one frame of less than 64 KiB, not compressed. RFC 6455 §5.2
//
// All here could be left out: `Connection` would get to the same, in more steps. That is the general way, in frame,
// message and connection, and the one to read first. Here are the same rules for one kind of frame; of every other the
// answer is "not mine". In a header and always in line, since for so short a message a call costs as much as the work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "protocol/output.h"

namespace ws {

/// A masked frame with FIN, text or binary, that lies whole in front of other bytes.
struct ShortFrame {
  std::size_t header_size = 0;  ///< 6 or 8; 0: what lies there is no such frame
  std::size_t length = 0;       ///< of the payload, bytes

  explicit operator bool() const { return header_size != 0; }
};

/// The frame at the front of `in`, if it is one, and its payload has at most `limit` bytes.
[[gnu::always_inline]] inline ShortFrame find_short_frame(std::span<const std::byte> in,
                                                          std::uint64_t limit) {
  constexpr std::size_t kShort = 6;  // 2 bytes and a masking key
  if (in.size() < kShort + 2)
    return {};
  if (std::to_integer<unsigned>(in[0]) - 0x81U > 1)  // FIN, text or binary
    return {};
  ShortFrame frame{.header_size = kShort,
                   .length = std::to_integer<unsigned>(in[1]) - 0x80U};  // or large, if not masked
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

/// Appends a whole message of less than 64 KiB as a server's frame that begins with `first_byte`; false, and nothing appended, if it is empty, or the
/// block of `out` would have to grow for it.
[[gnu::always_inline]] inline bool append_short_frame(std::byte first_byte,
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
