// The frame header: RFC 6455 §5.2. Everything on a WebSocket after the handshake is frames.
//
//       0                   1                   2                   3
//       0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//      +-+-+-+-+-------+-+-------------+-------------------------------+
//      |F|R|R|R| opcode|M| 7-bit length|  16-bit length (if 126), or   |
//      |I|S|S|S|  (4)  |A|  0-125: it, | 64-bit length (if 127),       |
//      |N|V|V|V|       |S|  126 / 127: | most significant byte first   |
//      | |1|2|3|       |K|  see right  |                               |
//      +-+-+-+-+-------+-+-------------+-------------------------------+
//      |  masking key, 4 bytes, if MASK is 1; then the payload         |
//      +---------------------------------------------------------------+
//
// Invariants:
//  1. A header takes 2 to 14 bytes; parsing looks at no byte behind it.
//  2. Whatever more bytes would bring, a broken rule is reported as soon as its byte is there, and
//     rules are judged in the order of the bytes: how a stream is cut changes no answer.
//  3. A header that needs more bytes has consumed nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/error.h"
#include "protocol/role.h"

namespace ws {

/// §5.2, §11.8. 3-7 and 0xB-0xF are reserved.
enum class Opcode : std::uint8_t {
  kContinuation = 0x0,
  kText = 0x1,
  kBinary = 0x2,
  kClose = 0x8,
  kPing = 0x9,
  kPong = 0xA,
};

/// §5.5: opcodes whose top bit is 1 may come between the fragments of a message.
constexpr bool is_control(Opcode opcode) {
  return (static_cast<unsigned>(opcode) & 0x8U) != 0;
}

/// The four bytes as they stand on the wire. §5.3.
using MaskingKey = std::array<std::byte, 4>;

inline constexpr std::size_t kMaxHeaderSize = 14;       ///< 2 + 8 + 4
inline constexpr std::size_t kMaxControlPayload = 125;  ///< §5.5

struct FrameHeader {
  bool fin = true;
  bool rsv1 = false;
  bool rsv2 = false;
  bool rsv3 = false;
  Opcode opcode = Opcode::kText;
  bool masked = false;
  MaskingKey masking_key{};  ///< meaningless unless `masked`
  std::uint64_t payload_length = 0;
};

/// What is known of a header after `parse_frame_header`.
struct HeaderResult {
  enum class Status : std::uint8_t { kNeedMore, kHeader, kError };
  Status status;
  Error error;       ///< why, if kError
  std::size_t size;  ///< bytes of the header (2 to 14), if kHeader
};

/// Parses one header at the start of `in`, as it reaches an endpoint in `role`: a server demands
/// the mask, a client refuses it. On kHeader all of `header` is set; on kError what was read before
/// the fault is. Reserved bits must be 0, but for RSV1 on the first frame of a message where
/// `deflates` says that permessage-deflate was agreed on.
HeaderResult parse_frame_header(std::span<const std::byte> in, Role role, FrameHeader& header,
                                bool deflates = false);

/// Reads the fields alone and judges none: for onlookers, who have to show what breaks the rules too. Returns
/// the bytes of the header, or 0 if it needs more of them.
std::size_t read_frame_header(std::span<const std::byte> in, FrameHeader& header);

/// Writes `header` in its shortest form to the start of `out`; returns the bytes written (2 to 14). Here, so that
/// where it is called nothing is left of what is known beforehand.
inline std::size_t serialize_frame_header(const FrameHeader& header,
                                          std::span<std::byte, kMaxHeaderSize> out) {
  const unsigned byte0 = (header.fin ? 0x80U : 0U) | (header.rsv1 ? 0x40U : 0U) |
                         (header.rsv2 ? 0x20U : 0U) | (header.rsv3 ? 0x10U : 0U) |
                         static_cast<unsigned>(header.opcode);
  out[0] = static_cast<std::byte>(byte0);
  const unsigned mask_bit = header.masked ? 0x80U : 0U;
  std::size_t size = 2;
  // [6455-5.2-MINLEN]
  if (header.payload_length <= 125) {
    out[1] = static_cast<std::byte>(mask_bit | static_cast<unsigned>(header.payload_length));
  } else {
    // Network byte order: most significant byte first.
    const std::size_t length_size = header.payload_length <= 0xFFFFU ? 2 : 8;
    out[1] = static_cast<std::byte>(mask_bit | (length_size == 2 ? 126U : 127U));
    for (std::size_t i = 0; i < length_size; ++i)
      out[2 + i] =
          static_cast<std::byte>(header.payload_length >> 8 * (length_size - 1 - i) & 0xFFU);
    size += length_size;
  }
  if (header.masked) {
    for (const std::byte b : header.masking_key)
      out[size++] = b;
  }
  return size;
}

}  // namespace ws
