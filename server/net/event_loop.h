// The epoll loop: waits for events and calls a handler. One loop per thread; each descriptor belongs to one loop.
//
// The watches are level-triggered: a handler may read one buffer and return, and epoll reports the remaining bytes in
// the next iteration. Edge-triggered watches would save no system call, because a session reads once per iteration
// anyway. They would also need a list of the sessions that stopped reading before EAGAIN.
//
// An iteration: 1. wait; 2. read the clock; 3. dispatch the events and the ready list; 4. run the timers that are due;
// 5. end: flush the cork, erase ended sessions.
//
// An event and an entry of the ready list carry a token (slot and generation) instead of a pointer, because the session
// may end before they are dispatched. If so, no session has this generation, and the token is ignored.
#pragma once

#include <cassert>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

#include "server/net/fd.h"
#include "server/net/timers.h"

namespace ws {

/// Maximum number of loops in one server; a mailbox reserves memory for this many senders.
inline constexpr unsigned kMaxLoops = 64;

class EventLoop {
 public:
  struct Token {
    std::uint32_t slot;
    std::uint32_t generation;
  };
  /// Slots for events that do not belong to a session. All slots from kFirstReserved up are reserved.
  static constexpr std::uint32_t kWakeSlot = UINT32_MAX;          ///< the eventfd of `wake`
  static constexpr std::uint32_t kListenerSlot = UINT32_MAX - 1;  ///< generation: listener index
  static constexpr std::uint32_t kSignalSlot = UINT32_MAX - 2;
  static constexpr std::uint32_t kFirstReserved = kSignalSlot;

  /// Handles the events of a loop. `on_ready` returns false if there was nothing to do. If it returns false a thousand
  /// times in a row, the loop calls `on_busy_wait`.
  class Handler {
   public:
    /// `events`: EPOLLIN, …, or 0 for a token from the ready list.
    virtual bool on_ready(Token token, std::uint32_t events) = 0;
    virtual void on_timer(TimerNode& node) = 0;
    virtual void on_iteration_end() = 0;
    virtual void on_busy_wait(Token token) = 0;

   protected:
    ~Handler() = default;
  };

  EventLoop();

  /// Returns an error if the epoll instance or the eventfd could not be created. If so, the loop must not run.
  [[nodiscard]] std::error_code error() const { return error_; }

  /// Watches `fd` for `events`: EPOLLIN, EPOLLOUT, both, or 0 (only errors and hang-ups). Its events are reported with
  /// `token`. Returns ENOSPC if there are too many watches, or ENOMEM. Closing `fd` removes the watch.
  std::error_code add(const Fd& fd, std::uint32_t events, Token token);
  std::error_code change(const Fd& fd, std::uint32_t events, Token token);

  /// Puts `token` on the ready list, for input that is already in memory and that epoll therefore does not report. The
  /// token is dispatched with events 0: in this iteration if epoll events are still being dispatched, otherwise in the
  /// next iteration, which does not wait for events.
  void make_ready(Token token) {
    assert(is_in_own_thread());
    ready_.push_back(token);
  }

  [[nodiscard]] Timers& timers() { return timers_; }
  /// Milliseconds of the monotonic clock, read once per iteration (step 2).
  [[nodiscard]] std::int64_t now() const { return now_; }

  /// Runs iterations until `stop` is called.
  void run(Handler& handler);
  /// Runs one iteration. Must always be called in the same thread. Throws std::system_error if epoll_wait fails.
  void run_once(Handler& handler);
  /// Makes `run` return after this iteration. Call it only in the loop's own thread.
  void stop() { is_stopped_ = true; }
  /// Makes the loop run an iteration even if nothing is ready. May be called from any thread.
  void wake();

 private:
  static constexpr int kMaxEvents = 512;
  static constexpr int kBusyWait = 1000;
  [[gnu::always_inline]] void dispatch(Handler& handler, Token token, std::uint32_t events);
  /// True in the thread that runs the loop. Before the first iteration it is true in every thread, so that any thread
  /// can set up the loop.
  [[nodiscard]] bool is_in_own_thread() const {
    return thread_ == std::thread::id() || thread_ == std::this_thread::get_id();
  }

  std::error_code error_;
  Fd epoll_;
  Fd wake_;
  std::int64_t now_;
  Timers timers_;
  std::vector<Token> ready_;
  std::vector<Token> dispatching_;
  std::thread::id thread_;  ///< the thread that runs the loop; empty before the first iteration
  int idle_calls_ = 0;
  bool is_stopped_ = false;
};

}  // namespace ws
