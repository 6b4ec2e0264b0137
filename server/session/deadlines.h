// The event that a session waits for, and its deadline. Deadlines uses no clock and no socket, so that tests can try
// every state with every deadline.
//
//      Wait       starts at         ends at                  timeout        on timeout
//      kHead      accept            end of the request head  handshake_ms   408
//      kSilence   the 101, a pong   any byte restarts it     ping_ms        a ping; if ping_ms is 0, there is no wait
//      kPong      our ping          the pong; any byte       pong_ms        a reset; but the wait restarts if output is
//                                   restarts it                             queued, if we do not read, or if the peer's
//                                                                           TCP has acknowledged output
//      kClose     our Close         the peer's Close         close_ms       FIN, or a reset if output is still queued
//      kDrain     our FIN           the peer's FIN           drain_ms       close()
//
// In addition there are two stall watches: one runs while a message is partly received, one while output is queued.
//
// Keep-alive (kSilence and kPong) only detects peers that vanished. A peer that is sending is alive, even if its pong
// must wait for the end of a frame (RFC 6455 §5.4). A peer that reads slowly is alive, even if the kernel has not sent
// our ping yet.
//
// Invariant: a peer that sends or reads a few bytes at a time extends no deadline except those of keep-alive. A stall
// watch requires `outbox_low` bytes in each window; control frames within a message do not count.
//
// Times are milliseconds of the loop's monotonic clock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/limits.h"
#include "server/net/socket.h"
#include "server/net/timers.h"

namespace ws {

/// The rule of a stall watch: at least `bytes` must be transferred within `window_ms`.
struct StallRule {
  std::uint32_t window_ms;
  std::size_t bytes;
};

/// Checks that enough bytes are transferred in each window of time.
class StallWatch {
 public:
  [[nodiscard]] bool is_running() const { return deadline_ != Timers::kNever; }
  [[nodiscard]] std::int64_t deadline() const { return deadline_; }
  /// Call it after `moved` bytes were read or written. `is_pending`: true if more bytes are expected; if false, stops
  /// the watch. Otherwise counts `moved` in the running window. If no window is running, starts one, without `moved`.
  void update(bool is_pending, std::size_t moved, std::int64_t now, StallRule rule);
  void stop() { deadline_ = Timers::kNever; }
  /// Starts a new window, even if a window is running.
  void restart(std::int64_t now, StallRule rule);
  /// True if the window is over and too few bytes were transferred. If it is over and enough bytes were transferred,
  /// starts the next window.
  [[nodiscard]] bool is_stalled(std::int64_t now, StallRule rule);

 private:
  std::int64_t deadline_ = Timers::kNever;
  std::uint32_t wanted_ = 0;  ///< bytes still required before `deadline_`
};

class Deadlines {
 public:
  /// The event that is due. The session must act on it.
  enum class Due : std::uint8_t {
    kNothing,
    kHead,   ///< the request head is not complete
    kPing,   ///< the peer was silent: call `sent_ping`, send a ping (the pong's deadline is set)
    kPong,   ///< no input after the ping: call `has_acknowledged`; if false, reset
    kClose,  ///< our Close was not answered
    kDrain,  ///< our FIN was not answered
    kStalledRead,   ///< a partly received message makes too little progress
    kStalledWrite,  ///< the peer reads too slowly or not at all
  };
  /// The state of the session that `due` depends on.
  struct Situation {
    bool may_read;    ///< false: the session does not read from the peer
    bool has_queued;  ///< output is queued, which may include our ping
  };

  // --- Events. `limits` sets the length of the next wait.
  void accepted(std::int64_t now, const Limits& limits) {
    await(Wait::kHead, now + limits.handshake_ms);
  }
  /// The 101 was sent. Starts keep-alive, unless `ping_ms` is 0.
  void opened(std::int64_t now, const Limits& limits);
  /// At least one byte was received.
  void received(std::int64_t now, const Limits& limits) {
    if (wait_ <= Wait::kPong)
      deadline_ = now + (wait_ == Wait::kSilence ? limits.ping_ms : limits.pong_ms);
  }
  /// Call it after kPing, before the ping is written. `output`: the peer's acknowledgements so far.
  void sent_ping(Acknowledged output);
  /// Call it after kPong. Returns true and restarts the wait if the peer has acknowledged bytes since `sent_ping` or
  /// the last call. An acknowledgement of only the ping does not count: it shows that the peer's kernel is alive, not
  /// its program.
  bool has_acknowledged(Acknowledged output, std::int64_t now, const Limits& limits);
  /// A pong was received. Returns false if we were not waiting for a pong.
  bool received_pong(std::int64_t now, const Limits& limits);
  /// No message is partly received.
  void message_ended() { stalled_read_.stop(); }
  /// A message is partly received, and this read brought `size` bytes of its payload; control frames do not count. If
  /// the message started in this read (`is_new`), the stall watch starts a new window and does not count `size`.
  void message_continued(std::size_t size, bool is_new, std::int64_t now, const Limits& limits);
  void sent_close(std::int64_t now, const Limits& limits);
  /// The session is flushing. No wait applies; the queued output has its own stall watch.
  void flushing();
  void sent_fin(std::int64_t now, const Limits& limits) {
    await(Wait::kDrain, now + limits.drain_ms);
  }

  /// Returns the first event that is due at `now`; call it again for the next event. `stalled_write`: the stall watch
  /// of the queued output; null if there is no backlog.
  [[nodiscard]] Due due(std::int64_t now, const Limits& limits, Situation situation,
                        StallWatch* stalled_write);
  /// The earliest deadline, without that of `stalled_write`; kNever if there is no deadline.
  [[nodiscard]] std::int64_t next() const;
  /// True if no deadline runs except those of keep-alive, which any byte restarts.
  [[nodiscard]] bool is_quiet() const {
    return wait_ <= Wait::kNone && !stalled_read_.is_running();
  }

  [[nodiscard]] static StallRule read_rule(const Limits& limits) {
    return {limits.read_ms, limits.outbox_low};
  }
  [[nodiscard]] static StallRule write_rule(const Limits& limits) {
    return {limits.write_ms, limits.outbox_low};
  }

 private:
  // In this order: `received` and `is_quiet` compare the values.
  enum class Wait : std::uint8_t { kSilence, kPong, kNone, kHead, kClose, kDrain };
  void await(Wait wait, std::int64_t deadline) {
    wait_ = wait;
    deadline_ = deadline;
  }

  std::int64_t deadline_ = Timers::kNever;         ///< deadline of `wait_`
  [[no_unique_address]] StallWatch stalled_read_;  ///< runs while a message is partly received
  std::uint32_t acknowledged_ = 0;  ///< of the last `sent_ping` or `has_acknowledged`
  Wait wait_ = Wait::kNone;
  bool was_all_acknowledged_ = true;  ///< the same
};

}  // namespace ws
