// Fast path of protocol/frame/utf8, for text that is not all ASCII: validates 32 bytes per step with AVX2.
//
// The fast path only skips valid characters. It stops at an invalid byte or near the end of the input. The general path
// continues there, reports errors and keeps the state of an incomplete character. This file is optional: the result is
// the same without it.
//
// To validate 32 bytes in parallel, look at pairs of adjacent bytes. Some pairs are invalid by RFC 3629's table. Three
// nibbles (halves of bytes) identify such a pair: both nibbles of the first byte and the high nibble of the second.
//
//      first byte   second byte      why invalid
//      C0..FF       00..7F, C0..FF   first byte without a continuation byte
//      00..7F       80..BF           continuation byte without a first byte
//      C0..C1       80..BF           overlong: one byte is enough
//      E0           80..9F           overlong: two bytes are enough
//      ED           A0..BF           surrogates
//      F0           80..8F           overlong: three bytes are enough
//      F4..FF       90..BF           above 10FFFF
//      F5..FF       80..8F           above 10FFFF
//      80..BF       80..BF           unless the second byte is the third or fourth byte of a character
//
// One AVX2 instruction looks up 32 nibbles in a table of 16 bytes. Each of the three nibbles has its own table. Each
// kind of invalid pair has a bit, and the entry of a nibble has the bits of all kinds that contain this nibble. A pair
// is invalid if the entries of its three nibbles have a common bit. Exception: a pair of the last kind is valid if its
// second byte comes two bytes after the start of a three- or four-byte character, or three bytes after the start of a
// four-byte character.
// Method: Keiser and Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte", 2020.
#pragma once

#include <cstddef>

namespace ws {

inline constexpr std::ptrdiff_t kUtf8Block = 32;

/// Skips valid characters from `p`, which must be the start of a character. Returns the start of the first character
/// not skipped. Skips a valid text up to its last character; if the text is shorter than kUtf8Block + 3 bytes, may stop
/// up to two bytes earlier. Skips nothing without AVX2. There must be at least kUtf8Block bytes from `p` to `end`.
[[nodiscard]] const std::byte* skip_utf8_blocks(const std::byte* p, const std::byte* end);

}  // namespace ws
