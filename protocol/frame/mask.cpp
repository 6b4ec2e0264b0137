#include "protocol/frame/mask.h"

namespace ws::mask_detail {
namespace {

/// XORs 64 bytes per step, as eight words. Inlined, so that it is compiled for the instruction set of each caller.
[[gnu::always_inline]] inline void xor_generic(std::byte* p, std::size_t steps,
                                               std::uint64_t wide) {
  for (const std::byte* const end = p + steps * 64; p != end; p += 64) {
    for (std::size_t i = 0; i < 64; i += 8)
      xor_at(p + i, wide);
  }
}

#if defined(__x86_64__)
/// xor_generic, compiled for AVX2 (registers of 32 bytes).
[[gnu::target("avx2")]] void xor_avx2(std::byte* p, std::size_t steps, std::uint64_t wide) {
  xor_generic(p, steps, wide);
}
const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
#endif

}  // namespace

void xor_steps(std::byte* p, std::size_t steps, std::uint64_t wide) {
#if defined(__x86_64__)
  if (steps >= 4 && has_avx2)
    return xor_avx2(p, steps, wide);
#endif
  xor_generic(p, steps, wide);
}

}  // namespace ws::mask_detail
