// The socket of a session. All reads, writes and shutdowns go through Transport, so that the tap sees them.
//
// With TLS, Transport decrypts what it reads and encrypts what it writes (transport_tls.cpp); the session and the tap see
// plaintext. A plain socket has a null pointer, which each read and write compares.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "protocol/output.h"
#include "server/net/event_loop.h"
#include "server/net/fd.h"
#include "server/net/socket.h"
#include "server/tls/tls_connection.h"

namespace ws {

/// Sees the bytes that cross the sockets of sessions. `session` is the generation of the session's token. Session calls
/// `opened`, `closed` and `lost`; Transport calls the other functions.
class Tap {
 public:
  virtual void opened(std::uint32_t session, const SocketAddress& client,
                      const SocketAddress& server) noexcept = 0;
  virtual void closed(std::uint32_t session) noexcept = 0;
  /// `bytes` were read; frame payloads in them are still masked.
  virtual void received(std::uint32_t session, std::span<const std::byte> bytes) noexcept = 0;
  /// The first `size` bytes of `pieces` were written. `size` is 0 if the socket accepted nothing.
  virtual void sent(std::uint32_t session, std::span<const iovec> pieces,
                    std::size_t size) noexcept = 0;
  /// The peer's FIN was received.
  virtual void received_fin(std::uint32_t session) noexcept = 0;
  /// Our FIN was sent.
  virtual void sent_fin(std::uint32_t session) noexcept = 0;
  /// We reset the connection: close() will send RST.
  virtual void reset(std::uint32_t session) noexcept = 0;
  /// The connection was lost: the peer reset it, or another error occurred.
  virtual void lost(std::uint32_t session, std::error_code error) noexcept = 0;

 protected:
  ~Tap() = default;
};

/// Maximum number of pieces in one sendmsg() call.
inline constexpr std::size_t kMaxPieces = 64;
using Pieces = std::array<iovec, kMaxPieces>;

[[nodiscard]] inline iovec to_iovec(std::span<const std::byte> bytes) {
  return {const_cast<std::byte*>(bytes.data()), bytes.size()};  // sendmsg only reads the bytes
}

class Transport {
 public:
  /// `token`: identifies the socket in epoll events. `tls`: null for a plain socket.
  Transport(Fd fd, EventLoop::Token token, std::unique_ptr<TlsConnection> tls = nullptr)
      : tls_(std::move(tls)), fd_(std::move(fd)), token_(token) {}

  [[nodiscard]] const Fd& fd() const { return fd_; }
  [[nodiscard]] EventLoop::Token token() const { return token_; }

  // --- Each call is reported to `tap`, unless `tap` is null.

  IoResult read(std::span<std::byte> buffer, Tap* tap) const {
    if (tls_ != nullptr) [[unlikely]]
      return read_tls(buffer, tap);
    const IoResult result = receive(fd_, buffer);
    if (tap != nullptr) [[unlikely]]
      show_read(buffer, result, *tap);
    return result;
  }
  /// Writes as much of `out` as one system call accepts; with TLS, one call for each batch of 64 KiB.
  IoResult write(const Output& out, Tap* tap) const {
    if (out.lends() || tap != nullptr || tls_ != nullptr) [[unlikely]]
      return write_pieces(out, tap);
    return send_bytes(fd_, out.block());
  }
  /// Writes as much of `pieces` as one system call accepts. `pieces` must not be empty.
  IoResult write(std::span<const iovec> pieces, Tap* tap) const;
  /// Sends FIN after the data written so far. Reading remains possible.
  void half_close(Tap* tap) const;
  /// Makes close() send RST instead of FIN and drop the unsent data (SO_LINGER 0).
  void reset_on_close(Tap* tap) const;
  /// The error that epoll reported with EPOLLERR.
  [[nodiscard]] std::error_code pending_error() const { return ws::pending_error(fd_); }

  // --- TLS

  [[nodiscard]] bool is_secure() const { return tls_ != nullptr; }
  /// False during the TLS handshake, and after TLS has failed.
  [[nodiscard]] bool may_write() const { return tls_ == nullptr || tls_->is_established(); }
  /// True if the peer has sent close_notify: it sends nothing more, although it may not have sent FIN.
  [[nodiscard]] bool is_closed_by_peer() const {
    return tls_ != nullptr && tls_->is_closed_by_peer();
  }
  /// True if TLS output (handshake messages, alerts or records) waits for EPOLLOUT. If the session has queued output, call
  /// `write`; otherwise call `flush`.
  [[nodiscard]] bool has_unsent() const { return tls_ != nullptr && tls_->has_unsent(); }
  /// True if the first byte that `write` did not report as written is encrypted already: it must be sent.
  [[nodiscard]] bool is_byte_held_back() const {
    return tls_ != nullptr && tls_->is_byte_held_back();
  }
  /// Sends the unsent TLS output; then sends FIN, if half_close() postponed it.
  [[nodiscard]] IoResult flush(Tap* tap) const;
  /// Why reading failed: TLS's reason; empty for a plain socket or if the socket failed.
  [[nodiscard]] std::string_view tls_failure() const {
    return tls_ == nullptr ? std::string_view() : tls_->failure();
  }
  /// True if the peer does not speak TLS, but HTTP. Then drop_tls() lets the session answer in plain text.
  [[nodiscard]] bool is_peer_without_tls() const {
    return tls_ != nullptr && tls_->is_peer_without_tls();
  }
  void drop_tls() { tls_.reset(); }

  /// How much of what was written the peer's TCP has acknowledged.
  [[nodiscard]] Acknowledged acknowledged() const { return acknowledged_output(fd_); }

  // --- The epoll interest: EPOLLIN, EPOLLOUT, both, or 0 (only errors and hang-ups). If `watch` or `change_interest`
  // fails (see EventLoop::add), the session must end.

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
  [[gnu::noinline]] IoResult read_tls(std::span<std::byte> buffer, Tap* tap) const;
  [[gnu::noinline]] IoResult write_tls(std::span<const iovec> pieces) const;
  IoResult send_tls() const;
  bool close_tls() const;

  std::unique_ptr<TlsConnection> tls_;  ///< null for a plain socket
  Fd fd_;
  EventLoop::Token token_;
  std::uint8_t interest_ = 0;
};

}  // namespace ws
