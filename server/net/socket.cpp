#include "server/net/socket.h"

#include <linux/tcp.h>  // not <netinet/tcp.h>: its tcp_info has no tcpi_bytes_acked
#include <netinet/in.h>

#include <cerrno>
#include <cstddef>

namespace ws {
namespace {

std::error_code last_error() {
  return {errno, std::system_category()};
}

}  // namespace

Fd listen_on(const SocketAddress& address, std::error_code& error, PortSharing sharing) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  const auto share = [&](PortSharing when) {
    return sharing != when || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
  };
  // SO_REUSEADDR: allows a restart while old connections are in TIME_WAIT, which is on our side because we close first.
  // SO_KEEPALIVE: detects a peer that vanished without FIN, even if pings are off.
  // TCP_NODELAY: the cork already collects output, so delaying a write would save nothing.
  // SO_REUSEPORT: the first listener sets it only after bind(), so that bind() fails if the address is in use.
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
    // EINTR: interrupted by a signal. ECONNABORTED: the client closed the connection before we accepted it. Try again.
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
  message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg only reads the pieces
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

Acknowledged acknowledged_output(const Fd& fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_notsent_bytes) + sizeof info.tcpi_notsent_bytes)
    return {};
  return {.bytes = static_cast<std::uint32_t>(info.tcpi_bytes_acked),
          .is_all = info.tcpi_unacked == 0 && info.tcpi_notsent_bytes == 0};
}

SocketAddress local_address(const Fd& fd) {
  SocketAddress address;
  socklen_t size = sizeof(sockaddr_storage);
  ::getsockname(fd.get(), address.data(), &size);
  return address;
}

SocketAddress peer_address(const Fd& fd) {
  SocketAddress address;
  // Not getpeername(): it fails with ENOTCONN after the peer has reset the connection. SO_PEERNAME fails with EINVAL if the
  // size is greater than that of the address, so try IPv6 first.
  for (const std::size_t most : {sizeof(sockaddr_in6), sizeof(sockaddr_in)}) {
    auto size = static_cast<socklen_t>(most);
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERNAME, address.data(), &size) == 0)
      break;
  }
  return address;
}

}  // namespace ws
