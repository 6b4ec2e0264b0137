// Host and port, as a ws:// URI, a Host field and an Origin have them: RFC 3986 §3.2.
//
//      host [ ":" port ]      example.com   localhost:8080   [::1]:8080
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ws {

struct Authority {
  std::string_view host;              ///< an IPv6 address with its brackets; never empty
  std::optional<std::uint16_t> port;  ///< nullopt: there is none, or it is empty
};

/// Splits at the colon that follows the brackets, or at the first one. nullopt if the host is empty, or if the port
/// is not a number up to 65535. Which characters the host has is not checked.
[[nodiscard]] std::optional<Authority> parse_authority(std::string_view text);

/// True if all characters may be in an authority, loosely: no blank, slash, '@' or control character slips in.
[[nodiscard]] bool has_authority_characters(std::string_view text);

}  // namespace ws
