#include "server/http/origin.h"

#include "protocol/authority.h"
#include "protocol/text.h"

namespace ws {
namespace {

/// Parses "host", "host:port" or "[::1]:port"; nullopt if malformed.
std::optional<Origin> parse_authority(std::string_view scheme, std::string_view authority) {
  const std::optional<Authority> parsed = ws::parse_authority(authority);
  if (!parsed.has_value() || parsed->host.find_first_of("/?#@ ") != std::string_view::npos)
    return std::nullopt;
  const bool is_secure =
      equals_ignoring_case(scheme, "https") || equals_ignoring_case(scheme, "wss");
  return Origin{scheme, parsed->host, parsed->port.value_or(is_secure ? 443 : 80)};
}

}  // namespace

std::optional<Origin> parse_origin(std::string_view text) {
  if (text == "null")
    return Origin{"null", "null", 0};
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || !is_token(text.substr(0, scheme)))
    return std::nullopt;
  return parse_authority(text.substr(0, scheme), text.substr(scheme + 3));
}

bool are_same(const Origin& a, const Origin& b) {
  return equals_ignoring_case(a.scheme, b.scheme) && equals_ignoring_case(a.host, b.host) &&
         a.port == b.port;
}

bool is_fixed_name(std::string_view host) {
  return (host.starts_with('[') && host.ends_with(']')) ||
         equals_ignoring_case(host, "localhost") ||
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::optional<Origin> own_origin(std::string_view host) {
  return parse_authority("http", host);
}

bool is_origin(std::string_view text) {
  return parse_origin(text).has_value();
}

}  // namespace ws
