// Incremental UTF-8 validation: RFC 6455 §8.1, RFC 3629 §4.
//
// Frames and reads may split a text message anywhere, even inside a character. The validator keeps the number of bytes
// that the current character still needs and the valid range of the next byte. The ranges are those of RFC 3629:
//
//      1st byte   2nd byte   3rd, 4th   excluded
//      00..7F
//      C2..DF     80..BF                C0, C1: overlong, one byte is enough
//      E0         A0..BF     80..BF     80..9F: overlong, two bytes are enough
//      E1..EC     80..BF     80..BF
//      ED         80..9F     80..BF     A0..BF: surrogates, D800..DFFF
//      EE..EF     80..BF     80..BF
//      F0         90..BF     80..BF     80..8F: overlong, three bytes are enough
//      F1..F3     80..BF     80..BF
//      F4         80..8F     80..BF     90..BF, and F5..FF: above 10FFFF
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ws {

class Utf8Validator {
 public:
  /// Validates the next byte of the text. After `accept` has returned false, the validator must not be used again.
  [[nodiscard]] bool accept(std::byte next);

  /// Validates the next bytes of the text. Faster than one byte at a time.
  [[nodiscard]] bool accept(std::span<const std::byte> bytes);

  /// True if the last character is complete, so that the text may end here.
  [[nodiscard]] bool is_complete() const { return lacking_ == 0; }

 private:
  std::uint8_t lacking_ = 0;  ///< continuation bytes that the current character still needs
  std::uint8_t low_ = 0x80;   ///< the next continuation byte must be in low_..high_
  std::uint8_t high_ = 0xBF;
};

/// True if `bytes` is a complete, valid UTF-8 text.
[[nodiscard]] bool is_utf8(std::span<const std::byte> bytes);

}  // namespace ws
