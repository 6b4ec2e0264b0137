#include "server/app/payload_text.h"

#include <cstdint>

#include "protocol/frame/utf8.h"
#include "protocol/text.h"

namespace ws {
namespace {

/// The size of a character, or of malformed bytes that one U+FFFD replaces.
struct Character {
  std::size_t size;
  bool is_valid;
};

/// Returns the character at the start of `bytes`. If there is no valid character, returns the bytes that one U+FFFD
/// replaces: an incomplete character, a surrogate, or one byte.
Character first_character(std::span<const std::byte> bytes) {
  const auto first = std::to_integer<std::uint8_t>(bytes[0]);
  if (first < 0x80)
    return {1, true};
  if (first < 0xC2 || first > 0xF4)
    return {1, false};
  const std::size_t wanted = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  std::size_t size = 1;
  for (; size < wanted && size < bytes.size(); ++size) {
    const auto byte = std::to_integer<std::uint8_t>(bytes[size]);
    const bool is_second = size == 1;
    const int low = is_second && first == 0xE0 ? 0xA0 : is_second && first == 0xF0 ? 0x90 : 0x80;
    const int high = is_second && first == 0xF4 ? 0x8F : 0xBF;
    if (byte < low || byte > high)
      break;
  }
  const bool is_surrogate =
      first == 0xED && size > 1 && std::to_integer<std::uint8_t>(bytes[1]) >= 0xA0;
  return {size, size == wanted && !is_surrogate};
}

}  // namespace

std::string payload_text(std::span<const std::byte> payload) {
  std::string text;
  while (!payload.empty()) {
    const Character character = first_character(payload);
    text += character.is_valid ? as_text(payload.first(character.size)) : "\xEF\xBF\xBD";
    payload = payload.subspan(character.size);
  }
  return text;
}

std::string_view message_text(Opcode opcode, std::span<const std::byte> payload,
                              std::string& storage) {
  if (opcode == Opcode::kText || is_utf8(payload))
    return as_text(payload);
  storage = payload_text(payload);  // [6455-5.6-TEXT] only valid UTF-8 may be sent as text
  return storage;
}

}  // namespace ws
