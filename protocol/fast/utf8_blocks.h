// UTF-8, 32 bytes a step: the fast twin of protocol/frame/utf8, for text that is not all ASCII.
//
// The twin passes over what it has found valid, and judges nothing. Where it stops, be it for an invalid
// byte or for want of bytes, the plain version goes on, byte by byte, and says what is wrong and what is
// still open. So there is one state and one verdict, and this file could be left out.
//
// How can 32 bytes be looked at together, if what precedes a byte decides whether it is valid? RFC 3629's
// table, turned round, says which pairs of neighbours are wrong, and a pair is known by three halves of
// bytes (nibbles): both of the first byte, and the high one of the second.
//
//      first byte   second byte
//      C0..FF       00..7F, C0..FF   a first byte, and then no continuation
//      00..7F       80..BF           a continuation of nothing
//      C0..C1       80..BF           two bytes for what fits in one
//      E0           80..9F           three for what fits in two
//      ED           A0..BF           surrogates
//      F0           80..8F           four for what fits in three
//      F4..FF       90..BF           beyond 10FFFF
//      F5..FF       80..8F           the same
//      80..BF       80..BF           unless the second one is a character's third or fourth
//
// An instruction of AVX2 looks up 32 nibbles at once in a table of 16 bytes. Each kind of wrong pair has
// a bit, each nibble a byte with the bits of the kinds that it may be part of; a pair is wrong if all
// three of its nibbles say so. Only the last kind needs to know more: whether a character of three or
// four bytes began two or three bytes before. The idea is that of Keiser and Lemire, "Validating UTF-8
// In Less Than One Instruction Per Byte", 2020.
#pragma once

#include <cstddef>

namespace ws {

inline constexpr std::ptrdiff_t kUtf8Block = 32;

/// From `p`, where a character begins, to where another does, with nothing but valid characters between. Of valid text
/// only the last character is left over, and a last byte or two if there is just one block; without AVX2 all of it.
/// `end` is at least kUtf8Block bytes behind `p`; nothing outside of the two is read.
[[nodiscard]] const std::byte* skip_utf8_blocks(const std::byte* p, const std::byte* end);

}  // namespace ws
