// The few POSIX calls that the server makes on sockets, each wrapped once. Errors are values.
//
// Sessions call these functions through Transport alone, which is where TLS would be added.
//
// All system calls of a session and its loop are in fd.cpp, socket.cpp and event_loop.cpp. A program that defines the
// functions of these three files itself, and links fbf_server for all others, runs the server on a network and a clock
// of its own (tests/support/simulated_net.h). This needs no virtual call and no macro.
#pragma once

#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "server/net/address.h"
#include "server/net/fd.h"

namespace ws {

/// Several sockets may listen on one address, if each of them says so (SO_REUSEPORT): the kernel then deals the
/// connections out among them, by a hash of both ends' addresses.
enum class PortSharing : std::uint8_t {
  kNone,
  kFirst,  ///< nobody may be there yet: another program, or another server of this kind, is EADDRINUSE
  kFurther,  ///< joins the first
};

/// A listening socket; an invalid Fd and `error` set if that fails (EADDRINUSE, EACCES, …). TCP_NODELAY
/// and SO_KEEPALIVE are set here once and inherited by every connection that it accepts.
Fd listen_on(const SocketAddress& address, std::error_code& error,
             PortSharing sharing = PortSharing::kNone);

/// Of sockets that share a port, this one is to get the connections whose packets `processor` handles. Kernels before
/// 6.2 deal them out by the hash all the same.
void prefer_processor(const Fd& listener, int processor);

/// One waiting connection, non-blocking, or an invalid Fd and `error`: EAGAIN if none waits.
Fd accept_connection(const Fd& listener, SocketAddress& peer, std::error_code& error);

/// What a read or a write came to. Kept as the kernel says it, so that it is returned in one register.
class IoResult {
 public:
  enum class Status : std::uint8_t {
    kDone,        ///< `size` bytes moved, at least one
    kWouldBlock,  ///< none now; epoll will say when
    kEnd,         ///< the peer sent FIN
    kError,       ///< the connection is lost
  };
  /// `value`: the bytes that moved, 0 at the end, or an error's number, negative.
  explicit IoResult(std::int64_t value) : value_(value) {}

  [[nodiscard]] Status status() const {
    if (value_ > 0) [[likely]]
      return Status::kDone;
    if (value_ == 0)
      return Status::kEnd;
    // EINTR: a signal came first. ENOBUFS: the kernel has no memory for it just now.
    const bool may_try_again = value_ == -EAGAIN || value_ == -EINTR || value_ == -ENOBUFS;
    return may_try_again ? Status::kWouldBlock : Status::kError;  // ECONNRESET, EPIPE, ETIMEDOUT, …
  }
  [[nodiscard]] std::size_t size() const {
    return value_ > 0 ? static_cast<std::size_t>(value_) : 0;
  }
  [[nodiscard]] bool is_all_of(std::size_t size) const {
    return value_ == static_cast<std::int64_t>(size);
  }
  /// Of kError.
  [[nodiscard]] std::error_code error() const {
    return {static_cast<int>(-value_), std::system_category()};
  }

 private:
  std::int64_t value_;
};

IoResult receive(const Fd& fd, std::span<std::byte> buffer);
/// Writes `bytes`, one at least; a short count says that the socket is full.
IoResult send_bytes(const Fd& fd, std::span<const std::byte> bytes);
/// The same for `pieces` in order, with one call.
IoResult send_pieces(const Fd& fd, std::span<const iovec> pieces);
/// Sends FIN behind what was written. Reading goes on.
void finish_writing(const Fd& fd);
/// Makes the coming close() a reset: what is queued is dropped and the peer told so.
void make_reset_on_close(const Fd& fd);
/// The error that epoll announced with EPOLLERR.
std::error_code pending_error(const Fd& fd);
/// The address that `fd` is bound to.
SocketAddress local_address(const Fd& fd);
/// The address that `fd` is connected to.
SocketAddress peer_address(const Fd& fd);

}  // namespace ws
