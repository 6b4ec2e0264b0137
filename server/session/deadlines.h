// What a session waits for, and until when. A value without a clock or a socket, so that a test can try each
// state with each deadline.
//
//      Wait       begins with       ends with                lasts          then
//      kHead      accept            the request head         handshake_ms   408
//      kSilence   the 101, a pong   any byte: begins again   ping_ms        a ping; if ping_ms is 0 there is no wait
//      kPong      our ping          the pong                 pong_ms        a reset, unless one of them waits here
//      kClose     our Close         the peer's Close         close_ms       FIN; a reset if output is still queued
//      kDrain     our FIN           the peer's FIN           drain_ms       close()
//
// Beside these run two stall watches: a message that has begun must go on, and queued output must leave.
//
// Invariant: a trickle of bytes extends no deadline but kSilence's, which only leads to a ping. A stall watch requires
// `outbox_low` bytes in each window.
//
// Times are milliseconds of the loop's monotonic clock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/limits.h"
#include "server/net/timers.h"

namespace ws {

/// What a stall watch asks for: within `window_ms` at least `bytes` must move.
struct StallRule {
  std::uint32_t window_ms;
  std::size_t bytes;
};

/// Watches that bytes go on moving, in windows of time.
class StallWatch {
 public:
  [[nodiscard]] bool is_running() const { return deadline_ != Timers::kNever; }
  [[nodiscard]] std::int64_t deadline() const { return deadline_; }
  /// `moved` bytes were read or written. If more `is_pending`, subtracts them from what the running window still requires,
  /// or starts a window if none runs; else stops.
  void update(bool is_pending, std::size_t moved, std::int64_t now, StallRule rule);
  void stop() { deadline_ = Timers::kNever; }
  /// Starts a window, whatever has moved in the one that runs.
  void restart(std::int64_t now, StallRule rule);
  /// True if the window is over and too little has moved in it. If enough has, the next window starts.
  [[nodiscard]] bool is_stalled(std::int64_t now, StallRule rule);

 private:
  std::int64_t deadline_ = Timers::kNever;
  std::uint32_t wanted_ = 0;  ///< bytes that must still move before `deadline_`
};

class Deadlines {
 public:
  /// What is over, for the session to act on.
  enum class Due : std::uint8_t {
    kNothing,
    kHead,          ///< the request head did not come
    kPing,          ///< the peer was silent: a ping is to be sent now, and the pong is awaited
    kPong,          ///< no pong came
    kClose,         ///< no Close came in answer to ours
    kDrain,         ///< no FIN came in answer to ours
    kStalledRead,   ///< a message does not go on
    kStalledWrite,  ///< the peer does not read
  };
  /// What the decision depends on besides time.
  struct Situation {
    bool may_read;    ///< false: we have stopped reading from this peer
    bool has_queued;  ///< output is queued: our ping may be in it
  };

  // --- What happened. `limits` says how long the next wait is.
  void accepted(std::int64_t now, const Limits& limits) {
    await(Wait::kHead, now + limits.handshake_ms);
  }
  /// The 101 was sent. Keep-alive begins, if `ping_ms` is not 0.
  void opened(std::int64_t now, const Limits& limits);
  /// Bytes came, of whatever kind.
  void received(std::int64_t now, const Limits& limits) {
    if (wait_ == Wait::kSilence)
      deadline_ = now + limits.ping_ms;
  }
  /// False if no ping of ours is unanswered.
  bool received_pong(std::int64_t now, const Limits& limits);
  /// No message is half received.
  void message_ended() { stalled_read_.stop(); }
  /// A message is half received, and `size` bytes came in this read, control frames included. `is_new`: the message
  /// began in this read; then a new window starts, and `size` does not count.
  void message_continued(std::size_t size, bool is_new, std::int64_t now, const Limits& limits);
  void sent_close(std::int64_t now, const Limits& limits);
  /// Only queued output is waited for, which has a watch of its own.
  void flushing();
  void sent_fin(std::int64_t now, const Limits& limits) {
    await(Wait::kDrain, now + limits.drain_ms);
  }

  /// What is due at `now`, one thing at a time: ask again until nothing is. `stalled_write` is the watch of the
  /// queued output, null if nothing is queued.
  [[nodiscard]] Due due(std::int64_t now, const Limits& limits, Situation situation,
                        StallWatch* stalled_write);
  /// When to ask `due`, apart from `stalled_write`'s deadline; kNever if nothing is waited for.
  [[nodiscard]] std::int64_t next() const;
  /// Nothing runs but keep-alive's silence, which any byte renews.
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
  [[no_unique_address]] StallWatch stalled_read_;  ///< runs while a message is half received
  Wait wait_ = Wait::kNone;
};

}  // namespace ws
