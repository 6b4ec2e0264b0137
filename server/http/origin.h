// Origins (RFC 6454). An origin names the source of the page that sends a request: scheme "://" host [ ":" port ].
#pragma once

#include <optional>
#include <string_view>

namespace ws {

/// The members are views into the parsed text.
struct Origin {
  std::string_view scheme;
  std::string_view host;  ///< an IPv6 address includes its brackets; empty for file://
  int port = kNoPort;     ///< the default port of the scheme if the text names none

  static constexpr int kNoPort = -1;  ///< the scheme has no default port
};

/// Parses an origin as browsers send it: scheme "://" host [ ":" port ], "null" (sandboxed pages and files; scheme and
/// host are then "" and "null"), or a scheme without a host, such as file://. Ignores one '/' at the end, like Spring.
/// Returns nullopt if `text` is malformed. RFC 6454 §6.2
[[nodiscard]] std::optional<Origin> parse_origin(std::string_view text);
[[nodiscard]] bool is_origin(std::string_view text);

/// Parses an Origin as Spring 6.2 and later does: as a URI or a relative reference, with or without scheme, user
/// information, host and path. Returns nullopt if the text is malformed, for which Spring answers 403. The table in
/// docs/10-security.md has examples. A port greater than 65535 is stored as 65536.
[[nodiscard]] std::optional<Origin> parse_origin_like_spring(std::string_view text);

/// True if scheme, host and port are equal; the case of letters does not matter. RFC 6454 §5
[[nodiscard]] bool are_same(const Origin& a, const Origin& b);

/// The origin of this server according to `host`, the Host field of a request. `is_secure`: the request came over TLS, and
/// the scheme is https, not http.
[[nodiscard]] std::optional<Origin> own_origin(std::string_view host, bool is_secure);

/// True if `host` is an IP address or localhost, which DNS rebinding cannot misuse.
[[nodiscard]] bool is_fixed_name(std::string_view host);

}  // namespace ws
