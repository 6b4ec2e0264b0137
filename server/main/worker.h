// One loop of the server, and what belongs to it: a listener, the sessions that come by it, and the applications'
// endpoints for them. With several loops each runs in a thread of its own, and a session belongs to one of them for
// life: it needs no lock. The kernel deals the connections out among the listeners, which have one address.
//
// What the loops share is in `Shared`, and in the parts of the rooms (server/app/room.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "server/app/chat.h"
#include "server/app/echo.h"
#include "server/http/router.h"
#include "server/inspect/wire_log.h"
#include "server/main/options.h"
#include "server/net/event_loop.h"
#include "server/net/fd.h"
#include "server/net/socket.h"
#include "server/session/connection_count.h"
#include "server/session/session.h"
#include "server/session/session_table.h"

namespace ws {

class Worker;

/// What all loops of one server share. Any of them may use it at any time, if nothing else is said.
struct Shared {
  Shared(const Limits& limits, std::size_t most_connections)
      : budgets(limits), connections(most_connections, limits.connections_per_address) {}
  /// See Worker::ask. The others are all but the first.
  void ask_all(unsigned what);
  void ask_others(unsigned what);

  Budgets budgets;
  ConnectionCount connections;
  ChatParts chat{};
  std::atomic<std::size_t> with_websockets{0};  ///< loops that stop, or will, and still have some
  int exit_status = 0;  ///< the first loop sets it, `run` reads it when all have ended
  std::vector<std::unique_ptr<Worker>> workers{};  ///< all of them, before the first runs
};

class Worker final : private EventLoop::Handler {
 public:
  /// `shared.workers` has those before this one.
  Worker(Shared& shared, const ServerOptions& options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void add(std::string path, Endpoint& endpoint) { router_.add(std::move(path), endpoint); }
  void add(std::string path, std::unique_ptr<Endpoint> endpoint) {
    add(std::move(path), *endpoints_.emplace_back(std::move(endpoint)));
  }
  void add_echo_and_chat();
  /// Adds a listener; sets `address` to where it listens.
  [[nodiscard]] std::error_code listen(SocketAddress& address, PortSharing sharing);
  /// The first one does it for all.
  [[nodiscard]] std::error_code handle_signals();
  /// Before `run`, in its thread: keeps to one processor.
  void keep_to(int processor);
  void run();

  static constexpr unsigned kNothing = 0;      ///< only runs an iteration
  static constexpr unsigned kStop = 1;         ///< starts stopping: 503, Close 1001
  static constexpr unsigned kEnd = 2;          ///< makes run return after this iteration
  static constexpr unsigned kLogSessions = 4;  ///< how many it has, and each on a line
  /// Asks for one of these. From any thread.
  void ask(unsigned what);

 private:
  bool on_ready(EventLoop::Token token, std::uint32_t events) override;
  void on_timer(TimerNode& node) override;
  void on_iteration_end() override;
  void on_busy_wait(EventLoop::Token token) override;

  /// Out of line, since it is not on the path of a message.
  [[gnu::noinline]] bool accept_waiting(std::uint32_t listener);
  void admit(Fd fd, const SocketAddress& peer);
  void on_out_of_descriptors(const Fd& listener, std::error_code error);
  void watch_listeners(std::uint32_t events);
  void listen_again();
  [[gnu::cold]] void on_signal();
  void answer(unsigned asked);
  void start_stopping();
  void stop_if_done();
  void close_listeners();
  void erase_ended();
  void watch_memory();
  void give_back();
  void log_sessions() const;
  /// Calls `act` for a session; what it throws ends that session alone.
  template <typename Act>
  auto guarded(Session& session, Act act) -> decltype(act());
  static void end_after_exception(Session& session, std::string_view why);

  struct Timer : TimerNode {};

  Shared& shared_;
  bool is_first_;
  std::uint32_t stop_ms_;
  Router router_;
  std::unique_ptr<WireLog> wire_log_;  ///< null: what crosses is not logged
  SessionContext context_;
  SessionTable table_;
  Echo echo_;
  RawEcho raw_echo_;
  Chat chat_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;  ///< those that were made for this loop
  std::size_t most_sessions_ = 0;  ///< at a time, since memory was last given back
  std::size_t most_held_ = 0;      ///< bytes of all loops, likewise
  std::vector<Fd> listeners_;      ///< each with its index as the generation of its token
  Fd spare_;                       ///< given up for a moment when descriptors run out
  Fd signals_;
  Timer listen_again_;  ///< set while the listeners are paused
  Timer stop_deadline_;
  Timer give_back_;                     ///< set when much memory has become free
  bool is_without_websockets_ = false;  ///< while it stops
  std::atomic<unsigned> asked_{0};
};

}  // namespace ws
