// Transport over TLS: the socket carries only records, the session sees their plaintext. [6455-4.2.2-TLS]
#include <algorithm>

#include "server/net/transport.h"

namespace ws {

/// Sends the output of TLS with one system call. The status is kDone if nothing remains, and kWouldBlock if some does.
IoResult Transport::send_tls() const {
  const std::span<const std::byte> bytes = tls_->to_send();
  if (bytes.empty())
    return IoResult(1);
  const IoResult result = send_bytes(fd_, bytes);
  tls_->sent(result.size());
  if (result.status() == IoResult::Status::kDone && tls_->has_unsent())
    return IoResult(-EAGAIN);
  return result;
}

/// Returns the plaintext of all records that have arrived. A record may have none (handshake, key update): then the
/// status is kWouldBlock, and is_interrupted().
IoResult Transport::read_tls(std::span<std::byte> buffer, Tap* tap) const {
  const std::span<std::byte> records = tls_->receive_buffer();
  const IoResult result = receive(fd_, records);
  if (result.status() != IoResult::Status::kDone) {
    if (result.status() == IoResult::Status::kEnd && tap != nullptr)
      tap->received_fin(token_.generation);
    return result;
  }
  std::size_t size = 0;
  const TlsConnection::Status status = tls_->decrypt(records.first(result.size()), buffer, size);
  if (!tls_->has_unsent() && send_tls().status() == IoResult::Status::kError && size == 0)
    return IoResult(-ECONNRESET);
  if (size > 0) {
    if (tap != nullptr)
      tap->received(token_.generation, buffer.first(size));
    return IoResult(static_cast<std::int64_t>(size));
  }
  switch (status) {
    case TlsConnection::Status::kOpen:
      return IoResult(-EINTR);
    case TlsConnection::Status::kClosed:
      return IoResult(0);
    case TlsConnection::Status::kFailed:
    case TlsConnection::Status::kPlainText:
      break;
  }
  return IoResult(-EPROTO);
}

/// Encrypts `pieces` in batches, and sends each batch with one system call until the socket accepts no more.
///
/// Encrypted bytes must be sent: they cannot be encrypted a second time. If the socket accepts only a part of a batch,
/// TlsConnection keeps the remaining records, and we report one byte less than the batch as written. So the session keeps
/// one byte queued, waits for EPOLLOUT and calls `write` again; that call sends the records and then reports the byte. The
/// session must not drop the byte: see Outbox::drop_broadcasts.
IoResult Transport::write_tls(std::span<const iovec> pieces) const {
  std::int64_t written = 0;
  if (tls_->has_unsent()) {
    if (const IoResult result = send_tls(); result.status() != IoResult::Status::kDone)
      return result;
    written = tls_->release_byte();
  }
  for (;;) {
    const std::size_t taken = tls_->encrypt(pieces, static_cast<std::size_t>(written));
    if (taken == 0)
      return tls_->failure().empty() ? IoResult(written > 0 ? written : -EAGAIN)
                                     : IoResult(-EPROTO);
    const IoResult result = send_tls();
    if (result.status() == IoResult::Status::kError)
      return result;
    written += static_cast<std::int64_t>(taken);
    if (tls_->has_unsent()) {
      tls_->hold_back_byte();
      --written;
      return written > 0                  ? IoResult(written)
             : result.is_out_of_buffers() ? result
                                          : IoResult(-EAGAIN);
    }
  }
}

/// Sends close_notify. RFC 8446 §6.1. Returns false if a part of it must wait for EPOLLOUT.
bool Transport::close_tls() const {
  tls_->close();
  return send_tls().status() != IoResult::Status::kWouldBlock;
}

IoResult Transport::flush(Tap* tap) const {
  const IoResult result = send_tls();
  if (result.status() == IoResult::Status::kDone && tls_->is_closed_by_us()) {
    finish_writing(fd_);
    if (tap != nullptr)
      tap->sent_fin(token_.generation);
  }
  return result;
}

}  // namespace ws
