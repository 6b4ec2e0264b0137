// A client that sends and receives raw bytes, for tests against a server in another thread.
#pragma once

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "server/net/fd.h"
#include "server/net/socket.h"
#include "tests/support/bytes.h"

namespace ws::test {

/// Blocking. If the expected bytes do not arrive within kPatience, `receive…` reports what it expected and received on
/// standard error, and returns the received bytes.
class RawClient {
 public:
  static constexpr int kPatience = 10;  ///< seconds

  explicit RawClient(const SocketAddress& server)
      : fd_(::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = kPatience, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    // A fixed size: otherwise the kernel buffers unread bytes for this client, 32 MiB on some machines.
    const int buffer = 256 * 1024;
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    is_connected_ = ::connect(fd_.get(), server.data(), server.size()) == 0;
  }

  [[nodiscard]] bool is_connected() const { return is_connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0)
        return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// The next `size` bytes; fewer if the connection ends or after kPatience.
  std::string receive(std::size_t size) {
    std::string bytes;
    while (bytes.size() < size && read_more(size - bytes.size(), bytes)) {
    }
    report_stall(std::to_string(size) + " bytes", bytes);
    return bytes;
  }
  /// All bytes up to and including `end`.
  std::string receive_until(std::string_view end) {
    std::string bytes;
    while (!bytes.ends_with(end) && read_more(1, bytes)) {
    }
    report_stall("bytes that end with these:\n" + dump(end), bytes);
    return bytes;
  }
  /// All bytes up to the end of the connection.
  std::string receive_all() {
    std::string bytes;
    while (read_more(65536, bytes)) {
    }
    report_stall("the end of the connection", bytes);
    return bytes;
  }
  /// True if `receive…` ended with the server's FIN; false after a reset or a timeout.
  [[nodiscard]] bool has_ended_well() const { return has_ended_well_; }

  /// True if `receive…` ended with the server's FIN or a reset; false after a timeout.
  [[nodiscard]] bool has_ended() const { return has_ended_; }

  void finish_writing() { ws::finish_writing(fd_); }
  void reset() {
    make_reset_on_close(fd_);
    fd_.reset();
  }
  void close() { fd_.reset(); }

 private:
  bool read_more(std::size_t size, std::string& bytes) {
    const std::size_t before = bytes.size();
    bytes.resize(before + size);
    const ssize_t n = ::recv(fd_.get(), bytes.data() + before, size, 0);
    bytes.resize(before + (n > 0 ? static_cast<std::size_t>(n) : 0));
    is_stalled_ = n < 0 && errno == EAGAIN;
    has_ended_well_ = n == 0;
    has_ended_ = n == 0 || (n < 0 && !is_stalled_);
    return n > 0;
  }
  void report_stall(const std::string& awaited, std::string_view received) {
    if (std::exchange(is_stalled_, false)) {
      std::fprintf(stderr, "waited %d s for %s\nand received %zu bytes:\n%s\n", kPatience,
                   awaited.c_str(), received.size(), dump(received).c_str());
    }
  }

  Fd fd_;
  bool is_connected_ = false;
  bool has_ended_well_ = false;
  bool has_ended_ = false;
  bool is_stalled_ = false;  ///< the last read timed out
};

/// The request of RFC 6455 §1.3, to `path`.
inline std::string upgrade_request(std::string_view path, std::string_view fields = "") {
  std::string request = "GET ";
  request.append(path);
  request.append(
      " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n");
  return request.append(fields).append("\r\n");
}

}  // namespace ws::test
