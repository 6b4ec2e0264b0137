// Text helpers that more than one parser, or more than one program, needs. ASCII only: no locale.
#pragma once

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
/// RFC 9110 §5.6.3: OWS consists of these.
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}
constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
/// RFC 9110 §5.6.2
constexpr bool is_tchar(char c) {
  return is_digit(c) || is_alpha(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

/// RFC 9110 §5.6.2: one or more tchar.
[[nodiscard]] bool is_token(std::string_view text);
/// ASCII letters only, as in RFC 9110 §5.1.
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);
/// `text` without the blanks around it.
[[nodiscard]] std::string_view trim(std::string_view text);
/// The next element of a comma-separated list (RFC 9110 §5.6.1), trimmed; it is removed from the front of `list`.
/// Empty elements are skipped; nullopt at the end.
std::optional<std::string_view> next_list_element(std::string_view& list);

/// The same bytes as characters. They need not be UTF-8.
[[nodiscard]] inline std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
/// The same characters as bytes.
[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// Two lower-case digits for each byte, `between` each two bytes.
[[nodiscard]] std::string to_hex(std::span<const std::byte> bytes, std::string_view between = "");
/// Lower-case, with zeros in front up to `digits` digits: (0x2a, 4) is "002a", (0x12345, 4) is "12345".
[[nodiscard]] std::string to_hex(std::uint64_t number, std::size_t digits);

}  // namespace ws
