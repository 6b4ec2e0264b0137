// Parses a ws:// URI: RFC 6455 §3, RFC 3986 §3 and, for zone identifiers, RFC 6874.
//
//      ws://localhost:8080/echo?a=b        "ws:" "//" host [ ":" port ] path [ "?" query ]
//      ws://[fe80::1%25eth0]:8080/         a link-local address, and the network interface to connect through
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ws {

struct Uri {
  std::string
      host;  ///< to connect to: percent-decoded, without brackets: "localhost", "fe80::1%eth0"
  std::uint16_t port = 80;
  std::string
      authority;         ///< for the Host field: without the zone, and without the port if it is 80
  std::string resource;  ///< path and query, at least "/"
};

/// Parses a ws:// URI. A text without "://" gets the scheme ws: "localhost/echo" is ws://localhost/echo. Returns
/// nullopt if `text` is malformed, has a fragment or user information, or has another scheme (wss: is not supported).
[[nodiscard]] std::optional<Uri> parse_uri(std::string_view text);
/// Why parse_uri returns nullopt, as the end of a sentence about the URI: "has no host". Empty if `text` is valid.
[[nodiscard]] std::string explain_bad_uri(std::string_view text);

}  // namespace ws
