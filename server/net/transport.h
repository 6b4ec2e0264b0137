// A session's socket. Nothing else reads it, writes it or ends it, so the tap misses nothing.
//
// A plain socket is called directly, without a virtual call. This is the place for TLS, as a pointer that is null
// for a plain socket.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

#include "protocol/output.h"
#include "server/net/event_loop.h"
#include "server/net/fd.h"
#include "server/net/socket.h"

namespace ws {

/// Watches what crosses the sockets of sessions. `session` is the generation of its token. A Session calls `opened`,
/// `closed` and `lost`, its Transport the others.
class Tap {
 public:
  virtual void opened(std::uint32_t session, const SocketAddress& client,
                      const SocketAddress& server) noexcept = 0;
  virtual void closed(std::uint32_t session) noexcept = 0;
  /// What was read, before anything unmasks it.
  virtual void received(std::uint32_t session, std::span<const std::byte> bytes) noexcept = 0;
  /// The first `size` bytes of `pieces` were written; 0: the socket accepted nothing.
  virtual void sent(std::uint32_t session, std::span<const iovec> pieces,
                    std::size_t size) noexcept = 0;
  /// The peer's FIN came.
  virtual void received_fin(std::uint32_t session) noexcept = 0;
  /// Our FIN was sent.
  virtual void sent_fin(std::uint32_t session) noexcept = 0;
  /// close() will send a reset.
  virtual void reset(std::uint32_t session) noexcept = 0;
  /// The connection is lost: the peer's reset, or another error.
  virtual void lost(std::uint32_t session, std::error_code error) noexcept = 0;

 protected:
  ~Tap() = default;
};

/// The most pieces that one gathered write has.
inline constexpr std::size_t kMaxPieces = 64;
using Pieces = std::array<iovec, kMaxPieces>;

[[nodiscard]] inline iovec to_iovec(std::span<const std::byte> bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};  // sendmsg only reads it
}

class Transport {
 public:
  /// `token`: what epoll reports the socket's events with.
  Transport(Fd fd, EventLoop::Token token) : fd_(std::move(fd)), token_(token) {}

  [[nodiscard]] const Fd& fd() const { return fd_; }
  [[nodiscard]] EventLoop::Token token() const { return token_; }

  // --- Each call is shown to `tap`, unless that is null.

  IoResult read(std::span<std::byte> buffer, Tap* tap) const {
    const IoResult result = receive(fd_, buffer);
    if (tap != nullptr) [[unlikely]]
      show_read(buffer, result, *tap);
    return result;
  }
  /// Writes as much of `out` as one call accepts.
  IoResult write(const Output& out, Tap* tap) const {
    if (out.lends() || tap != nullptr) [[unlikely]]
      return write_pieces(out, tap);
    return send_bytes(fd_, out.block());
  }
  /// The same for `pieces`, of which there is at least one, in order.
  IoResult write(std::span<const iovec> pieces, Tap* tap) const;
  /// Sends FIN after what was written. Reading goes on.
  void half_close(Tap* tap) const;
  /// Makes the later close() send RST instead of FIN and drop what the kernel has queued (SO_LINGER 0).
  void reset_on_close(Tap* tap) const;
  /// The error that epoll announced with EPOLLERR.
  [[nodiscard]] std::error_code pending_error() const { return ws::pending_error(fd_); }

  // --- What epoll watches for: EPOLLIN, EPOLLOUT, both, or 0: errors alone. After an error of `watch` or
  // `change_interest` (see EventLoop::add) the session must end.

  [[nodiscard]] std::uint8_t interest() const { return interest_; }
  std::error_code watch(EventLoop& loop, std::uint8_t interest) {
    interest_ = interest;
    return loop.add(fd_, interest, token_);
  }
  std::error_code change_interest(EventLoop& loop, std::uint8_t interest) {
    interest_ = interest;
    return loop.change(fd_, interest, token_);
  }

 private:
  void show_read(std::span<const std::byte> buffer, IoResult result, Tap& tap) const;
  [[gnu::noinline]] IoResult write_pieces(const Output& out, Tap* tap) const;

  Fd fd_;
  EventLoop::Token token_;
  std::uint8_t interest_ = 0;
};

}  // namespace ws
