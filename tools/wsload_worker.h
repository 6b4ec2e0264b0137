// One thread of wsload: its connections, and the loop that drives them. What they do once they are open is said by
// the class for each mode, derived from this one.
//
//      kConnecting ─▶ kUpgrading ─▶ kGreeting ─▶ kOpen ─▶ kClosing ─▶ kClosed
//
// kGreeting: a ping was sent, and what comes before its pong (the welcome of a chat, say) is passed over. When the
// pong is there the server has seen to all that comes with a new connection, and the load may begin.
//
// The loop is not the server's, which counts in milliseconds: a load at an offered rate has to leave at its
// microsecond. Its clock is read once an event.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocol/client/client_handshake.h"
#include "protocol/frame/connection.h"
#include "protocol/output.h"
#include "server/net/fd.h"
#include "tools/wsload_histogram.h"
#include "tools/wsload_messages.h"
#include "tools/wsload_plan.h"

namespace ws::load {

/// Nanoseconds of the monotonic clock.
using Nanoseconds = std::int64_t;
inline constexpr Nanoseconds kSecond = 1'000'000'000;
[[nodiscard]] Nanoseconds monotonic_now();

/// What the threads and the one that started them have in common.
class Stage {
 public:
  struct Times {
    Nanoseconds start = 0;  ///< of the load
    Nanoseconds begin = 0;  ///< of what is measured: the warm-up is over
    Nanoseconds end = 0;
  };

