// Origins (RFC 6454). An origin names the source of the page that sends a request: scheme "://" host [ ":" port ].
#pragma once

#include <optional>
#include <string_view>

namespace ws {

/// The members are views into the parsed text.
struct Origin {
  std::string_view scheme;
  std::string_view host;  ///< an IPv6 address includes its brackets
  int port = 0;
};

/// Parses one origin; nullopt if `text` is malformed. "null", which sandboxed pages send, is a valid origin. RFC 6454
/// §6.2
[[nodiscard]] std::optional<Origin> parse_origin(std::string_view text);
[[nodiscard]] bool is_origin(std::string_view text);

/// True if scheme, host and port are equal; the case of letters does not matter. RFC 6454 §5
[[nodiscard]] bool are_same(const Origin& a, const Origin& b);

/// The origin of this server according to `host`, the Host field of a request. The scheme is always http.
[[nodiscard]] std::optional<Origin> own_origin(std::string_view host);

/// True if `host` is an IP address or localhost, which DNS rebinding cannot misuse.
[[nodiscard]] bool is_fixed_name(std::string_view host);

}  // namespace ws
