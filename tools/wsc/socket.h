// wsc's TCP connection: name lookup, connect with a timeout, non-blocking reads and writes.
#pragma once

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "protocol/client/client_handshake.h"
#include "protocol/output.h"
#include "server/net/fd.h"
#include "tools/wsc/text.h"

namespace ws::client {

using Clock = std::chrono::steady_clock;
inline constexpr Clock::time_point kNever = Clock::time_point::max();

/// The time `seconds` from now.
[[nodiscard]] Clock::time_point in_seconds(double seconds);
/// poll() with a deadline; restarts after a signal. Returns false once the deadline has passed, even if a descriptor
/// is ready: a trickle of bytes must not postpone it. Throws std::system_error.
bool poll_until(std::span<pollfd> entries, Clock::time_point deadline);

class ClientSocket {
 public:
  /// Connects to the first of the host's addresses that accepts, trying each for `timeout` seconds, and stores its
  /// numeric form in `address`. Throws Failure with the error of each address.
  ClientSocket(const Uri& uri, double timeout, std::string& address);

  /// The entry for poll(): waits for input, and for output too if `out` is not empty.
  [[nodiscard]] pollfd entry(const Output& out) const;
  /// One recv() into `buffer`. Empty: no data yet. nullopt: the connection has ended, see `end`.
  std::optional<std::span<std::byte>> receive(std::span<std::byte> buffer);
  /// Sends as much of `out` as the socket accepts, and passes these bytes to `log`. Clears `out` when all is sent.
  void send(Output& out, FrameLog* log = nullptr);
  /// Bytes of `out` that are not sent yet.
  [[nodiscard]] std::size_t unsent(const Output& out) const { return out.size() - sent_; }
  /// Sends a FIN. Reading is still possible.
  void finish_writing();
  /// "" after the server's FIN, else the error, such as ": Connection reset by peer".
  [[nodiscard]] const std::string& end() const { return end_; }

 private:
  Fd fd_;
  std::size_t sent_ = 0;  ///< bytes of the current output that were sent
  std::string end_;
};

}  // namespace ws::client
