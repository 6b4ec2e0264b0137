#include "protocol/authority.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "protocol/text.h"

namespace ws {

std::optional<Authority> parse_authority(std::string_view text) {
  // Skip the colons inside an IPv6 address.
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
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

bool has_authority_characters(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return is_digit(c) || is_alpha(c) ||
           std::string_view("-._~!$&'()*+,;=%[]:").find(c) != std::string_view::npos;
  });
}

}  // namespace ws
