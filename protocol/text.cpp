#include "protocol/text.h"

#include <algorithm>

namespace ws {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_tchar);
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, to_lower, to_lower);
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
