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
/// if the host is empty or the port is not a number up to 65535. Does not check the host: see is_host.
[[nodiscard]] std::optional<Authority> parse_authority(std::string_view text);

/// True if `text` is a host that is not empty: a registered name, an IPv4 address, or an IPv6 or later address in
/// brackets. Refuses user information ('@') and zone identifiers. §3.2.2
[[nodiscard]] bool is_host(std::string_view text);

/// True if `text` is an IPv6 address in brackets with a zone identifier after "%25": [fe80::1%25eth0]. Only a URI may
/// contain one: a Host field or an Origin must not. RFC 6874 §2
[[nodiscard]] bool is_host_with_zone(std::string_view text);

/// True if `text` is host [ ":" port ]. The port may be empty and may have any number of digits. §3.2
[[nodiscard]] bool is_authority(std::string_view text);

}  // namespace ws
