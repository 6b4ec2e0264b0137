// Hosts and authorities. Compares the verdicts about IPv6 addresses with inet_pton.
#include "protocol/authority.h"

#include <arpa/inet.h>

#include <string>

#include "tests/fuzz/input.h"

namespace ws::fuzz {
namespace {

void check(const std::string& text) {
  in6_addr address{};
  const bool is_address =
      text.find('\0') == std::string::npos && inet_pton(AF_INET6, text.c_str(), &address) == 1;
  const bool is_later = text.starts_with('v') || text.starts_with('V');
  require(is_later || is_host("[" + text + "]") == is_address,
          "another IPv6 address than inet_pton's");
  require(!is_address ||
              (is_host_with_zone("[" + text + "%25a]") && !is_host_with_zone("[" + text + "]")),
          "an address that cannot have a zone");
  require(!is_host(text) || !is_host_with_zone(text), "a host with and without a zone");
  require(!is_host(text) || is_authority(text), "a host that is no authority");
  require(!is_host(text) || is_authority(text + ":80"), "a host that cannot have a port");
  const auto authority = parse_authority(text);
  require(!is_authority(text) || !authority.has_value() || is_host(authority->host),
          "an authority whose host is none");
}

}  // namespace
}  // namespace ws::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ws::fuzz::check(std::string(ws::fuzz::Input(data, size).stream));
  return 0;
}
