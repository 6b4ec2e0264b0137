#include "protocol/mask.h"

#include <cstdint>
#include <cstring>

namespace ws {

// region apply-mask
void apply_mask(std::span<std::byte> payload, MaskingKey key, std::size_t offset) {
  // [6455-5.3-MASK] turn the key, so that byte 0 of this piece meets the key byte that it calls for
  MaskingKey turned;
  for (std::size_t i = 0; i < 4; ++i)
    turned[i] = key[(offset + i) % 4];

  // Eight bytes a step: two turns of the key. memcpy is how C++ spells an unaligned load; it
  // compiles to one instruction, and the compiler widens the loop further.
  std::uint64_t wide;
  std::memcpy(&wide, turned.data(), 4);
  std::memcpy(reinterpret_cast<std::byte*>(&wide) + 4, turned.data(), 4);
  std::byte* p = payload.data();
  std::size_t left = payload.size();
  for (; left >= 8; left -= 8, p += 8) {
    std::uint64_t bytes;
    std::memcpy(&bytes, p, 8);
    bytes ^= wide;
    std::memcpy(p, &bytes, 8);
  }
  for (std::size_t i = 0; i < left; ++i)
    p[i] ^= turned[i % 4];
}
// endregion

}  // namespace ws
