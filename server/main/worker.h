// One loop of the server, with its listener, its sessions and their endpoints. Each loop runs in its own thread and a
// session stays in its loop, so sessions need no locks. All listeners have the same address; the kernel distributes the
// connections among them.
//
// The loops share `ServerState`. The parts of a room send batches to each other through mailboxes (server/app/room.h).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
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
#include "server/tls/tls_connection.h"
#include "server/tls/tls_context.h"

namespace ws {

class Worker;

/// The maximum of a number. Several loops may record values without a lock: if two do so at once, the lower value may
/// be stored, and a later call corrects it.
class Peak {
 public:
  /// `least`: the smallest maximum that counts as a peak.
  explicit Peak(std::size_t least) : least_(least) {}
  /// Records `value`. Returns true if a peak has passed: `value` is at most half of the maximum since `restart`.
  [[nodiscard]] bool has_passed(std::size_t value) {
    const std::size_t most = most_.load(std::memory_order_relaxed);
    if (value > most)
      most_.store(value, std::memory_order_relaxed);
    return most >= least_ && value <= most / 2;
  }
  void restart(std::size_t value) { most_ = value; }

 private:
  std::size_t least_;
  std::atomic<std::size_t> most_{0};
};

/// State that all loops of a server share. Any loop may use it at any time, unless a comment says otherwise.
struct ServerState {
  ServerState(const Limits& limits, std::size_t most_connections)
      : budgets(limits), connections(most_connections, limits.connections_per_address) {}
  /// ask_all calls Worker::ask on every worker; ask_others calls it on every worker except the first.
  void ask_all(unsigned what);
  void ask_others(unsigned what);

  /// Reads the certificate and the key; TLS connections that are accepted later use them. Returns an empty string, or why
  /// the files cannot be used: then those read before stay in use. Logs warnings.
  [[nodiscard]] std::string load_tls(const TlsOptions& options);
  /// Reads them again, after SIGHUP, and logs the result. Without TLS, only logs.
  void reload_tls();
  [[nodiscard]] std::shared_ptr<const TlsContext> tls() const {
    const std::lock_guard lock(tls_mutex_);
    return tls_;
  }

  Budgets budgets;
  ConnectionCount connections;
  ChatParts chat{};
  /// Number of loops that are not stopping yet, or still have a WebSocket. When it is 0, the listeners are closed.
  std::atomic<std::size_t> loops_with_websockets{0};
  // malloc_trim runs after a peak of at least this number of connections or of bytes held for them.
  Peak connections_peak{1024};
  Peak held_peak{std::size_t{256} * 1024};
  std::atomic<bool> is_trim_scheduled{false};  ///< one loop has set its `trim_timer_`
  int exit_status = 0;  ///< the first loop sets it; `run` reads it after all loops have ended
  std::vector<std::unique_ptr<Worker>> workers{};  ///< complete before a worker runs

 private:
  const std::shared_ptr<TicketKeys> tickets_ = std::make_shared<TicketKeys>();
  std::optional<TlsOptions> tls_options_;  ///< of the first load_tls; only the first loop uses it
  mutable std::mutex tls_mutex_;
  std::shared_ptr<const TlsContext> tls_;  ///< null: no TLS
};

class Worker final : private EventLoop::Handler {
 public:
  /// `shared.workers` must hold the workers that were created before this one: their number is the index of this one.
  Worker(ServerState& shared, const ServerOptions& options);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void add(std::string path, Endpoint& endpoint) { router_.add(std::move(path), endpoint); }
  void add(std::string path, std::unique_ptr<Endpoint> endpoint) {
    add(std::move(path), *endpoints_.emplace_back(std::move(endpoint)));
  }
  void add_echo_and_chat();
  /// Adds a listener; sets `address` to the address that it is bound to.
  /// `is_tls`: its connections use TLS.
  [[nodiscard]] std::error_code listen(SocketAddress& address, PortSharing sharing,
                                       bool is_tls = false);
  /// Called only for the first worker, which handles the signals for all workers.
  [[nodiscard]] std::error_code handle_signals();
  /// Binds the calling thread to one processor. Call it before `run`, in the same thread.
  void keep_to(int processor);
  void run();

  static constexpr unsigned kNothing = 0;  ///< only runs one iteration
  static constexpr unsigned kStop = 1;  ///< answers requests with 503, sends Close 1001 to sessions
  static constexpr unsigned kEnd = 2;   ///< makes run return after this iteration
  static constexpr unsigned kLogSessions = 4;  ///< logs the number of sessions and a line for each
  /// Requests one of these actions. May be called from any thread.
  void ask(unsigned what);

 private:
  bool on_ready(EventLoop::Token token, std::uint32_t events) override;
  void on_timer(TimerNode& node) override;
  void on_iteration_end() override;
  void on_busy_wait(EventLoop::Token token) override;

  /// Accepts waiting connections; returns false if there was none. Not inlined, because it is not called for messages.
  [[gnu::noinline]] bool accept_waiting(std::uint32_t listener);
  void admit(Fd fd, const SocketAddress& peer, bool is_tls);
  void on_out_of_descriptors(const Fd& listener, std::error_code error);
  void watch_listeners(std::uint32_t events);
  void listen_again();
  [[gnu::cold]] void on_signal();
  void answer(unsigned asked);
  void start_stopping();
  void stop_if_done();
  void close_listeners();
  void erase_ended();
  void schedule_trim();
  void trim_heap();
  void log_sessions() const;
  /// Returns the result of `act`. If `act` throws, ends only `session`.
  template <typename Act>
  auto guarded(Session& session, Act act) -> decltype(act());
  static void end_after_exception(Session& session, std::string_view why);

  struct Timer : TimerNode {};
  struct Listener {
    Fd fd;
    bool is_tls;
  };

  ServerState& shared_;
  bool is_first_;
  std::uint32_t stop_ms_;
  Router router_;
  std::unique_ptr<WireLog> wire_log_;  ///< null: no wire log
  SessionContext context_;
  SessionTable table_;
  Echo echo_;
  RawEcho raw_echo_;
  Chat chat_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;  ///< endpoints that only this loop uses
  std::unique_ptr<TlsBuffers> tls_buffers_;           ///< null: no TLS
  std::vector<Listener> listeners_;  ///< epoll reports listener i with {kListenerSlot, i}
  Fd spare_;                         ///< closed when descriptors run out: see on_out_of_descriptors
  Fd signals_;
  Timer listen_again_;  ///< set while the listeners are paused
  Timer stop_deadline_;
  Timer trim_timer_;                    ///< runs malloc_trim after a peak
  bool is_without_websockets_ = false;  ///< the loop is stopping and has no WebSocket
  std::atomic<unsigned> asked_{0};
};

}  // namespace ws
