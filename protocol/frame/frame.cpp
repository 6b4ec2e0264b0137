#include "protocol/frame/frame.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace ws {
namespace {

constexpr HeaderResult need_more() {
  return {HeaderResult::Status::kNeedMore, Error::kNone, 0};
}
constexpr HeaderResult fault(Error e) {
  return {HeaderResult::Status::kError, e, 0};
}

consteval bool is_defined(unsigned opcode) {
  return opcode <= 0x2 || (opcode >= 0x8 && opcode <= 0xA);
}

/// Validates the first byte of a frame: FIN, RSV1-3, opcode.
consteval Error validate_first_byte(unsigned byte0, bool deflates) {
  const auto opcode = static_cast<Opcode>(byte0 & 0x0FU);
  // [6455-5.2-RSV] RSV2 and RSV3 must be 0. [7692-6.1-RSV1] with permessage-deflate, RSV1 on the first frame of a
  // message marks the message as compressed.
  const bool may_be_compressed = deflates && (opcode == Opcode::kText || opcode == Opcode::kBinary);
  if ((byte0 & (may_be_compressed ? 0x30U : 0x70U)) != 0)
    return Error::kReservedBit;
  // [6455-5.2-OPCODE] an unknown opcode fails the connection
  if (!is_defined(byte0 & 0x0FU))
    return Error::kReservedOpcode;
  // [6455-5.5-FIN] a control frame is not fragmented
  if (is_control(opcode) && (byte0 & 0x80U) == 0)
    return Error::kControlFragmented;
  return Error::kNone;
}

/// Computes validate_first_byte for all 256 byte values, without (index 0) and with permessage-deflate (index 1).
consteval auto make_first_bytes() {
  std::array<std::array<Error, 256>, 2> table{};
  for (unsigned byte0 = 0; byte0 < 256; ++byte0) {
    table[0][byte0] = validate_first_byte(byte0, false);
    table[1][byte0] = validate_first_byte(byte0, true);
  }
  return table;
}
constexpr auto kFirstByte = make_first_bytes();

/// Network byte order: most significant byte first.
std::uint64_t read_big_endian(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (const std::byte b : bytes)
    value = value << 8U | std::to_integer<std::uint64_t>(b);
  return value;
}

}  // namespace

HeaderResult parse_frame_header(std::span<const std::byte> in, Role role, FrameHeader& header,
                                bool deflates) {
  // Byte 0: FIN, RSV1-3, opcode.
  if (in.empty())
    return need_more();
  const auto byte0 = std::to_integer<unsigned>(in[0]);
  header.fin = (byte0 & 0x80U) != 0;
  header.rsv1 = (byte0 & 0x40U) != 0;
  header.rsv2 = (byte0 & 0x20U) != 0;
  header.rsv3 = (byte0 & 0x10U) != 0;
  header.opcode = static_cast<Opcode>(byte0 & 0x0FU);
  if (const Error e = kFirstByte[deflates ? 1 : 0][byte0]; e != Error::kNone)
    return fault(e);

  // Byte 1: MASK, 7-bit length.
  if (in.size() < 2)
    return need_more();
  const auto byte1 = std::to_integer<unsigned>(in[1]);
  header.masked = (byte1 & 0x80U) != 0;
  // [6455-5.1-MASK] a client masks every frame, [6455-5.1-NOMASK] a server masks none
  if (role == Role::kServer && !header.masked)
    return fault(Error::kNotMasked);
  if (role == Role::kClient && header.masked)
    return fault(Error::kMasked);
  header.payload_length = byte1 & 0x7FU;
  // [6455-5.5-LENGTH] 126 and 127 announce a payload that is too long for a control frame
  if (is_control(header.opcode) && header.payload_length > kMaxControlPayload) {
    return fault(Error::kControlTooLong);
  }

  // Bytes 2 to 9: the extended length. First check that it is in its shortest form, then that its top bit is 0.
  std::size_t size = 2;
  if (header.payload_length == 126) {
    if (in.size() < size + 2)
      return need_more();
    header.payload_length = read_big_endian(in.subspan(size, 2));
    size += 2;
    // [6455-5.2-MINLEN] a length of 0 to 125 must use the 7-bit form
    if (header.payload_length < 126)
      return fault(Error::kLengthNotMinimal);
  } else if (header.payload_length == 127) {
    if (in.size() < size + 8)
      return need_more();
    header.payload_length = read_big_endian(in.subspan(size, 8));
    size += 8;
    // [6455-5.2-MINLEN] a length of 0 to 65535 must not use the 64-bit form
    if (header.payload_length <= 0xFFFFU)
      return fault(Error::kLengthNotMinimal);
    // [6455-5.2-TOPBIT] a length has 63 bits, so that it fits in a signed integer
    if (header.payload_length >> 63U != 0)
      return fault(Error::kLengthTopBit);
  }

  // The masking key is the last part of the header. §5.3
  if (header.masked) {
    if (in.size() < size + 4)
      return need_more();
    std::memcpy(header.masking_key.data(), in.data() + size, 4);
    size += 4;
  }
  return {HeaderResult::Status::kHeader, Error::kNone, size};
}

std::size_t read_frame_header(std::span<const std::byte> in, FrameHeader& header) {
  if (in.size() < 2)
    return 0;
  const auto byte0 = std::to_integer<unsigned>(in[0]);
  const auto byte1 = std::to_integer<unsigned>(in[1]);
  const unsigned short_length = byte1 & 0x7FU;
  const std::size_t length_size = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
  const bool masked = (byte1 & 0x80U) != 0;
  const std::size_t size = 2 + length_size + (masked ? 4 : 0);
  if (in.size() < size)
    return 0;
  header = {.fin = (byte0 & 0x80U) != 0,
            .rsv1 = (byte0 & 0x40U) != 0,
            .rsv2 = (byte0 & 0x20U) != 0,
            .rsv3 = (byte0 & 0x10U) != 0,
            .opcode = static_cast<Opcode>(byte0 & 0x0FU),
            .masked = masked,
            .payload_length =
                length_size == 0 ? short_length : read_big_endian(in.subspan(2, length_size))};
  if (masked)
    std::ranges::copy(in.subspan(size - 4, 4), header.masking_key.begin());
  return size;
}

}  // namespace ws
