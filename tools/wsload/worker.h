// One thread of wsload: its connections and its event loop. A derived class for each mode sends the load on open
// connections and checks the answers.
//
//      kConnecting ─▶ kUpgrading ─▶ kGreeting ─▶ kOpen ─▶ kClosing ─▶ kClosed
//
// A connection that fails before kOpen is counted with its reason, and the run goes on with the others. A later failure
// ends the run.
//
// kGreeting: a ping was sent. Messages before its pong (such as the welcome of a chat) are ignored; the pong shows that
// the server has finished opening the connection, so that the load may begin.
//
// The server's event loop is not used, since its timers have a resolution of milliseconds: an offered rate needs
// microseconds. The clock is read once per event.
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
#include "protocol/deflate/deflate.h"
#include "protocol/frame/connection.h"
#include "protocol/output.h"
#include "server/net/fd.h"
#include "tools/wsload/histogram.h"
#include "tools/wsload/layout.h"
#include "tools/wsload/messages.h"
#include "tools/wsload/plan.h"
#include "tools/wsload/reasons.h"

namespace ws::load {

/// A time of CLOCK_MONOTONIC, or a duration, in nanoseconds.
using Nanoseconds = std::int64_t;
inline constexpr Nanoseconds kSecond = 1'000'000'000;
[[nodiscard]] Nanoseconds monotonic_now();

/// Coordinates the worker threads and the main thread: counts open connections, starts rounds, collects failures.
class Stage {
 public:
  explicit Stage(unsigned threads) : open_of_threads_(threads) {}

  struct Times {
    Nanoseconds start = 0;  ///< of the load
    Nanoseconds begin = 0;  ///< of the measurement, after the warm-up
    Nanoseconds end = 0;    ///< of the load and the measurement
  };

  // For the workers:
  /// Adds to the number of open connections.
  void add_open(std::size_t open) { open_.fetch_add(open, std::memory_order_relaxed); }
  [[nodiscard]] std::size_t open() const { return open_.load(std::memory_order_relaxed); }
  /// Reports how many connections `thread` has opened; to be called before the first `be_ready`.
  void set_open(unsigned thread, std::size_t open);
  /// The open connections of all threads. Complete when all workers were ready once.
  [[nodiscard]] Layout layout();
  /// Reports that a worker has opened its connections, or finished a round. Returns the number of the next round.
  unsigned be_ready();
  /// Whether `round` has not started yet, and may still start.
  [[nodiscard]] bool is_awaited(unsigned round);
  /// Waits for the start of `round`. nullopt: there are no more rounds, or a worker has failed.
  std::optional<Times> await_start(unsigned round);
  /// Records a failure, which ends the run. Only the first one is kept.
  void fail(const Failure& failure);
  [[nodiscard]] bool has_failed() const { return has_failed_.load(std::memory_order_relaxed); }

  // For the main thread:
  /// Waits until `threads` workers are ready, and calls `tick` about every 100 ms. Throws the Failure of a worker.
  template <typename Tick>
  void await_ready(unsigned threads, Tick tick);
  /// Starts the next round.
  void start(const Times& times);
  /// Waits until `time`, or until `threads` workers are ready again. `tick` and exceptions as above.
  template <typename Tick>
  void wait(Nanoseconds time, unsigned threads, Tick tick);
  /// Throws the Failure of a worker, if there is one.
  void throw_failure();
  /// Ends the rounds: the workers close their connections.
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
  unsigned ready_ = 0;  ///< workers that are ready for the next round
  unsigned round_ = 0;  ///< rounds started so far
  bool may_close_ = false;
  Times times_;  ///< of the last round that was started
  std::vector<std::size_t> open_of_threads_;
  std::optional<Failure> failure_;
};

class Worker {
 public:
  Worker(const Plan& plan, const Messages& messages, Stage& stage, unsigned number);
  virtual ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// The thread's function, from the first connect to the last close. Reports failures to the stage.
  void run();

