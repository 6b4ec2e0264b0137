#include "protocol/client/uri.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "protocol/authority.h"
#include "protocol/text.h"

namespace ws {
namespace {

constexpr std::string_view kAfterScheme = "://";

constexpr bool is_visible(char c) {
  return c > 0x20 && c < 0x7F;
}

/// Replaces each percent-encoded byte. `text` must not have a '%' without two hex digits.
std::string percent_decode(std::string_view text) {
  std::string decoded;
  while (!text.empty()) {
    unsigned byte = static_cast<unsigned char>(text[0]);
    const std::size_t size = text[0] == '%' ? 3 : 1;
    if (size == 3)
      std::from_chars(text.data() + 1, text.data() + size, byte, 16);
    decoded += static_cast<char>(byte);
    text.remove_prefix(size);
  }
  return decoded;
}

/// Returns what is wrong with `scheme`, or "".
std::string explain_scheme(std::string_view scheme) {
  if (equals_ignoring_case(scheme, "ws"))
    return {};
  if (equals_ignoring_case(scheme, "wss") || equals_ignoring_case(scheme, "https"))
    return "requires TLS, which is not supported: use ws://";
  if (equals_ignoring_case(scheme, "http"))
    return "has the scheme http: use ws://";
  return "has the unknown scheme '" + std::string(scheme) + "': use ws://";
}

/// Explains what is wrong with `host`, which is invalid and not empty.
std::string explain_host(std::string_view host) {
  if (!host.starts_with('[')) {
    return host.find(':') != std::string_view::npos
               ? "has an IPv6 address without brackets: write ws://[::1]:8080/"
               : "has a host with a character that is not allowed in a host name";
  }
  if (!host.ends_with(']'))
    return "has no ']' at the end of the IPv6 address";
  return host.find('%') != std::string_view::npos
             ? "has a malformed zone: write [fe80::1%25eth0] for the interface eth0 (RFC 6874)"
             : "has brackets around a text that is not an IPv6 address";
}

std::string parse_port(std::string_view text, std::uint16_t& port) {
  if (text.empty())
    return {};
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, port);
  if (error == std::errc() && rest == end && port != 0)
    return {};
  return "has the port '" + std::string(text) + "': use a number from 1 to 65535";
}

/// Parses host and port. Returns "", or what is wrong with them.
std::string parse_host_and_port(std::string_view text, Uri& uri) {
  if (text.find('@') != std::string_view::npos)
    return "has a user name: use --user NAME:PASSWORD";
  // The colon before the port is the only one, or follows the brackets.
  const std::size_t bracket = text.rfind(']');
  const bool has_brackets = text.starts_with('[') && bracket != std::string_view::npos;
  const std::size_t colon =
      has_brackets ? text.find(':', bracket)
                   : (std::ranges::count(text, ':') == 1 ? text.find(':') : std::string_view::npos);
  const std::string_view host = text.substr(0, colon);
  if (host.empty())
    return "has no host";
  const bool has_zone = is_host_with_zone(host);
  if (!has_zone && !is_host(host))
    return explain_host(host);
  if (colon != std::string_view::npos) {
    if (std::string why = parse_port(text.substr(colon + 1), uri.port); !why.empty())
      return why;
  }

  // [6874-4-ZONE] The zone selects the network interface of the client. It means nothing to the server, so it is not
  // sent.
  uri.authority = has_zone ? std::string(host.substr(0, host.find('%'))) + "]" : std::string(host);
  if (uri.port != 80)
    uri.authority.append(1, ':').append(std::to_string(uri.port));
  const std::string_view address = has_brackets ? host.substr(1, host.size() - 2) : host;
  if (has_zone) {
    const std::size_t percent = address.find('%');
    uri.host.append(address.substr(0, percent)).append(1, '%');
    uri.host += percent_decode(address.substr(percent + 3));
  } else {
    uri.host = percent_decode(address);
  }
  // A decoded NUL would end the name early for the resolver, and other such bytes would reach a terminal.
  if (!std::ranges::all_of(uri.host, is_visible))
    return "has a host with an encoded character that is not allowed in a host name";
  return {};
}

/// Parses `text`. Returns "" or why it is malformed.
std::string parse(std::string_view text, Uri& uri) {
  // [6455-3-URI] "ws:" "//" host [ ":" port ] path [ "?" query ], without a fragment
  if (text.empty())
    return "is empty";
  if (!std::ranges::all_of(text, is_visible))
    return "has a blank, a control character or one beyond ASCII: percent-encode it (a blank is "
           "%20)";
  if (text.find('#') != std::string_view::npos)
    return "has a fragment, which a WebSocket URI must not have: write %23 for '#'";
  const std::size_t scheme_end = text.substr(0, text.find_first_of("/?")).find(':');
  if (scheme_end != std::string_view::npos && text.substr(scheme_end).starts_with(kAfterScheme)) {
    if (std::string why = explain_scheme(text.substr(0, scheme_end)); !why.empty())
      return why;
    text.remove_prefix(scheme_end + kAfterScheme.size());
  } else if (scheme_end != std::string_view::npos &&
             (text.starts_with("ws:") || text.starts_with("wss:"))) {
    return "lacks the two slashes after the scheme: write ws://HOST";
  }
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  if (std::string why = parse_host_and_port(text.substr(0, end), uri); !why.empty())
    return why;
  const std::string_view resource = text.substr(end);
  if (!resource.starts_with('/'))
    uri.resource = '/';
  uri.resource += resource;
  return {};
}

}  // namespace

std::optional<Uri> parse_uri(std::string_view text) {
  Uri uri;
  return parse(text, uri).empty() ? std::optional(std::move(uri)) : std::nullopt;
}

std::string explain_bad_uri(std::string_view text) {
  Uri uri;
  return parse(text, uri);
}

}  // namespace ws
