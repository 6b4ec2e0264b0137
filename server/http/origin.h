// Origins: RFC 6454. Where the page that sends a request comes from: scheme "://" host [ ":" port ].
#pragma once

#include <optional>
#include <string_view>

namespace ws {

/// Views into the text that it was parsed from.
struct Origin {
  std::string_view scheme;
  std::string_view host;  ///< an IPv6 address with its brackets
  int port = 0;
};

/// nullopt if `text` is not an origin, and nothing else. "null", which sandboxed pages send, is an origin like no other.
/// RFC 6454 §6.2
[[nodiscard]] std::optional<Origin> parse_origin(std::string_view text);
[[nodiscard]] bool is_origin(std::string_view text);

/// Compares scheme and host in any case. RFC 6454 §5
[[nodiscard]] bool are_same(const Origin& a, const Origin& b);

/// The origin of this server as a request names it in its Host field, `host`. This port speaks http alone.
[[nodiscard]] std::optional<Origin> own_origin(std::string_view host);

/// True for a name that no outsider can let point here: an address itself, or localhost.
[[nodiscard]] bool is_fixed_name(std::string_view host);

}  // namespace ws
