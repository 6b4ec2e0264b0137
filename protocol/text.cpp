#include "protocol/text.h"

#include <algorithm>

namespace ws {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

/// Decodes the two hex digits at the start of `text`.
char decode_hex(std::string_view text) {
  return static_cast<char>(kHexDigits.find(to_lower(text[0])) << 4U |
                           kHexDigits.find(to_lower(text[1])));
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_tchar);
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back()))
    text.remove_suffix(1);
  return text;
}

std::optional<std::string_view> next_list_element(std::string_view& list) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view element = trim(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (!element.empty())
      return element;
  }
  return std::nullopt;
}

bool is_percent_encoded(std::string_view text, bool (*is_allowed)(char)) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (text.size() - i < 3 || !is_hex_digit(text[i + 1]) || !is_hex_digit(text[i + 2]))
        return false;
      i += 2;
    } else if (!is_allowed(text[i])) {
      return false;
    }
  }
  return true;
}

std::string decode_unreserved(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    decoded += text[i];
    if (text[i] != '%')
      continue;
    if (const char c = decode_hex(text.substr(i + 1, 2)); is_unreserved(c)) {
      decoded.back() = c;
      i += 2;
    }
  }
  return decoded;
}

std::string to_hex(std::span<const std::byte> bytes, std::string_view between) {
  std::string text;
  for (const std::byte byte : bytes) {
    if (!text.empty())
      text += between;
    text += kHexDigits[std::to_integer<std::size_t>(byte >> 4U)];
    text += kHexDigits[std::to_integer<std::size_t>(byte & std::byte{0xF})];
  }
  return text;
}

std::string to_hex(std::uint64_t number, std::size_t digits) {
  std::string text;
  for (; number != 0 || text.size() < digits; number >>= 4U)
    text.insert(text.begin(), kHexDigits[number & 0xFU]);
  return text;
}

}  // namespace ws
