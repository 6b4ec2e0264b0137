#include "protocol/authority.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "protocol/text.h"

namespace ws {
namespace {

/// The position of the colon before the port, or npos. Skips the colons inside an IPv6 address.
std::size_t find_port_colon(std::string_view text) {
  const std::size_t bracket = text.rfind(']');
  return text.find(':', bracket == std::string_view::npos ? 0 : bracket);
}

bool is_hex_digits(std::string_view text, std::size_t max_size) {
  return !text.empty() && text.size() <= max_size && std::ranges::all_of(text, is_hex_digit);
}

/// dec-octet: 0 to 255 without leading zeros
bool is_octet(std::string_view text) {
  return !text.empty() && text.size() <= 3 && std::ranges::all_of(text, is_digit) &&
         (text.size() == 1 || text[0] != '0') && (text.size() < 3 || text <= "255");
}

bool is_ipv4_address(std::string_view text) {
  for (int dots = 0; dots < 3; ++dots) {
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos || !is_octet(text.substr(0, dot)))
      return false;
    text.remove_prefix(dot + 1);
  }
  return is_octet(text);
}

/// Eight groups of 16 bits in hex. The last two may be an IPv4 address; "::" replaces one or more groups, once.
bool is_ipv6_address(std::string_view text) {
  std::size_t groups = 0;
  bool is_shortened = text.starts_with("::");
  if (is_shortened)
    text.remove_prefix(2);
  while (!text.empty() || !is_shortened) {
    const std::size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    const bool is_ipv4 = colon == std::string_view::npos && is_ipv4_address(group);
    if (!is_ipv4 && !is_hex_digits(group, 4))
      return false;
    groups += is_ipv4 ? 2 : 1;
    if (colon == std::string_view::npos)
      break;
    text.remove_prefix(colon + 1);
    if (text.starts_with(':') && !is_shortened) {
      is_shortened = true;
      text.remove_prefix(1);
    } else if (text.empty()) {
      return false;  // a single colon at the end
    }
  }
  return is_shortened ? groups <= 7 : groups == 8;
}

/// "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ): the format for versions of IP after 6
bool is_later_address(std::string_view text) {
  const std::size_t dot = text.find('.');
  return dot != std::string_view::npos && to_lower(text[0]) == 'v' &&
         is_hex_digits(text.substr(1, dot - 1), text.size()) && dot + 1 < text.size() &&
         std::ranges::all_of(text.substr(dot + 1), [](char c) {
           return is_unreserved(c) || is_sub_delim(c) || c == ':';
         });
}

bool is_name_character(char c) {
  return is_unreserved(c) || is_sub_delim(c);
}

/// The part between the brackets of an IP literal; empty if `text` is not in brackets.
std::string_view inside_brackets(std::string_view text) {
  return text.size() > 2 && text.front() == '[' && text.back() == ']'
             ? text.substr(1, text.size() - 2)
             : std::string_view();
}

}  // namespace

std::optional<Authority> parse_authority(std::string_view text) {
  const std::size_t colon = find_port_colon(text);
  Authority authority{.host = text.substr(0, colon), .port = std::nullopt};
  if (authority.host.empty())
    return std::nullopt;
  if (colon == std::string_view::npos || colon + 1 == text.size())
    return authority;
  std::uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, port);
  if (error != std::errc() || rest != end)
    return std::nullopt;
  authority.port = port;
  return authority;
}

// [3986-3.2.2-HOST] An IPv4 address also matches the grammar of a registered name, so it needs no check of its own.
bool is_host(std::string_view text) {
  if (text.starts_with('[')) {
    const std::string_view address = inside_brackets(text);
    return is_ipv6_address(address) || is_later_address(address);
  }
  return !text.empty() && is_percent_encoded(text, is_name_character);
}

// [6874-2-ZONE] ZoneID = 1*( unreserved / pct-encoded )
bool is_host_with_zone(std::string_view text) {
  const std::string_view address = inside_brackets(text);
  const std::size_t percent = address.find('%');
  if (percent == std::string_view::npos || !is_ipv6_address(address.substr(0, percent)))
    return false;
  const std::string_view zone = address.substr(percent);
  return zone.starts_with("%25") && zone.size() > 3 &&
         is_percent_encoded(zone.substr(3), is_unreserved);
}

bool is_authority(std::string_view text) {
  const std::size_t colon = find_port_colon(text);
  return is_host(text.substr(0, colon)) &&
         (colon == std::string_view::npos || std::ranges::all_of(text.substr(colon + 1), is_digit));
}

}  // namespace ws
