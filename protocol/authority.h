// Parses an authority: the host and optional port in a ws:// URI, a Host field or an Origin. RFC 3986 §3.2
//
//      host [ ":" port ]      example.com   localhost:8080   [::1]:8080
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ws {

struct Authority {
  std::string_view host;              ///< never empty; an IPv6 address keeps its brackets
  std::optional<std::uint16_t> port;  ///< nullopt if the port is missing or empty
};

/// Splits `text` into host and port. Colons inside the brackets of an IPv6 address belong to the host. Returns nullopt
/// if the host is empty or the port is not a number up to 65535. Does not check the characters of the host.
[[nodiscard]] std::optional<Authority> parse_authority(std::string_view text);

/// True if every character of `text` is allowed in a host or a port (RFC 3986 §3.2). Refuses '@', since user
/// information is not supported.
[[nodiscard]] bool has_authority_characters(std::string_view text);

}  // namespace ws
