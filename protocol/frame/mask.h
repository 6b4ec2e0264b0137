// Masking: RFC 6455 §5.3. A client XORs every payload with a fresh 4-byte key, so that no byte
// sequence of its choosing reaches the wire (§10.3); the server applies the same key again.
//
// Invariants:
//  1. Applying a key twice gives back the input: masking and unmasking are one function.
//  2. Payload byte i meets key byte i mod 4, counted from the start of the frame's payload, not of
//     the read: a caller that has a payload in pieces passes how many bytes came before.
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

/// memcpy is how C++ spells an unaligned load; it compiles to one instruction.
template <typename Word>
void xor_at(std::byte* p, Word key) {
  Word bytes;
  std::memcpy(&bytes, p, sizeof bytes);
  bytes ^= key;
  std::memcpy(p, &bytes, sizeof bytes);
}

/// Bits by which a key in a register turns for one byte in memory: the other way where the first byte is the highest.
inline constexpr int kByte = std::endian::native == std::endian::little ? 8 : -8;

/// So many steps of 64 bytes.
void xor_steps(std::byte* p, std::size_t steps, std::uint64_t wide);

}  // namespace mask_detail

/// XORs `payload` in place with `key`; `offset` bytes of the same frame's payload came before. In a header, since most
/// payloads are so short that a call would cost as much as the work.
[[gnu::always_inline]] inline void apply_mask(std::span<std::byte> payload, MaskingKey key,
                                              std::size_t offset = 0) {
  // [6455-5.3-MASK] turn the key, so that byte 0 of this piece meets the key byte that it calls for
  const auto word = std::bit_cast<std::uint32_t>(key);
  const std::uint32_t turned = std::rotr(word, static_cast<int>(offset % 4) * mask_detail::kByte);

  const std::uint64_t wide = std::uint64_t{turned} << 32U | turned;
  std::byte* p = payload.data();
  if (const std::size_t steps = payload.size() / 64; steps != 0) {
    mask_detail::xor_steps(p, steps, wide);
    p += steps * 64;
  }
  // What is left, by halves.
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