  /// For the threads: `open` connections more are ready.
  void add_open(std::size_t open) { open_.fetch_add(open, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t open() const { return open_.load(std::memory_order_relaxed); }
  /// A thread has opened all of its own, or done what a round asked of it. Returns the number of the next round.
  unsigned be_ready();
  /// Is it still to come?
  [[nodiscard]] bool is_awaited(unsigned round);
  /// Waits for its start. nullopt: there is none; the connections may be closed, or something failed.
  std::optional<Times> await_start(unsigned round);
  /// The first failure ends the run.
  void fail(const Failure& failure);
  [[nodiscard]] bool has_failed() const { return has_failed_.load(std::memory_order_relaxed); }

  /// For who started `threads`: waits until all are ready; throws the Failure of one that is not. `tick` is called
  /// now and then.
  template <typename Tick>
  void await_ready(unsigned threads, Tick tick);
  void start(const Times& times);
  /// Until `time`, or until all threads are ready again.
  template <typename Tick>
  void wait(Nanoseconds time, unsigned threads, Tick tick);
  /// If any thread failed.
  void throw_failure();
  /// Nothing is measured any more.
  void let_close();

 private:
  static constexpr std::chrono::milliseconds kTick{100};
  std::atomic<std::size_t> open_{0};
  std::atomic<bool> has_failed_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  [[nodiscard]] bool is_to_come(unsigned round) const {
    return round_ == round && !may_close_ && !failure_;
  }
  unsigned ready_ = 0;  ///< threads
  unsigned round_ = 0;  ///< rounds that were started
  bool may_close_ = false;
  Times times_;  ///< of the last of them
  std::optional<Failure> failure_;
};

class Worker {
 public:
  Worker(const Plan& plan, const Messages& messages, Stage& stage, unsigned number);
  virtual ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// The thread's work, from the first connect to the last close. Failures go to the stage.
  void run();

  /// Makes `turn` be called soon, or the start of a round be seen. From any thread.
  void wake() const;
  /// Answers so far (chat: deliveries; connect: connections), from any thread.
  [[nodiscard]] std::uint64_t answers() const { return answers_.load(std::memory_order_relaxed); }
  // When a round is over:
  /// CPU time that the thread took while it was measured.
  [[nodiscard]] Nanoseconds cpu() const { return cpu_; }
  [[nodiscard]] const Histogram& latencies() const { return latencies_; }
  /// How much later than intended messages left, at an offered rate.
  [[nodiscard]] const Histogram& lateness() const { return lateness_; }
  [[nodiscard]] std::uint64_t unanswered() const { return unanswered_; }

 protected:
  /// A connection while frames are parsed one by one: while it opens and closes, and where the server sends what is
  /// not the expected answer, byte by byte.
  struct Talk {
    explicit Talk(const ConnectionSettings& settings) : connection(settings) {}
    std::string head;  ///< what came of the answer to the upgrade
    std::array<std::byte, 16> nonce{};
    Output out;
    std::size_t out_sent = 0;
    Connection connection;
  };
  enum class State : std::uint8_t { kConnecting, kUpgrading, kGreeting, kOpen, kClosing, kClosed };
  struct Link {
    Fd fd;
    State state = State::kClosed;
    bool wants_write = false;
    std::uint32_t slot = 0;
    std::size_t number = 0;      ///< among those of all threads
    Nanoseconds since = 0;       ///< of the connect, or of the Close
    std::uint64_t due = 0;       ///< messages that are to have been sent
    std::uint64_t sent = 0;      ///< bytes of them that were
    std::uint64_t answered = 0;  ///< messages
    std::uint64_t position = 0;  ///< bytes that came of the next answer
    std::unique_ptr<Talk> talk;
  };

  /// A connection is open.
  virtual void opened(Link& /*link*/) {}
  /// A round begins: `times()` is set.
  virtual void begin() = 0;
  /// What came on a connection that is open.
  virtual void take(Link& link, std::span<std::byte> in, Nanoseconds now) = 0;
  /// There is room to send.
  virtual void send(Link& link) = 0;
  /// A connection has ended, after `close`.
  virtual void closed(Link& /*link*/) {}
  /// Called once a turn. Returns when it wants to be called again, at the latest.
  virtual Nanoseconds turn(Nanoseconds now) = 0;
  /// Is there nothing left to do?
  [[nodiscard]] virtual bool is_done(Nanoseconds now) = 0;
  /// Messages that are not answered, the time for that being over, go into the histogram or are a failure.
  virtual void give_up(Nanoseconds /*now*/) {}

  // For the modes:
  void connect(Link& link);
  void close(Link& link);
  /// Sends the bytes from `link.sent` to `end` of the stream that repeats `cycle`, and pongs between two frames. False if
  /// the socket is full; `send` will be called.
  bool send_cycle(Link& link, Messages::Bytes cycle, std::uint64_t first, std::uint64_t end);
  /// The next event of what is parsed frame by frame. A Close, and a broken rule, are failures.
  Event next_event(Link& link, std::span<std::byte>& in);
  void begin_talk(Link& link) { link.talk = std::make_unique<Talk>(settings_); }
  void add_answers(std::uint64_t count) {
    answers_.store(answers_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  /// An answer came, `now`, to what was sent or meant to be at `then`.
  void record(Nanoseconds then, Nanoseconds now, std::uint64_t count = 1) {
    if (then >= times_.begin && then < times_.end)
      latencies_.record(now - then, count);
  }
  [[noreturn]] static void fail(const Link& link, ExitCode code, const std::string& what);
  /// A failure unless `event` is a message (or pong) with the payload `wanted`.
  void check_answer(const Link& link, const Event& event, Messages::Bytes wanted) const;

  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] const Messages& messages() const { return messages_; }
  [[nodiscard]] const Stage::Times& times() const { return times_; }
  [[nodiscard]] unsigned number() const { return number_; }
  [[nodiscard]] std::vector<Link>& links() { return links_; }
  [[nodiscard]] const std::vector<Link>& links() const { return links_; }
  Histogram& lateness_to_record() { return lateness_; }
  void set_unanswered(std::uint64_t count) { unanswered_ = count; }
  /// The share of `whole` that falls to member `index` of `members`.
  static std::uint64_t share(std::uint64_t whole, std::size_t index, std::size_t members) {
    return whole / members + (index < whole % members ? 1 : 0);
  }

 private:
  void open_all();
  std::optional<Stage::Times> await_round();
  void load();
  void close_all();
  void wait(Nanoseconds until);
  void dispatch(Link& link, std::uint32_t events);
  void read(Link& link);
  void start_upgrade(Link& link);
  void take_head(Link& link, std::span<std::byte> in);
  void greet(Link& link, std::span<std::byte> in);
  void become_open(Link& link, std::span<std::byte> in);
  void take_closing(Link& link, std::span<std::byte> in);
  void end(Link& link);
  bool send_talk(Link& link);
  void watch(Link& link, bool wants_write);
  bool send_range(Link& link, Messages::Bytes cycle, std::uint64_t first, std::uint64_t end);
  void check_deadlines();

  const Plan& plan_;
  const Messages& messages_;
  Stage& stage_;
  unsigned number_;
  Fd epoll_;
  Fd wake_;
  ConnectionSettings settings_;
  ClientHandshake handshake_;
  std::vector<Link> links_;
  std::size_t open_ = 0;     ///< of links_
  std::size_t opening_ = 0;  ///< connecting, upgrading or greeting
  std::size_t closing_ = 0;
  Nanoseconds next_check_ = 0;  ///< of the deadlines
  Stage::Times times_;
  Nanoseconds cpu_ = 0;
  std::atomic<std::uint64_t> answers_{0};
  Histogram latencies_;
  Histogram lateness_;
  std::uint64_t unanswered_ = 0;
  std::vector<std::byte> buffer_;
};

template <typename Tick>
void Stage::await_ready(unsigned threads, Tick tick) {
  std::unique_lock lock(mutex_);
  while (ready_ < threads && !failure_) {
    changed_.wait_for(lock, kTick);
    lock.unlock();
    tick();
    lock.lock();
  }
  if (failure_)
    throw Failure(*failure_);
}

template <typename Tick>
void Stage::wait(Nanoseconds time, unsigned threads, Tick tick) {
  std::unique_lock lock(mutex_);
  for (Nanoseconds left = time - monotonic_now(); left > 0 && ready_ < threads && !failure_;
       left = time - monotonic_now()) {
    changed_.wait_for(lock,
                      std::min<std::chrono::nanoseconds>(kTick, std::chrono::nanoseconds(left)));
    lock.unlock();
    tick();
    lock.lock();
  }
  if (failure_)
    throw Failure(*failure_);
}

}  // namespace ws::load
