// Parses host and port, the authority of a ws:// URI, a Host field or an Origin: RFC 3986 §3.2.
//
//      host [ ":" port ]      example.com   localhost:8080   [::1]:8080
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ws {

struct Authority {
  std::string_view host;              ///< never empty; an IPv6 address keeps its brackets
  std::optional<std::uint16_t> port;  ///< nullopt: no port, or an empty one
};

/// Splits at the colon after the brackets, or without brackets at the first colon. Returns nullopt if the host is empty
/// or the port is not a number up to 65535. Does not check the characters of the host.
[[nodiscard]] std::optional<Authority> parse_authority(std::string_view text);

/// True if every character is allowed in a host or a port (RFC 3986 §3.2). '@' is not: user information is refused.
[[nodiscard]] bool has_authority_characters(std::string_view text);

}  // namespace ws
