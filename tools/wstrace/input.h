// Reads the bytes of a capture file, and decompresses a gzip file (RFC 1952) with zlib.
#pragma once

#include <zlib.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "server/net/fd.h"

namespace ws::trace {

/// An error that ends the program; the text is a line for the user.
struct TraceFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class CaptureInput {
 public:
  /// Opens a file; "-" is standard input. Throws TraceFailure, without the path in its text, if that fails or the first
  /// bytes cannot be read.
  explicit CaptureInput(const std::string& path);

  /// The first 4 bytes, or all bytes of a shorter file. `read` returns them, too.
  [[nodiscard]] std::span<const std::byte> magic() const {
    return std::span(magic_).first(magic_size_);
  }
  /// Reads 1 to `bytes.size()` bytes; 0 at the end. Does not wait until `bytes` is full, so that the packets of a pipe
  /// are shown immediately. Throws TraceFailure if the file cannot be read or decompressed.
  std::size_t read(std::span<std::byte> bytes);
  /// The text of the last exception of `read`, which cannot propagate through libpcap; empty if there was none.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct EndInflate {
    void operator()(z_stream* stream) const {
      ::inflateEnd(stream);
      delete stream;
    }
  };
  std::size_t read_decoded(std::span<std::byte> bytes);
  std::size_t inflate(std::span<std::byte> bytes);
  bool fill();
  [[noreturn]] void fail(const std::string& why);

  Fd file_;
  std::string error_;
  std::vector<std::byte> buffer_;  ///< bytes of the file
  std::span<const std::byte>
      unread_{};  ///< the part of `buffer_` that is not yet returned or decompressed
  std::unique_ptr<z_stream, EndInflate> gzip_;  ///< if the file is compressed
  bool is_in_member_ = false;                   ///< inside a member of the gzip file
  std::array<std::byte, 4> magic_{};
  std::size_t magic_size_ = 0;
  std::size_t magic_read_ = 0;  ///< bytes of `magic_` that `read` returned
};

}  // namespace ws::trace
