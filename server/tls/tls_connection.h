// The TLS state of one connection: turns received bytes into plaintext, and plaintext into bytes to send. It uses no
// socket: Transport reads and writes.
//
//      socket ──▶ decrypt ──▶ plaintext        plaintext ──▶ encrypt ──▶ output ──▶ socket
//                    └─ handshake messages, alerts ─▶ output
//
// The loop owns the buffers (TlsBuffers); a connection keeps only unsent output. Each call of decrypt decrypts all complete
// records, because epoll does not report plaintext that waits inside OpenSSL.
//
// Bytes of the output that the socket does not accept stay in the connection, and must be sent before anything else. The
// loop's output buffer is shared: after each call, send `to_send` and call `sent` before another connection is used.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "server/tls/tls_context.h"

struct bio_st;         // OpenSSL's BIO
struct bio_method_st;  // OpenSSL's BIO_METHOD

namespace ws {

/// The largest record: 5 bytes of header, 2^14 bytes of payload and 256 bytes of encryption (RFC 8446 §5.2) or, in TLS 1.2,
/// 2048 (RFC 5246 §6.2.3).
inline constexpr std::size_t kMaxTlsRecord = 5 + 16384 + 2048;

/// What the TLS connections of one loop share. OpenSSL reads `input` and appends to `output`.
class TlsBuffers {
 public:
  TlsBuffers();  ///< throws std::bad_alloc
  ~TlsBuffers();
  TlsBuffers(const TlsBuffers&) = delete;
  TlsBuffers& operator=(const TlsBuffers&) = delete;

  /// The most bytes that one read receives.
  static constexpr std::size_t kReceive = std::size_t{256} * 1024;
  std::vector<std::byte> received;   ///< from the socket
  std::span<const std::byte> input;  ///< the part of `received` that OpenSSL has not read yet
  std::vector<std::byte> output;     ///< bytes to send, of the connection that is in use

 private:
  friend class TlsConnection;
  std::unique_ptr<bio_method_st, void (*)(bio_method_st*)> method_;
  std::unique_ptr<bio_st, void (*)(bio_st*)> bio_;
  std::vector<std::byte> record_;  ///< the plaintext of one record, gathered from several pieces
};

class TlsConnection {
 public:
  enum class Status : std::uint8_t {
    kOpen,       ///< in the handshake, or after it
    kClosed,     ///< the peer sent close_notify: it sends nothing more
    kFailed,     ///< the peer broke a rule, or sent an alert: see `failure`
    kPlainText,  ///< the peer does not use TLS: its first byte is that of an HTTP request
  };

  /// `buffers` must outlive the connection. Throws std::bad_alloc.
  TlsConnection(const TlsContext& context, TlsBuffers& buffers);
  ~TlsConnection();
  TlsConnection(const TlsConnection&) = delete;
  TlsConnection& operator=(const TlsConnection&) = delete;

  /// Handles `bytes` from the socket. Writes their plaintext to `plain`, which must have space for bytes.size() +
  /// kMaxTlsRecord, and sets `size`, which may be greater than 0 with any status. Appends what TLS answers (handshake
  /// messages, alerts) to the output.
  Status decrypt(std::span<const std::byte> bytes, std::span<std::byte> plain, std::size_t& size);

  /// The loop's buffer for received bytes.
  [[nodiscard]] std::span<std::byte> receive_buffer() const { return buffers_.received; }

  /// Plaintext that one call of `encrypt` takes at most.
  static constexpr std::size_t kMaxBatch = std::size_t{64} * 1024;
  /// Encrypts the bytes of `pieces` after the first `skip`, at most kMaxBatch, in as few records as possible, and appends
  /// them to the output. Returns how many bytes it took; 0 if there are none, if the handshake is not complete or if the
  /// connection has failed.
  std::size_t encrypt(std::span<const iovec> pieces, std::size_t skip = 0);

  /// Appends close_notify to the output, unless the handshake is not complete or close_notify was sent before.
  void close();

  /// True after the handshake: `encrypt` may be called.
  [[nodiscard]] bool is_established() const;
  /// True if the peer sent close_notify, and no fatal alert: the stream was not truncated. RFC 8446 §6.1
  [[nodiscard]] bool is_closed_by_peer() const;
  /// True after `close`.
  [[nodiscard]] bool is_closed_by_us() const { return is_closed_; }
  /// True if the status was kPlainText.
  [[nodiscard]] bool is_peer_without_tls() const { return is_plain_; }
  /// Why the status is kFailed, in a few words.
  [[nodiscard]] std::string_view failure() const { return failure_; }

  // --- Output that must be sent.

  /// What to send now, after `decrypt`, `encrypt` or `close`. The caller sends it and calls `sent` at once. Empty if there is
  /// nothing.
  [[nodiscard]] std::span<const std::byte> to_send() const;
  /// The socket has accepted the first `size` bytes of to_send(). The rest is kept.
  void sent(std::size_t size);
  /// Output that the socket has not accepted is kept.
  [[nodiscard]] bool has_unsent() const { return !unsent_.empty(); }
  /// The last encrypted byte is not reported as written until its record is sent.
  void hold_back_byte() { is_byte_held_back_ = true; }
  [[nodiscard]] bool is_byte_held_back() const { return is_byte_held_back_; }
  /// Returns 1 if a byte was held back, otherwise 0.
  int release_byte() {
    const int held_back = is_byte_held_back_ ? 1 : 0;
    is_byte_held_back_ = false;
    return held_back;
  }
  [[nodiscard]] std::size_t unsent() const { return unsent_.size() - unsent_begin_; }

 private:
  struct Free {
    void operator()(ssl_st* connection) const noexcept;
  };
  void fail(std::string_view why);
  void fail();
  void collect_output();

  TlsBuffers& buffers_;
  std::unique_ptr<ssl_st, Free> tls_;
  std::vector<std::byte> unsent_;
  std::size_t unsent_begin_ = 0;  ///< index of the first byte that must still be sent
  std::string_view failure_{};    ///< points to a static string
  bool has_input_ : 1 = false;
  bool has_failed_ : 1 = false;
  bool was_established_ : 1 = false;
  bool is_plain_ : 1 = false;
  bool is_closed_ : 1 = false;
  bool is_byte_held_back_ : 1 = false;
};

}  // namespace ws
