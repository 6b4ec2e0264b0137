// Wrappers of the POSIX socket calls that the server needs. They return errors as values.
//
// Sessions read and write only through Transport, where TLS would be added.
//
// All system calls of a session and its loop are in fd.cpp, socket.cpp and event_loop.cpp. A test program that defines
// the functions of these three files itself, and links fbf_server for all other functions, runs the server on a
// simulated network and clock (tests/support/simulated_net.h), without virtual calls or macros.
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

/// Several sockets may listen on one address if each sets SO_REUSEPORT. The kernel distributes the connections among
/// these sockets by a hash of the addresses and ports of client and server.
enum class PortSharing : std::uint8_t {
  kNone,
  kFirst,    ///< listen_on fails with EADDRINUSE if another socket listens on the address
  kFurther,  ///< the socket shares the address of the socket that was opened with kFirst
};

/// Opens a non-blocking listening socket; on failure returns an invalid Fd and sets `error` (EADDRINUSE, EACCES, …).
/// Accepted connections inherit its TCP_NODELAY and SO_KEEPALIVE.
Fd listen_on(const SocketAddress& address, std::error_code& error,
             PortSharing sharing = PortSharing::kNone);

/// Makes the kernel prefer `listener` to the other sockets on its address for connections whose packets `processor`
/// handles. Kernels before 6.2 ignore this setting and choose by the hash (see PortSharing).
void prefer_processor(const Fd& listener, int processor);

/// Accepts a waiting connection: returns its non-blocking socket and sets `peer`. On failure returns an invalid Fd and
/// sets `error`, which is EAGAIN if no connection waits.
Fd accept_connection(const Fd& listener, SocketAddress& peer, std::error_code& error);

/// The result of a read or a write. Stored as one number, so that functions return it in a register.
class IoResult {
 public:
  enum class Status : std::uint8_t {
    kDone,        ///< `size` bytes were transferred, at least one
    kWouldBlock,  ///< nothing was transferred; epoll reports when to retry, unless is_out_of_buffers
    kEnd,         ///< the peer sent FIN
    kError,       ///< the connection is lost
  };
  /// `value`: the number of bytes transferred, 0 at the end of the stream, or a negative errno.
  explicit IoResult(std::int64_t value) : value_(value) {}

  [[nodiscard]] Status status() const {
    if (value_ > 0) [[likely]]
      return Status::kDone;
    if (value_ == 0)
      return Status::kEnd;
    // EINTR: interrupted by a signal. ENOBUFS: the kernel has no memory for the call at the moment.
    const bool may_try_again = value_ == -EAGAIN || value_ == -EINTR || value_ == -ENOBUFS;
    return may_try_again ? Status::kWouldBlock : Status::kError;  // ECONNRESET, EPIPE, ETIMEDOUT, …
  }
  [[nodiscard]] std::size_t size() const {
    return value_ > 0 ? static_cast<std::size_t>(value_) : 0;
  }
  [[nodiscard]] bool is_all_of(std::size_t size) const {
    return value_ == static_cast<std::int64_t>(size);
  }
  /// True after ENOBUFS: the kernel had no memory, and epoll does not report when it has some. The status is
  /// kWouldBlock.
  [[nodiscard]] bool is_out_of_buffers() const { return value_ == -ENOBUFS; }
  /// True after EINTR, and if TLS received bytes without plaintext. The status is kWouldBlock.
  [[nodiscard]] bool is_interrupted() const { return value_ == -EINTR; }
  /// Call it only if the status is kError.
  [[nodiscard]] std::error_code error() const {
    return {static_cast<int>(-value_), std::system_category()};
  }

 private:
  std::int64_t value_;
};

IoResult receive(const Fd& fd, std::span<std::byte> buffer);
/// Writes `bytes`, which must not be empty. If only a part is written, the send buffer is full.
IoResult send_bytes(const Fd& fd, std::span<const std::byte> bytes);
/// Writes `pieces` in order with one system call.
IoResult send_pieces(const Fd& fd, std::span<const iovec> pieces);
/// Sends FIN after the data written so far. Reading remains possible.
void finish_writing(const Fd& fd);
/// Makes close() send RST and drop unsent data (SO_LINGER 0).
void make_reset_on_close(const Fd& fd);
/// The error that epoll reported with EPOLLERR.
std::error_code pending_error(const Fd& fd);

/// How much of our output the peer's TCP has acknowledged.
struct Acknowledged {
  std::uint32_t bytes = 0;  ///< modulo 2^32
  bool is_all = true;       ///< the peer has acknowledged all bytes that we wrote
};
/// Reads TCP_INFO. Returns an empty value if the kernel does not report the number (before Linux 4.6).
Acknowledged acknowledged_output(const Fd& fd);
/// The address that `fd` is bound to.
SocketAddress local_address(const Fd& fd);
/// The address that `fd` is connected to, or was connected to before the peer reset the connection.
SocketAddress peer_address(const Fd& fd);

}  // namespace ws
