#include "server/net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

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
  // getnameinfo adds the zone, and makes no system call if there is none.
  std::array<char, NI_MAXHOST> host{};
  ::getnameinfo(data(), size(), host.data(), host.size(), nullptr, 0, NI_NUMERICHOST);
  const std::string port_text = std::to_string(port());
  std::string text;
  if (family() == AF_INET) {
    text.append(host.data()).append(":").append(port_text);
  } else {
    text.append("[").append(host.data()).append("]:").append(port_text);
  }
  return text;
}

std::uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET ? as_ipv4(data()).sin_port : as_ipv6(data()).sin6_port);
}

void SocketAddress::set_port(std::uint16_t port) {
  if (family() == AF_INET) {
    reinterpret_cast<sockaddr_in&>(storage_).sin_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in6&>(storage_).sin6_port = htons(port);
  }
}

std::string_view SocketAddress::host_bytes() const {
  if (family() == AF_INET) {
    return {reinterpret_cast<const char*>(&as_ipv4(data()).sin_addr), sizeof(in_addr)};
  }
  return {reinterpret_cast<const char*>(&as_ipv6(data()).sin6_addr), sizeof(in6_addr)};
}

std::vector<SocketAddress> resolve(const std::string& host, std::uint16_t port,
                                   std::string& error) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  const int status = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first);
  if (status != 0) {
    error = status == EAI_SYSTEM ? std::system_category().message(errno) : ::gai_strerror(status);
    return {};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(first, ::freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* next = first; next != nullptr; next = next->ai_next) {
    SocketAddress address;
    std::memcpy(address.data(), next->ai_addr,
                std::min<std::size_t>(next->ai_addrlen, sizeof(sockaddr_storage)));
    // /etc/hosts may name an address twice.
    const auto is_same = [&](const SocketAddress& other) {
      return other.to_string() == address.to_string();
    };
    if (std::ranges::none_of(addresses, is_same))
      addresses.push_back(address);
  }
  return addresses;
}

}  // namespace ws
