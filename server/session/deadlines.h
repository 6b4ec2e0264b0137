// The event that a session waits for, and until when. A value without a clock or a socket, so that tests can try every
// state with every deadline.
//
//      Wait       starts at         ends at                  timeout        on timeout
//      kHead      accept            the request head         handshake_ms   408
//      kSilence   the 101, a pong   any byte restarts it     ping_ms        a ping; if ping_ms is 0, there is no wait
//      kPong      our ping          the pong                 pong_ms        a reset, unless output is queued or we
//                                                                           do not read: then it restarts
//      kClose     our Close         the peer's Close         close_ms       FIN; a reset if output is still queued
//      kDrain     our FIN           the peer's FIN           drain_ms       close()
//
// In addition, two stall watches run: a partly received message must make progress, and queued output must be sent.
//
// Invariant: a peer that sends or reads a few bytes at a time extends no deadline except kSilence's, which only leads
// to a ping. A stall watch requires `outbox_low` bytes in each window.
//
// Times are milliseconds of the loop's monotonic clock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/limits.h"
#include "server/net/timers.h"

namespace ws {

/// The rule of a stall watch: at least `bytes` must be transferred within `window_ms`.
struct StallRule {
  std::uint32_t window_ms;
  std::size_t bytes;
};

/// Checks in windows of time that enough bytes are transferred.
class StallWatch {
 public:
  [[nodiscard]] bool is_running() const { return deadline_ != Timers::kNever; }
  [[nodiscard]] std::int64_t deadline() const { return deadline_; }
  /// `moved` bytes were read or written. If more `is_pending`, counts them in the current window, or starts one if none
  /// runs; else stops.
  void update(bool is_pending, std::size_t moved, std::int64_t now, StallRule rule);
  void stop() { deadline_ = Timers::kNever; }
  /// Starts a new window, also if one is running.
  void restart(std::int64_t now, StallRule rule);
  /// True if the window is over and too few bytes were transferred. If enough were, starts the next window.
  [[nodiscard]] bool is_stalled(std::int64_t now, StallRule rule);

 private:
  std::int64_t deadline_ = Timers::kNever;
  std::uint32_t wanted_ = 0;  ///< bytes still required before `deadline_`
};

class Deadlines {
 public:
  /// What is due; the session acts on it.
  enum class Due : std::uint8_t {
    kNothing,
    kHead,          ///< the request head is not complete
    kPing,          ///< the peer was silent: send a ping now; kPong has started
    kPong,          ///< no pong was received
    kClose,         ///< our Close was not answered
    kDrain,         ///< our FIN was not answered
    kStalledRead,   ///< a message makes no progress
    kStalledWrite,  ///< the peer does not read
  };
  /// The state of the session that `due` depends on.
  struct Situation {
    bool may_read;    ///< false: the session does not read from the peer
    bool has_queued;  ///< output is queued, perhaps with our ping in it
  };

  // --- Events. `limits` sets the length of the next wait.
  void accepted(std::int64_t now, const Limits& limits) {
    await(Wait::kHead, now + limits.handshake_ms);
  }
  /// The 101 was sent. Starts keep-alive, unless `ping_ms` is 0.
  void opened(std::int64_t now, const Limits& limits);
  /// Bytes were received, of any kind.
  void received(std::int64_t now, const Limits& limits) {
    if (wait_ == Wait::kSilence)
      deadline_ = now + limits.ping_ms;
  }
  /// Returns false if no ping of ours is unanswered.
  bool received_pong(std::int64_t now, const Limits& limits);
  /// No message is partly received.
  void message_ended() { stalled_read_.stop(); }
  /// A message is partly received, and this read brought `size` bytes, control frames included. `is_new`: it started in
  /// this read; then a new window starts, and `size` does not count.
  void message_continued(std::size_t size, bool is_new, std::int64_t now, const Limits& limits);
  void sent_close(std::int64_t now, const Limits& limits);
  /// Only queued output remains, which has its own stall watch.
  void flushing();
  void sent_fin(std::int64_t now, const Limits& limits) {
    await(Wait::kDrain, now + limits.drain_ms);
  }

  /// The first thing that is due at `now`; call again for further ones. `stalled_write`: the watch of the queued
  /// output, or null if there is no backlog.
  [[nodiscard]] Due due(std::int64_t now, const Limits& limits, Situation situation,
                        StallWatch* stalled_write);
  /// When to call `due` next, not counting `stalled_write`; kNever if there is no deadline.
  [[nodiscard]] std::int64_t next() const;
  /// True if no deadline runs except kSilence, which any byte restarts.
  [[nodiscard]] bool is_quiet() const {
    return wait_ <= Wait::kSilence && !stalled_read_.is_running();
  }

  [[nodiscard]] static StallRule read_rule(const Limits& limits) {
    return {limits.read_ms, limits.outbox_low};
  }
  [[nodiscard]] static StallRule write_rule(const Limits& limits) {
    return {limits.write_ms, limits.outbox_low};
  }

 private:
  enum class Wait : std::uint8_t { kNone, kSilence, kHead, kPong, kClose, kDrain };
  void await(Wait wait, std::int64_t deadline) {
    wait_ = wait;
    deadline_ = deadline;
  }

  std::int64_t deadline_ = Timers::kNever;         ///< of `wait_`
  [[no_unique_address]] StallWatch stalled_read_;  ///< runs while a message is partly received
  Wait wait_ = Wait::kNone;
};

}  // namespace ws
