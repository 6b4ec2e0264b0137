#include "server/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>

namespace ws {
namespace {

const sockaddr_in& as_ipv4(const sockaddr* address) {
  return *reinterpret_cast<const sockaddr_in*>(address);
}
const sockaddr_in6& as_ipv6(const sockaddr* address) {
  return *reinterpret_cast<const sockaddr_in6*>(address);
}

}  // namespace

std::optional<SocketAddress> SocketAddress::parse(std::string_view address, std::uint16_t port) {
  const std::string text(address);
  SocketAddress result;
  auto& ipv4 = reinterpret_cast<sockaddr_in&>(result.storage_);
  auto& ipv6 = reinterpret_cast<sockaddr_in6&>(result.storage_);
  if (inet_pton(AF_INET, text.c_str(), &ipv4.sin_addr) == 1) {
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    return result;
  }
  if (inet_pton(AF_INET6, text.c_str(), &ipv6.sin6_addr) == 1) {
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(port);
    return result;
  }
  return std::nullopt;
}

socklen_t SocketAddress::size() const {
  return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

std::string SocketAddress::to_string() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  std::string text;
  if (family() == AF_INET) {
    const sockaddr_in& ipv4 = as_ipv4(data());
    inet_ntop(AF_INET, &ipv4.sin_addr, host.data(), host.size());
    text.append(host.data()).append(":").append(std::to_string(ntohs(ipv4.sin_port)));
  } else {
    const sockaddr_in6& ipv6 = as_ipv6(data());
    inet_ntop(AF_INET6, &ipv6.sin6_addr, host.data(), host.size());
    text.append("[").append(host.data()).append("]:").append(std::to_string(ntohs(ipv6.sin6_port)));
  }
  return text;
}

std::string_view SocketAddress::host_bytes() const {
  if (family() == AF_INET) {
    return {reinterpret_cast<const char*>(&as_ipv4(data()).sin_addr), sizeof(in_addr)};
  }
  return {reinterpret_cast<const char*>(&as_ipv6(data()).sin6_addr), sizeof(in6_addr)};
}

}  // namespace ws
