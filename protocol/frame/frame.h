// Reads and writes the frame header: RFC 6455 §5.2. After the handshake a connection carries only frames.
//
//       0                   1                   2                   3
//       0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//      +-+-+-+-+-------+-+-------------+-------------------------------+
//      |F|R|R|R| opcode|M| 7-bit length|  16-bit length (if 126), or   |
//      |I|S|S|S|  (4)  |A|0-125: length| 64-bit length (if 127),       |
//      |N|V|V|V|       |S|  126 / 127: | most significant byte first   |
//      | |1|2|3|       |K|  see right  |                               |
//      +-+-+-+-+-------+-+-------------+-------------------------------+
//      |  masking key, 4 bytes, if MASK is 1; then the payload         |
//      +---------------------------------------------------------------+
//
// Invariants:
//  1. A header has 2 to 14 bytes; parsing reads no byte after it.
//  2. Rules are checked in the order of the bytes, and an error is reported as soon as the wrong byte has arrived. The
//     result does not depend on how the stream is split into reads.
//  3. Parsing an incomplete header consumes nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/error.h"
#include "protocol/role.h"

namespace ws {

/// The opcodes of §5.2 and §11.8. The values 3-7 and 0xB-0xF are reserved.
enum class Opcode : std::uint8_t {
  kContinuation = 0x0,
  kText = 0x1,
  kBinary = 0x2,
  kClose = 0x8,
  kPing = 0x9,
  kPong = 0xA,
};

/// True for the opcodes of control frames: their top bit is set. Control frames may come between the fragments of a
/// message. §5.5
constexpr bool is_control(Opcode opcode) {
  return (static_cast<unsigned>(opcode) & 0x8U) != 0;
}

/// The four bytes of a masking key in wire order. §5.3
using MaskingKey = std::array<std::byte, 4>;

inline constexpr std::size_t kMaxHeaderSize = 14;       ///< 2 bytes, 64-bit length, masking key
inline constexpr std::size_t kMaxControlPayload = 125;  ///< §5.5

struct FrameHeader {
  bool fin = true;
  bool rsv1 = false;
  bool rsv2 = false;
  bool rsv3 = false;
  Opcode opcode = Opcode::kText;
  bool masked = false;
  MaskingKey masking_key{};  ///< valid only if `masked`
  std::uint64_t payload_length = 0;
};

struct HeaderResult {
  enum class Status : std::uint8_t { kNeedMore, kHeader, kError };
  Status status;
  Error error;       ///< the broken rule, if kError
  std::size_t size;  ///< bytes of the header (2 to 14), if kHeader
};

/// Parses one header at the start of `in`. `role` is the receiver's: a server requires masked frames, a client refuses
/// them. Reserved bits must be 0. Exception: if `deflates` is true (permessage-deflate was negotiated), RSV1 may be 1
/// on the first frame of a message. On kHeader all of `header` is set, on kError only the fields up to the wrong one.
HeaderResult parse_frame_header(std::span<const std::byte> in, Role role, FrameHeader& header,
                                bool deflates = false);

/// Reads a header without validating it, for the dissector, which also shows frames that break the rules. Returns the
/// size of the header in bytes, or 0 if `in` does not contain the whole header.
std::size_t read_frame_header(std::span<const std::byte> in, FrameHeader& header);

/// Writes `header` to the start of `out`, with the length in its shortest form. Returns the size of the header (2 to 14
/// bytes). Inline, so that the compiler folds constants at the call site.
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
