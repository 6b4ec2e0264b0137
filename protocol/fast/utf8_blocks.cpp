#include "protocol/fast/utf8_blocks.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ws {
#if defined(__x86_64__)
namespace {

struct Range {
  unsigned first, last;
};
struct WrongPair {
  unsigned bit;
  Range high, low;  ///< nibbles of the first byte
  Range next;       ///< high nibble of the second byte
};
constexpr Range kAny = {0x0, 0xF};
constexpr Range kContinuation = {0x8, 0xB};

// [3629-4-TABLE] Rows that differ in only one column may share a bit: the bit still marks only the pairs of these rows.
constexpr WrongPair kWrongPairs[] = {
    {0, {0xC, 0xF}, kAny, {0x0, 0x7}},           // C0..FF 00..7F
    {0, {0xC, 0xF}, kAny, {0xC, 0xF}},           // C0..FF C0..FF
    {1, {0x0, 0x7}, kAny, kContinuation},        // 00..7F 80..BF
    {2, {0xC, 0xC}, {0x0, 0x1}, kContinuation},  // C0..C1 80..BF
    {3, {0xE, 0xE}, {0x0, 0x0}, {0x8, 0x9}},     // E0     80..9F
    {4, {0xE, 0xE}, {0xD, 0xD}, {0xA, 0xB}},     // ED     A0..BF
    {5, {0xF, 0xF}, {0x0, 0x0}, {0x8, 0x8}},     // F0     80..8F
    {5, {0xF, 0xF}, {0x5, 0xF}, {0x8, 0x8}},     // F5..FF 80..8F
    {6, {0xF, 0xF}, {0x4, 0xF}, {0x9, 0xB}},     // F4..FF 90..BF
    {7, kContinuation, kAny, kContinuation},     // 80..BF 80..BF, see is_valid
};

/// The lookup table of one column: for each nibble the bits of all rows that contain the nibble.
consteval std::array<std::uint8_t, 16> bits_by_nibble(Range WrongPair::*column) {
  std::array<std::uint8_t, 16> bits{};
  for (const WrongPair& pair : kWrongPairs) {
    for (unsigned nibble = (pair.*column).first; nibble <= (pair.*column).last; ++nibble)
      bits[nibble] = static_cast<std::uint8_t>(bits[nibble] | 1U << pair.bit);
  }
  return bits;
}
constexpr auto kHigh = bits_by_nibble(&WrongPair::high);
constexpr auto kLow = bits_by_nibble(&WrongPair::low);
constexpr auto kNext = bits_by_nibble(&WrongPair::next);

[[gnu::target("avx2")]] inline __m256i load(const std::byte* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

[[gnu::target("avx2")]] inline __m256i all_bytes(unsigned byte) {
  return _mm256_set1_epi8(static_cast<char>(byte));
}

/// Returns the table entries for 32 nibbles. The shuffle instruction works on each half of the register separately, so
/// each half needs a copy of the table.
[[gnu::target("avx2")]] inline __m256i look_up(const std::array<std::uint8_t, 16>& table,
                                               __m256i nibbles) {
  const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table.data()));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(half), nibbles);
}

[[gnu::target("avx2")]] inline __m256i low_nibbles(__m256i bytes) {
  return bytes & all_bytes(0x0F);
}
[[gnu::target("avx2")]] inline __m256i high_nibbles(__m256i bytes) {
  return low_nibbles(_mm256_srli_epi16(bytes, 4));  // AVX2 cannot shift single bytes
}

/// True if the 32 bytes at `p` are valid UTF-8, given the three bytes before `p`. The last character may be incomplete.
[[gnu::target("avx2")]] inline bool is_valid(const std::byte* p) {
  const __m256i bytes = load(p);
  const __m256i before = load(p - 1);  // for each byte, the byte before it
  if (_mm256_movemask_epi8(bytes | before) == 0)
    return true;  // all bytes are ASCII: no top bit is set
  const __m256i wrong = look_up(kHigh, high_nibbles(before)) & look_up(kLow, low_nibbles(before)) &
                        look_up(kNext, high_nibbles(bytes));
  // Bit 7 of `wrong` marks two continuation bytes in a row. It must be set exactly at third and fourth bytes. The
  // saturating subtractions keep the top bit only of E0..FF (in `third`) and of F0..FF (in `fourth`).
  const __m256i third = _mm256_subs_epu8(load(p - 2), all_bytes(0xE0 - 0x80));
  const __m256i fourth = _mm256_subs_epu8(load(p - 3), all_bytes(0xF0 - 0x80));
  const __m256i unexpected = wrong ^ ((third | fourth) & all_bytes(0x80));
  return _mm256_testz_si256(unexpected, unexpected) != 0;  // all bits are 0
}

[[gnu::target("avx2")]] const std::byte* skip_avx2(const std::byte* const begin,
                                                   const std::byte* end) {
  // No bytes precede the first block: validate a copy with three zeros before it.
  std::array<std::byte, 3 + kUtf8Block> first{};
  std::copy_n(begin, kUtf8Block, first.begin() + 3);
  if (!is_valid(first.data() + 3))
    return begin;
  const std::byte* p = begin + kUtf8Block;
  while (end - p >= kUtf8Block && is_valid(p))
    p += kUtf8Block;
  // If the last block is incomplete, validate the last 32 bytes of the text instead.
  if (end - p < kUtf8Block && end - begin >= 3 + kUtf8Block && is_valid(end - kUtf8Block))
    p = end;
  // The last character may continue after `p`: return its first byte.
  do
    --p;
  while ((*p & std::byte{0xC0}) == std::byte{0x80});
  return p;
}

const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;

}  // namespace
#endif

const std::byte* skip_utf8_blocks(const std::byte* p, [[maybe_unused]] const std::byte* end) {
  assert(end - p >= kUtf8Block);
#if defined(__x86_64__)
  if (has_avx2)
    return skip_avx2(p, end);
#endif
  return p;
}

}  // namespace ws