  /// Wakes the loop, so that it calls `turn` or notices the start of a round. May be called from any thread.
  void wake() const;
  /// Answers so far (chat: deliveries; connect: connections). May be called from any thread.
  [[nodiscard]] std::uint64_t answers() const { return answers_.load(std::memory_order_relaxed); }
  // Valid when the worker is ready:
  /// Why connections did not open.
  [[nodiscard]] const Reasons& not_opened() const { return not_opened_; }
  // Valid after a round:
  /// CPU time of the thread during the measurement.
  [[nodiscard]] Nanoseconds cpu() const { return cpu_; }
  [[nodiscard]] const Histogram& latencies() const { return latencies_; }
  /// Open loop: how late messages were sent.
  [[nodiscard]] const Histogram& lateness() const { return lateness_; }
  [[nodiscard]] std::uint64_t unanswered() const { return unanswered_; }

 protected:
  /// State for parsing frames: exists while a connection opens or closes, and when the bytes received differ from the
  /// expected answers. With permessage-deflate it exists always.
  struct Talk {
    explicit Talk(const ConnectionSettings& settings) : connection(settings) {}
    std::string failures;  ///< why each address tried so far has failed
    std::string head;      ///< the received part of the handshake response
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
    std::uint8_t address = 0;  ///< index in the plan's addresses
    std::uint8_t tried = 0;    ///< number of addresses that failed
    std::uint32_t slot = 0;
    std::size_t number = 0;  ///< unique among all threads
    Nanoseconds since = 0;   ///< start of the connect to this address, or of the closing handshake
    std::uint64_t due = 0;   ///< messages due so far
    std::uint64_t sent = 0;  ///< position in the stream of messages (Messages::Stream)
    std::uint64_t answered = 0;  ///< messages answered
    std::uint64_t position = 0;  ///< bytes received of the next answer
    std::unique_ptr<Talk> talk;
  };

  /// Called when a connection has opened.
  virtual void opened(Link& /*link*/) {}
  /// Called when a connection has failed to open.
  virtual void not_opened(Link& /*link*/) {}
  /// Called at the start of a round; `times()` is set.
  virtual void begin() = 0;
  /// Called with bytes received on an open connection.
  virtual void take(Link& link, std::span<std::byte> in, Nanoseconds now) = 0;
  /// What `link` sends.
  [[nodiscard]] virtual Messages::Stream stream(const Link& /*link*/) const {
    return messages_.stream(0);
  }
  /// Sends what is due. Called when the socket becomes writable.
  virtual void send(Link& link) = 0;
  /// Called when a connection has ended after `close`.
  virtual void closed(Link& /*link*/) {}
  /// Called in each loop iteration. Returns the latest time for the next call.
  virtual Nanoseconds turn(Nanoseconds now) = 0;
  /// Whether the round is finished.
  [[nodiscard]] virtual bool is_done(Nanoseconds now) = 0;
  /// Increases with each answer, delivery or failed connection. --timeout runs while it does not change.
  [[nodiscard]] virtual std::uint64_t progress() const { return answers() + not_opened_.total(); }
  /// Called after --timeout. Open loop: records unanswered messages in the histogram. Closed loop: throws Failure if a
  /// connection of this thread has unanswered messages. Returns whether the round is over.
  virtual bool give_up(Nanoseconds now) = 0;

