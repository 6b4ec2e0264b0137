// Masking: RFC 6455 §5.3. A client XORs the payload of each frame with a new 4-byte key, so that an application cannot
// choose the bytes on the wire (§10.3). The server unmasks with the same key.
//
// Invariants:
//  1. Applying a key twice restores the input, so that one function masks and unmasks.
//  2. Payload byte i is XORed with key byte i mod 4, where i counts from the start of the frame's payload. For a part
//     of a payload the caller passes the offset of the part.
//  3. No byte outside `payload` is read or written.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "protocol/frame/frame.h"

namespace ws {

namespace mask_detail {

/// XORs the word at `p` with `key`. memcpy is a portable unaligned access and compiles to one instruction.
template <typename Word>
void xor_at(std::byte* p, Word key) {
  Word bytes;
  std::memcpy(&bytes, p, sizeof bytes);
  bytes ^= key;
  std::memcpy(p, &bytes, sizeof bytes);
}

/// Rotating a key right by this number of bits moves each of its bytes one place towards the front in memory, and the
/// first byte to the end. Negative on big-endian machines, where the key must be rotated left.
inline constexpr int kByte = std::endian::native == std::endian::little ? 8 : -8;

/// XORs `steps` blocks of 64 bytes at `p` with `wide`, which contains the key twice.
void xor_steps(std::byte* p, std::size_t steps, std::uint64_t wide);

}  // namespace mask_detail

/// XORs `payload` in place with `key`. `offset`: position of `payload` in the frame's payload, in bytes. Inline, since
/// for most payloads a call would cost as much as the work.
[[gnu::always_inline]] inline void apply_mask(std::span<std::byte> payload, MaskingKey key,
                                              std::size_t offset = 0) {
  // [6455-5.3-MASK] rotate the key, so that its first byte is the one for payload[0]
  const auto word = std::bit_cast<std::uint32_t>(key);
  const std::uint32_t turned = std::rotr(word, static_cast<int>(offset % 4) * mask_detail::kByte);

  const std::uint64_t wide = std::uint64_t{turned} << 32U | turned;
  std::byte* p = payload.data();
  if (const std::size_t steps = payload.size() / 64; steps != 0) {
    mask_detail::xor_steps(p, steps, wide);
    p += steps * 64;
  }
  // The remaining 0 to 63 bytes.
  const std::size_t left = payload.size() % 64;
  if ((left & 32U) != 0) {
    for (std::size_t i = 0; i < 32; i += 8)
      mask_detail::xor_at(p + i, wide);
    p += 32;
  }
  if ((left & 16U) != 0) {
    mask_detail::xor_at(p, wide);
    mask_detail::xor_at(p + 8, wide);
    p += 16;
  }
  if ((left & 8U) != 0) {
    mask_detail::xor_at(p, wide);
    p += 8;
  }
  if ((left & 4U) != 0) {
    mask_detail::xor_at(p, turned);
    p += 4;
  }
  key = std::bit_cast<MaskingKey>(turned);
  for (std::size_t i = 0; i < (left & 3U); ++i)
    p[i] ^= key[i];
}

}  // namespace ws
