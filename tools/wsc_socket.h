// wsc's TCP connection: the few POSIX calls that a client makes, none of which blocks.
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
#include "tools/wsc_text.h"

namespace ws::client {

using Clock = std::chrono::steady_clock;
inline constexpr Clock::time_point kNever = Clock::time_point::max();

[[nodiscard]] Clock::time_point in_seconds(double seconds);
/// poll() that goes on after a signal. False once `deadline` is there, even if something is ready:
/// a trickle of bytes must not put it off.
bool poll_until(std::span<pollfd> entries, Clock::time_point deadline);

class ClientSocket {
 public:
  /// To the first address of the host's name that accepts within `timeout` seconds, each; its
  /// numeric form is set. Throws Failure, saying why each did not.
  ClientSocket(const Uri& uri, double timeout, std::string& address);

  /// What to wait for while `out` is unsent.
  [[nodiscard]] pollfd entry(const Output& out) const;
  /// One read, as much as there is. Empty: nothing just now. nullopt: it ended, `end` saying how.
  std::optional<std::span<std::byte>> receive(std::span<std::byte> buffer);
  /// Sends as much of `out` as the socket takes, and shows that to `log`, if there is one. Empties `out` when all is
  /// sent.
  void send(Output& out, FrameLog* log = nullptr);
  /// Bytes of `out` that the socket did not take yet.
  [[nodiscard]] std::size_t unsent(const Output& out) const { return out.size() - sent_; }
  /// Our FIN. Reading goes on.
  void finish_writing();
  /// "" if the server ended TCP in good order, or else ": Connection reset by peer", say.
  [[nodiscard]] const std::string& end() const { return end_; }

 private:
  Fd fd_;
  std::size_t sent_ = 0;  ///< bytes of the output that the socket took
  std::string end_;
};

}  // namespace ws::client
