#include "protocol/mask.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace ws {
namespace {

/// memcpy is how C++ spells an unaligned load; it compiles to one instruction.
template <typename Word>
void xor_at(std::byte* p, Word key) {
  Word bytes;
  std::memcpy(&bytes, p, sizeof bytes);
  bytes ^= key;
  std::memcpy(p, &bytes, sizeof bytes);
}

/// So many steps of 64 bytes: eight times two turns of the key.
[[gnu::always_inline]] inline void xor_steps(std::byte* p, std::size_t steps, std::uint64_t wide) {
  for (const std::byte* const end = p + steps * 64; p != end; p += 64) {
    for (std::size_t i = 0; i < 64; i += 8)
      xor_at(p + i, wide);
  }
}

#if defined(__x86_64__)
/// The same lines, for processors whose registers are twice as wide.
[[gnu::target("avx2")]] void xor_steps_avx2(std::byte* p, std::size_t steps, std::uint64_t wide) {
  xor_steps(p, steps, wide);
}
const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
#endif

}  // namespace

// region apply-mask
void apply_mask(std::span<std::byte> payload, MaskingKey key, std::size_t offset) {
  // [6455-5.3-MASK] turn the key, so that byte 0 of this piece meets the key byte that it calls for
  if (offset % 4 != 0)
    std::rotate(key.begin(), key.begin() + offset % 4, key.end());
  const auto turned = std::bit_cast<std::uint32_t>(key);

  const std::uint64_t wide = std::uint64_t{turned} << 32U | turned;
  std::byte* p = payload.data();
  const std::size_t left = payload.size() % 64;
  const std::size_t steps = payload.size() / 64;
#if defined(__x86_64__)
  if (steps >= 4 && has_avx2) {
    xor_steps_avx2(p, steps, wide);
  } else {
    xor_steps(p, steps, wide);
  }
#else
  xor_steps(p, steps, wide);
#endif
  p += steps * 64;
  // What is left, by halves.
  if ((left & 32U) != 0) {
    for (std::size_t i = 0; i < 32; i += 8)
      xor_at(p + i, wide);
    p += 32;
  }
  if ((left & 16U) != 0) {
    xor_at(p, wide);
    xor_at(p + 8, wide);
    p += 16;
  }
  if ((left & 8U) != 0) {
    xor_at(p, wide);
    p += 8;
  }
  if ((left & 4U) != 0) {
    xor_at(p, turned);
    p += 4;
  }
  for (std::size_t i = 0; i < (left & 3U); ++i)
    p[i] ^= key[i];
}
// endregion

}  // namespace ws