  // For the derived classes:
  void connect(Link& link);
  void close(Link& link);
  /// Sends `stream` from `link.sent` to `end`; sends queued pongs between two frames. Returns false if the socket is
  /// full; `send` is called when it is writable again.
  bool send_stream(Link& link, const Messages::Stream& stream, std::uint64_t end);
  /// Parses the next event from `in`. Fails the connection for a Close or a protocol violation.
  Event next_event(Link& link, std::span<std::byte>& in);
  /// Frees `link.talk`, unless it is needed to decompress later messages.
  void end_talk(Link& link) {
    if (!plan_.compresses())
      link.talk.reset();
  }
  void begin_talk(Link& link) { link.talk = std::make_unique<Talk>(settings_); }
  void add_answers(std::uint64_t count) {
    answers_.store(answers_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
  }
  /// Records the latency of an answer received at `now` to a message sent, or due, at `then`. Ignores messages outside
  /// of the measurement.
  void record(Nanoseconds then, Nanoseconds now, std::uint64_t count = 1) {
    if (then >= times_.begin && then < times_.end)
      latencies_.record(now - then, count);
  }
  /// Fails the connection. If it had opened, this ends the run; otherwise it is counted as not opened.
  [[noreturn]] static void fail(const Link& link, ExitCode code, const std::string& what);
  /// Fails the connection unless `event` is a message (idle: a pong) with the payload `wanted`.
  void check_answer(const Link& link, const Event& event, Messages::Bytes wanted) const;

  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] const Messages& messages() const { return messages_; }
  [[nodiscard]] const Stage::Times& times() const { return times_; }
  /// All open connections (connect: all connections).
  [[nodiscard]] const Layout& layout() const { return layout_; }
  [[nodiscard]] unsigned number() const { return number_; }
  [[nodiscard]] std::vector<Link>& links() { return links_; }
  [[nodiscard]] const std::vector<Link>& links() const { return links_; }
  Histogram& lateness_to_record() { return lateness_; }
  void set_unanswered(std::uint64_t count) { unanswered_ = count; }
  /// The number of connections of `thread`.
  static std::size_t links_of(const Plan& plan, unsigned thread) {
    return (plan.connections - thread + plan.threads - 1) / plan.threads;
  }
  /// The part for member `index` when `whole` is divided evenly among `members`.
  static std::uint64_t share(std::uint64_t whole, std::size_t index, std::size_t members) {
    return whole / members + (index < whole % members ? 1 : 0);
  }

 private:
  /// Thrown if a connection fails to open.
  struct NotOpened {
    std::string reason;
  };
  [[nodiscard]] static bool is_opening(const Link& link);
  void open_all();
  void remove_closed();
  void adapt_to_open();
  std::optional<Stage::Times> await_round();
  void load();
  void close_all();
  void wait(Nanoseconds until);
  void dispatch(Link& link, std::uint32_t events);
  void handle(Link& link, std::uint32_t events);
  void give_up_opening(Link& link, std::string reason);
  void try_addresses(Link& link);
  void record_failed_address(Link& link, const std::string& why);
  void check_deadline(Link& link, Nanoseconds now);
  void read(Link& link);
  void start_upgrade(Link& link);
  void handle_head(Link& link, std::span<std::byte> in);
  void use_deflate(Link& link, std::optional<DeflateParameters> agreed);
  void greet(Link& link, std::span<std::byte> in);
  void become_open(Link& link, std::span<std::byte> in);
  void handle_closing(Link& link, std::span<std::byte> in);
  void end(Link& link);
  bool send_talk(Link& link);
  void watch(Link& link, bool wants_write);
  bool send_range(Link& link, Messages::Bytes cycle, std::uint64_t end);
  void check_deadlines();

  Plan plan_;  ///< a copy, which is adapted to the number of connections that open
  const Messages& messages_;
  Stage& stage_;
  unsigned number_;
  Fd epoll_;
  Fd wake_;
  DeflatePool deflate_;
  ConnectionSettings settings_;
  ClientHandshake handshake_;
  std::vector<Link> links_;
  Layout layout_;
  Reasons not_opened_;
  std::uint8_t preferred_ = 0;  ///< the address that accepted the last connection; tried first
  std::size_t open_ = 0;        ///< links that are open or closing
  std::size_t opening_ = 0;     ///< links that are connecting, upgrading or greeting
  std::size_t closing_ = 0;
  Nanoseconds next_check_ = 0;  ///< when to check deadlines again
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
