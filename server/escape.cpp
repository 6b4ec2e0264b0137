#include "server/escape.h"

#include <cstddef>
#include <span>

#include "protocol/utf8.h"

namespace ws {
namespace {

/// Bytes of the character at the front of `text`; 0: it is not UTF-8.
std::size_t character_size(std::string_view text) {
  for (std::size_t size = 1; size <= 4 && size <= text.size(); ++size) {
    if (is_utf8(std::as_bytes(std::span(text.substr(0, size)))))
      return size;
  }
  return 0;
}

/// Printable, and on its own place in the line: no control character (C0, DEL; C1, U+0080 to U+009F), none that
/// changes the direction of writing (U+202A to U+202E, U+2066 to U+2069) or ends a line (U+2028, U+2029).
bool is_harmless(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  if (character.size() == 1)
    return first >= 0x20 && first != 0x7F && first != '\\';
  if (character.size() == 2)
    return first != 0xC2 || static_cast<unsigned char>(character[1]) >= 0xA0;
  const auto last = static_cast<unsigned char>(character[2]);
  if (character.starts_with("\xE2\x80"))
    return last < 0xA8 || last > 0xAE;
  if (character.starts_with("\xE2\x81"))
    return last < 0xA6 || last > 0xA9;
  return true;
}

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\\':
      out += "\\\\";
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  out += "\\x";
  out += "0123456789abcdef"[byte >> 4U];
  out += "0123456789abcdef"[byte & 0xFU];
}

/// Without the beginning of a character at its end.
std::string_view without_cut_character(std::string_view text) {
  for (std::size_t size = 1; size <= 3 && size <= text.size(); ++size) {
    const std::string_view end = text.substr(text.size() - size);
    if ((static_cast<unsigned char>(end[0]) & 0xC0U) == 0x80U)
      continue;  // not a first byte
    Utf8Validator validator;
    const bool is_cut = validator.accept(std::as_bytes(std::span(end))) && !validator.is_complete();
    return is_cut ? text.substr(0, text.size() - size) : text;
  }
  return text;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    if (size > 0 && is_harmless(text.substr(0, size))) {
      escaped += text.substr(0, size);
    } else {
      for (const char c : text.substr(0, size == 0 ? 1 : size))
        append_escaped(escaped, c);
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return escaped;
}

std::string escape_beginning(std::string_view beginning, std::uint64_t size) {
  if (beginning.size() >= size)
    return escape(beginning);
  return escape(without_cut_character(beginning)) + "… (" + std::to_string(size) + " bytes)";
}

}  // namespace ws
