// zlib used directly, so that permessage-deflate is tested independently of our code. RFC 7692 §7.2
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include <zlib.h>

#include "tests/support/bytes.h"

namespace ws::test {

/// Compresses `payload` with a new zlib stream. `flush`: Z_FINISH sets BFINAL in the last block; with Z_SYNC_FLUSH and
/// Z_FULL_FLUSH the result ends with an empty block, 00 00 00 FF FF.
inline Bytes deflated(std::string_view payload, int flush) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    std::abort();
  Bytes out(payload.size() + payload.size() / 8 + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(payload.data()));
  stream.avail_in = static_cast<uInt>(payload.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, flush);
  if (stream.avail_in != 0 || stream.avail_out == 0)
    std::abort();
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

/// Compresses messages, each with the previous ones in its window.
class PeerDeflater {
 public:
  explicit PeerDeflater(int window_bits = 15) {
    if (deflateInit2(&stream_, 9, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      std::abort();
  }
  ~PeerDeflater() { deflateEnd(&stream_); }
  PeerDeflater(const PeerDeflater&) = delete;
  PeerDeflater& operator=(const PeerDeflater&) = delete;

  /// Returns the compressed message without its tail 00 00 FF FF.
  Bytes message(std::string_view payload) {
    Bytes out(payload.size() + payload.size() / 8 + 64, '\0');
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(payload.data()));
    stream_.avail_in = static_cast<uInt>(payload.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream_, Z_SYNC_FLUSH) != Z_OK || stream_.avail_out == 0)
      std::abort();
    out.resize(out.size() - stream_.avail_out);
    if (!out.ends_with(hex("0000ffff")))
      std::abort();
    out.resize(out.size() - 4);
    return out;
  }
  void restart() { deflateReset(&stream_); }

 private:
  z_stream stream_{};
};

/// Decompresses messages, each with the previous ones in its window.
class PeerInflater {
 public:
  explicit PeerInflater(int window_bits = 15) {
    if (inflateInit2(&stream_, -window_bits) != Z_OK)
      std::abort();
  }
  ~PeerInflater() { inflateEnd(&stream_); }
  PeerInflater(const PeerInflater&) = delete;
  PeerInflater& operator=(const PeerInflater&) = delete;

  /// `payload` lacks its tail. Returns "(damaged)" if zlib reports an error. Inflates one byte at a time, so that
  /// zlib can refer only to bytes in the window.
  Bytes message(std::string_view payload) {
    const Bytes in = Bytes(payload) + hex("0000ffff");
    Bytes out;
    char byte = 0;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(&byte);
      stream_.avail_out = 1;
      const int status = inflate(&stream_, Z_SYNC_FLUSH);
      if (status != Z_OK && status != Z_BUF_ERROR)
        return "(damaged)";
      if (stream_.avail_out == 0)
        out += byte;
    } while (stream_.avail_out == 0);
    return out;
  }
  void restart() { inflateReset(&stream_); }

 private:
  z_stream stream_{};
};

}  // namespace ws::test
