#include "server/net/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ws {
namespace {

std::error_code last_error() {
  return {errno, std::system_category()};
}

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

SocketAddress SocketAddress::local(const Fd& fd) {
  SocketAddress address;
  socklen_t size = sizeof(sockaddr_storage);
  ::getsockname(fd.get(), address.data(), &size);
  return address;
}

SocketAddress SocketAddress::peer(const Fd& fd) {
  SocketAddress address;
  socklen_t size = sizeof(sockaddr_storage);
  ::getpeername(fd.get(), address.data(), &size);
  return address;
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

Fd listen_on(const SocketAddress& address, std::error_code& error, PortSharing sharing) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  const auto share = [&](PortSharing when) {
    return sharing != when || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
  };
  // SO_REUSEADDR: a restart must not wait for the TIME_WAITs that the server, ending TCP first, keeps.
  // SO_KEEPALIVE: with pings off, a peer that vanished without a FIN would otherwise stay for ever.
  // TCP_NODELAY: every write is whole messages already; there is nothing to wait for.
  // SO_REUSEPORT: the first of several sets it when it is bound, and so was alone there.
  if (!fd.is_open() || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0 ||
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
      !share(PortSharing::kFurther) || ::bind(fd.get(), address.data(), address.size()) != 0 ||
      !share(PortSharing::kFirst) || ::listen(fd.get(), SOMAXCONN) != 0) {
    error = last_error();
    return {};
  }
  return fd;
}

void prefer_processor(const Fd& listener, int processor) {
  ::setsockopt(listener.get(), SOL_SOCKET, SO_INCOMING_CPU, &processor, sizeof processor);
}

Fd accept_connection(const Fd& listener, SocketAddress& peer, std::error_code& error) {
  for (;;) {
    socklen_t size = sizeof(sockaddr_storage);
    Fd fd(::accept4(listener.get(), peer.data(), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.is_open())
      return fd;
    // EINTR: a signal came. ECONNABORTED: the peer was gone before we came to it; the next one waits.
    if (errno == EINTR || errno == ECONNABORTED)
      continue;
    error = last_error();
    return {};
  }
}

IoResult receive(const Fd& fd, std::span<std::byte> buffer) {
  const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
  return IoResult(n >= 0 ? n : -errno);
}

IoResult send_bytes(const Fd& fd, std::span<const std::byte> bytes) {
  const ssize_t n = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  return IoResult(n >= 0 ? n : -errno);
}

IoResult send_pieces(const Fd& fd, std::span<const iovec> pieces) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg only reads it
  message.msg_iovlen = pieces.size();
  const ssize_t n = ::sendmsg(fd.get(), &message, MSG_NOSIGNAL);
  return IoResult(n >= 0 ? n : -errno);
}

void finish_writing(const Fd& fd) {
  ::shutdown(fd.get(), SHUT_WR);
}

void make_reset_on_close(const Fd& fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

std::error_code pending_error(const Fd& fd) {
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return {error, std::system_category()};
}

}  // namespace ws
