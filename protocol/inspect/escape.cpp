#include "protocol/inspect/escape.h"

#include <algorithm>
#include <cstddef>

#include "protocol/frame/utf8.h"
#include "protocol/text.h"

namespace ws {
namespace {

/// Size in bytes of the character at the front of `text`; 0 if it is not UTF-8.
std::size_t character_size(std::string_view text) {
  for (std::size_t size = 1; size <= 4 && size <= text.size(); ++size) {
    if (is_utf8(as_bytes(text.substr(0, size))))
      return size;
  }
  return 0;
}

/// False for control characters (C0, DEL; C1: U+0080 to U+009F), characters that change the text direction (U+202A to
/// U+202E, U+2066 to U+2069) and line separators (U+2028, U+2029).
bool is_harmless(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1)
    return first >= 0x20 && first != 0x7F;
  if (character.size() == 2)
    return first != 0xC2 || static_cast<unsigned char>(character[1]) >= 0xA0;
  const auto last = static_cast<unsigned char>(character[2]);
  if (character.starts_with("\xE2\x80"))
    return last < 0xA8 || last > 0xAE;
  if (character.starts_with("\xE2\x81"))
    return last < 0xA6 || last > 0xA9;
  return true;
}

/// The letter of the C escape for `c`, such as 'n' for a line feed; 0 if there is none.
char letter_of(char c) {
  switch (c) {
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    case '\\':
      return '\\';
    default:
      return 0;
  }
}

/// Appends each byte as \xNN: "\xe2\x80\xae".
void append_hex(std::string& out, std::string_view bytes) {
  out += "\\x" + to_hex(as_bytes(bytes), "\\x");
}

/// Removes an incomplete character from the end of `text`.
std::string_view without_cut_character(std::string_view text) {
  for (std::size_t size = 1; size <= 3 && size <= text.size(); ++size) {
    const std::string_view end = text.substr(text.size() - size);
    if ((static_cast<unsigned char>(end[0]) & 0xC0U) == 0x80U)
      continue;  // not a first byte
    Utf8Validator validator;
    const bool is_cut = validator.accept(as_bytes(end)) && !validator.is_complete();
    return is_cut ? text.substr(0, text.size() - size) : text;
  }
  return text;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const std::size_t valid = character_size(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(valid, 1));
    if (const char letter = letter_of(text[0]); letter != 0) {
      escaped += {'\\', letter};
    } else if (valid != 0 && is_harmless(character)) {
      escaped += character;
    } else {
      append_hex(escaped, character);
    }
    text.remove_prefix(character.size());
  }
  return escaped;
}

std::string escape_for_terminal(std::string_view text) {
  const bool is_text = is_utf8(as_bytes(text));
  std::string escaped;
  while (!text.empty()) {
    const std::string_view character = text.substr(0, is_text ? character_size(text) : 1);
    const bool is_ascii = static_cast<unsigned char>(text[0]) < 0x80;
    if (text[0] == '\n') {
      escaped += "\\n";
    } else if (text[0] == '\t' || ((is_text || is_ascii) && is_harmless(character))) {
      escaped += character;
    } else {
      // Show a C1 control by its code point: U+0080 to U+009F are C2 80 to C2 9F in UTF-8.
      const bool is_c1 = is_text && text[0] == '\xC2';
      append_hex(escaped, is_c1 ? character.substr(1) : character);
    }
    text.remove_prefix(character.size());
  }
  return escaped;
}

std::string escape_beginning(std::string_view beginning, std::uint64_t size) {
  if (beginning.size() >= size)
    return escape(beginning);
  return escape(without_cut_character(beginning)) + "… (" + std::to_string(size) + " bytes)";
}

}  // namespace ws
