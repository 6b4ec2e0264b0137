// Text helpers for ASCII, used by several parsers and programs. Independent of the locale.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ws {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
constexpr bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
/// True if `c` may be in any part of a URI without percent-encoding: RFC 3986 §2.3.
constexpr bool is_unreserved(char c) {
  return is_digit(c) || is_alpha(c) || std::string_view("-._~").find(c) != std::string_view::npos;
}
/// True if `c` may separate parts of a component of a URI: RFC 3986 §2.2.
constexpr bool is_sub_delim(char c) {
  return std::string_view("!$&'()*+,;=").find(c) != std::string_view::npos;
}
/// True for space and tab, the characters of optional whitespace (OWS): RFC 9110 §5.6.3.
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
/// True if `c` is allowed in a token: RFC 9110 §5.6.2.
constexpr bool is_tchar(char c) {
  return is_digit(c) || is_alpha(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// True if `text` is a token, one or more tchar: RFC 9110 §5.6.2.
[[nodiscard]] bool is_token(std::string_view text);
/// Compares `a` and `b`, ignoring the case of ASCII letters.
[[nodiscard]] inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
  // Inline, since each lookup of a field compares all names, and most of them differ in size.
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return to_lower(x) == to_lower(y);
         });
}
/// Removes spaces and tabs at both ends.
[[nodiscard]] std::string_view trim(std::string_view text);
/// Removes the first element from `list`, a comma-separated list (RFC 9110 §5.6.1). Returns the element without
/// surrounding spaces and tabs, or nullopt at the end. Skips empty elements.
std::optional<std::string_view> next_list_element(std::string_view& list);

/// True if `text` consists of percent-encoded bytes ("%41", RFC 3986 §2.1) and of characters for which `is_allowed`
/// returns true.
[[nodiscard]] bool is_percent_encoded(std::string_view text, bool (*is_allowed)(char));
/// Decodes the percent-encoded unreserved characters in `text`, which does not change the meaning of a URI: RFC 3986
/// §6.2.2.2. Other characters stay encoded: %2F is not a '/' of the path. The encoding must be valid.
[[nodiscard]] std::string decode_unreserved(std::string_view text);

/// Views `bytes` as characters. The bytes need not be UTF-8.
[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// Writes each byte as two lower-case hex digits, separated by `between`.
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes, std::string_view between = "");
/// Writes `number` in lower-case hex, padded with zeros to at least `digits` digits: (0x2a, 4) gives "002a", (0x12345,
/// 4) gives "12345".
[[nodiscard]] std::string to_hex(std::uint64_t number, std::size_t digits);

}  // namespace ws
