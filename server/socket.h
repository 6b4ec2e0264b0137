// The few POSIX calls that the server makes on sockets, each wrapped once. Errors are values.
//
// A session reads, writes and half-closes through `receive`, `send_pieces` and `finish_writing` alone:
// this is the seam at which TLS would come in.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "server/fd.h"

namespace ws {

/// An IPv4 or IPv6 address with its port.
class SocketAddress {
 public:
  SocketAddress() = default;
  /// From a numeric address, "127.0.0.1" or "::1"; nullopt if it is neither.
  static std::optional<SocketAddress> parse(std::string_view address, std::uint16_t port);
  /// The address that `fd` is bound to.
  static SocketAddress local(const Fd& fd);
  /// The address that `fd` is connected to.
  static SocketAddress peer(const Fd& fd);

  /// "127.0.0.1:8080" or "[::1]:8080".
  [[nodiscard]] std::string to_string() const;
  /// Without the port: 4 or 16 bytes.
  [[nodiscard]] std::string_view host_bytes() const;

  [[nodiscard]] int family() const { return storage_.ss_family; }
  sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage_); }
  [[nodiscard]] const sockaddr* data() const {
    return reinterpret_cast<const sockaddr*>(&storage_);
  }
  [[nodiscard]] socklen_t size() const;

 private:
  sockaddr_storage storage_{};
};

/// A listening socket; an invalid Fd and `error` set if that fails (EADDRINUSE, EACCES, …). TCP_NODELAY
/// and SO_KEEPALIVE are set here once and inherited by every connection that it accepts.
Fd listen_on(const SocketAddress& address, std::error_code& error);

/// One waiting connection, non-blocking, or an invalid Fd and `error`: EAGAIN if none waits.
Fd accept_connection(const Fd& listener, SocketAddress& peer, std::error_code& error);

struct IoResult {
  enum class Status : std::uint8_t {
    kDone,        ///< `size` bytes moved, at least one
    kWouldBlock,  ///< none now; epoll will say when
    kEnd,         ///< the peer sent FIN
    kError,       ///< the connection is lost
  };
  Status status;
  int error_number = 0;
  std::size_t size = 0;

  [[nodiscard]] std::error_code error() const { return {error_number, std::system_category()}; }
};
static_assert(sizeof(IoResult) <= 16);  // so that it is returned in registers

IoResult receive(const Fd& fd, std::span<std::byte> buffer);
/// Writes `pieces` in order with one call; a short count says that the socket is full.
IoResult send_pieces(const Fd& fd, std::span<const iovec> pieces);
/// Sends FIN behind what was written. Reading goes on.
void finish_writing(const Fd& fd);
/// Makes the coming close() a reset: what is queued is dropped and the peer told so.
void make_reset_on_close(const Fd& fd);
/// The error that epoll announced with EPOLLERR.
std::error_code pending_error(const Fd& fd);

}  // namespace ws
