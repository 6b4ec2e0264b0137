// The epoll loop: readiness in, callbacks out. One loop a thread; a descriptor belongs to one loop.
//
// Level-triggered, because it forgives: a handler may read one buffer and return, and epoll reports again
// that there is more. Edge-triggered would save no call here (a session reads once an iteration), and would
// need a list of the sessions that were not read to the end.
//
// An iteration has five steps: 1. wait; 2. read the clock, once; 3. dispatch what is ready; 4. run the timers
// that are due; 5. end the iteration: send what is corked, erase ended sessions.
//
// An event carries a token (slot and generation), not a pointer: the event of a session that ended earlier in
// the same batch is found stale, and no event reaches the next session on a reused slot.
#pragma once

#include <cassert>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

#include "server/net/fd.h"
#include "server/net/timers.h"

namespace ws {

/// So many may work together: what one of them hands to others has room for that.
inline constexpr unsigned kMostLoops = 64;

class EventLoop {
 public:
  struct Token {
    std::uint32_t slot;
    std::uint32_t generation;
  };
  /// Slots of tokens that are no session's: all from kFirstReserved on.
  static constexpr std::uint32_t kWakeSlot = UINT32_MAX;          ///< the loop's own
  static constexpr std::uint32_t kListenerSlot = UINT32_MAX - 1;  ///< generation: which listener
  static constexpr std::uint32_t kSignalSlot = UINT32_MAX - 2;
  static constexpr std::uint32_t kFirstReserved = kSignalSlot;

  /// Who is told. `on_ready` returns false if it could do nothing with what it was told: a thousand such
  /// calls on end are a busy wait, and reported.
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

  /// Set if the kernel has no epoll instance to give, or no event descriptor: then it must not run.
  [[nodiscard]] std::error_code error() const { return error_; }

  /// Watches `fd` for `events`: EPOLLIN, EPOLLOUT, both, or 0 (errors and hang-ups alone). An error, ENOSPC or ENOMEM, if
  /// the kernel has no memory for it or allows no more. Closing `fd` ends it.
  std::error_code add(const Fd& fd, std::uint32_t events, Token token);
  std::error_code change(const Fd& fd, std::uint32_t events, Token token);

  /// Puts `token` on the ready list: it is dispatched with events 0, after the events of this iteration if these are
  /// being dispatched, else in the next one, which does not wait. For input that is already in memory: epoll does not
  /// report it.
  void make_ready(Token token) {
    assert(is_in_own_thread());
    ready_.push_back(token);
  }

  [[nodiscard]] Timers& timers() { return timers_; }
  /// Milliseconds of the monotonic clock, read once in each iteration (step 2).
  [[nodiscard]] std::int64_t now() const { return now_; }

  /// Runs iterations until `stop`.
  void run(Handler& handler);
  /// Runs one iteration, in the thread that runs all of them. Throws std::system_error if epoll_wait fails.
  void run_once(Handler& handler);
  /// Makes `run` return after this iteration. In the loop's own thread.
  void stop() { is_stopped_ = true; }
  /// Makes the loop run an iteration even if nothing is ready. From any thread.
  void wake();

 private:
  static constexpr int kMaxEvents = 512;
  static constexpr int kBusyWait = 1000;
  [[gnu::always_inline]] void dispatch(Handler& handler, Token token, std::uint32_t events);
  /// Before the first iteration every thread may set up the loop.
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
  std::thread::id thread_;  ///< the one that runs it; none before the first iteration
  int idle_calls_ = 0;
  bool is_stopped_ = false;
};

}  // namespace ws
