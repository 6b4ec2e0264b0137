#include "server/http/origin.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "protocol/authority.h"
#include "protocol/text.h"

namespace ws {
namespace {

int default_port(std::string_view scheme) {
  if (equals_ignoring_case(scheme, "http") || equals_ignoring_case(scheme, "ws"))
    return 80;
  if (equals_ignoring_case(scheme, "https") || equals_ignoring_case(scheme, "wss"))
    return 443;
  return Origin::kNoPort;
}

/// RFC 3986 §3.1
bool is_scheme(std::string_view text) {
  return !text.empty() && is_alpha(text[0]) && std::ranges::all_of(text, [](char c) {
    return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
}

/// Parses [ user "@" ] host [ ":" port ] and sets host and port of `origin`. Like Spring, accepts empty parts, and a
/// '[' without ']'. Returns false if `text` is malformed.
bool parse_authority_like_spring(std::string_view text, Origin& origin) {
  const std::size_t host = text.rfind('@') + 1;  // 0 without user information
  const bool is_user = std::ranges::all_of(text.substr(0, host), [](char c) {
    return is_unreserved(c) || is_sub_delim(c) ||
           std::string_view("%:@[]").find(c) != std::string_view::npos;
  });
  text.remove_prefix(host);
  std::size_t end = std::min(text.find(':'), text.size());
  bool is_valid_host = end == 0 || is_host(text.substr(0, end));
  if (text.starts_with('[')) {
    end = std::min(text.find(']'), text.size() - 1) + 1;
    is_valid_host = std::ranges::all_of(
        text.substr(1, end - 1), [](char c) { return is_hex_digit(c) || c == ':' || c == ']'; });
  }
  const std::string_view port = text.substr(end);
  if (!is_user || !is_valid_host || !(port.empty() || port[0] == ':') ||
      !std::ranges::all_of(port.substr(std::min<std::size_t>(1, port.size())), is_digit)) {
    return false;
  }
  origin.host = text.substr(0, end);
  origin.port = default_port(origin.scheme);
  if (port.size() > 1) {
    std::uint16_t number = 0;
    const auto result = std::from_chars(port.data() + 1, port.data() + port.size(), number);
    origin.port = result.ec == std::errc() ? number : 65536;
  }
  return true;
}

/// True if, before the query or fragment, each '%' is followed by two hex digits, or by 'u' and four. Like Spring,
/// accepts an escape that is truncated by the end of the text.
bool is_path_like_spring(std::string_view text) {
  const std::size_t end = text.find_first_of("?#");
  if (end != std::string_view::npos)
    text = text.substr(0, end + 1);  // with the delimiter, which is not a hex digit
  for (std::size_t i = text.find('%'); i < text.size(); i = text.find('%', i)) {
    const bool is_utf16 = text.substr(i + 1).starts_with('u');
    const std::string_view digits = text.substr(i + (is_utf16 ? 2 : 1), is_utf16 ? 4 : 2);
    if (!std::ranges::all_of(digits, is_hex_digit))
      return false;
    i += 1 + digits.size();
  }
  return true;
}

}  // namespace

std::optional<Origin> parse_origin(std::string_view text) {
  if (text == "null")
    return Origin{"", "null"};
  const std::size_t end = text.find("://");
  if (end == std::string_view::npos || !is_scheme(text.substr(0, end)))
    return std::nullopt;
  const std::string_view scheme = text.substr(0, end);
  std::string_view authority = text.substr(end + 3);
  if (authority.ends_with('/'))
    authority.remove_suffix(1);
  if (authority.empty() && default_port(scheme) == Origin::kNoPort)
    return Origin{scheme, ""};
  const std::optional<Authority> parsed = parse_authority(authority);
  if (!parsed.has_value() || !is_host(parsed->host))
    return std::nullopt;
  return Origin{scheme, parsed->host,
                parsed->port.has_value() ? *parsed->port : default_port(scheme)};
}

std::optional<Origin> parse_origin_like_spring(std::string_view text) {
  Origin origin{};
  // A text that begins with one of these characters has no scheme. Skip the first character: a scheme is not empty.
  if (text.find_first_of("/;.%?#*") != 0) {
    const std::size_t end = text.find_first_of(":/;%?#", 1);
    if (end != std::string_view::npos && text[end] == ':') {
      origin.scheme = text.substr(0, end);
      text.remove_prefix(end + 1);
    } else if (text.empty()) {
      return std::nullopt;
    }
  }
  if (text.starts_with('*') && text.size() > 1)
    return std::nullopt;
  if (text.starts_with("//")) {
    text.remove_prefix(2);
    const std::size_t end = std::min(text.find_first_of("/?#"), text.size());
    if (!parse_authority_like_spring(text.substr(0, end), origin))
      return std::nullopt;
    text.remove_prefix(end);
  }
  return is_path_like_spring(text) ? std::optional(origin) : std::nullopt;
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

std::optional<Origin> own_origin(std::string_view host, bool is_secure) {
  const std::optional<Authority> parsed = parse_authority(host);
  if (!parsed.has_value())
    return std::nullopt;
  return is_secure ? Origin{"https", parsed->host, parsed->port.value_or(443)}
                   : Origin{"http", parsed->host, parsed->port.value_or(80)};
}

bool is_origin(std::string_view text) {
  return parse_origin(text).has_value();
}

}  // namespace ws
