#include "server/net/transport.h"

namespace ws {

void Transport::show_read(std::span<const std::byte> buffer, IoResult result, Tap& tap) const {
  tap.received(token_.generation, buffer.first(result.size()));
  if (result.status() == IoResult::Status::kEnd)
    tap.received_fin(token_.generation);
}

IoResult Transport::write(std::span<const iovec> pieces, Tap* tap) const {
  const auto bytes_of = [](const iovec& piece) {
    return std::span(static_cast<const std::byte*>(piece.iov_base), piece.iov_len);
  };
  const IoResult result = tls_ != nullptr      ? write_tls(pieces)
                          : pieces.size() == 1 ? send_bytes(fd_, bytes_of(pieces.front()))
                                               : send_pieces(fd_, pieces);
  if (tap != nullptr)
    tap->sent(token_.generation, pieces, result.size());
  return result;
}

IoResult Transport::write_pieces(const Output& out, Tap* tap) const {
  Pieces pieces;
  std::size_t count = 0;
  out.for_each_piece([&](std::span<const std::byte> piece) {
    if (count < pieces.size())
      pieces[count++] = to_iovec(piece);
  });
  return write(std::span(pieces).first(count), tap);
}

void Transport::half_close(Tap* tap) const {
  if (tls_ != nullptr && !close_tls())
    return;  // flush() sends the FIN
  finish_writing(fd_);
  if (tap != nullptr)
    tap->sent_fin(token_.generation);
}

void Transport::reset_on_close(Tap* tap) const {
  make_reset_on_close(fd_);
  if (tap != nullptr)
    tap->reset(token_.generation);
}

}  // namespace ws
