// UTF-8 validation that may stop at any byte and go on: RFC 6455 §8.1, RFC 3629 §4.
//
// A text message may be cut anywhere, in the middle of a character too, by frames and by reads. The
// validator keeps what it needs to go on: how many bytes the open character still lacks, and the
// range in which the next one must lie. Those ranges, RFC 3629's table, are all there is to it:
//
//      1st byte   2nd byte   3rd, 4th   what the odd ranges keep out
//      00..7F
//      C2..DF     80..BF                C0, C1: two bytes for what fits in one
//      E0         A0..BF     80..BF     three bytes for what fits in two
//      E1..EC     80..BF     80..BF
//      ED         80..9F     80..BF     surrogates, D800..DFFF
//      EE..EF     80..BF     80..BF
//      F0         90..BF     80..BF     four bytes for what fits in three
//      F1..F3     80..BF     80..BF
//      F4         80..8F     80..BF     beyond 10FFFF, like F5..FF
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ws {

class Utf8Validator {
 public:
  /// Takes the next byte of the text. False if no valid text could have it there; the validator is then
  /// of no further use.
  [[nodiscard]] bool accept(std::byte next);

  /// The same for several bytes, in order; fewer steps than bytes where it can.
  [[nodiscard]] bool accept(std::span<const std::byte> bytes);

  /// True if the text may end here: no character is open.
  [[nodiscard]] bool is_complete() const { return lacking_ == 0; }

 private:
  std::uint8_t lacking_ = 0;  ///< continuation bytes that the open character still needs
  std::uint8_t low_ = 0x80;   ///< the next one lies in low_..high_
  std::uint8_t high_ = 0xBF;
};

/// True if `bytes` is one whole UTF-8 text.
[[nodiscard]] bool is_utf8(std::span<const std::byte> bytes);

}  // namespace ws
