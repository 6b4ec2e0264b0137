// The server: one listener, one loop, its sessions, and the applications on their paths.
//
//      Server server({.address = ..., .limits = ...});
//      if (const auto error = server.listen()) ...
//      server.run();
//
// It stops in three steps: every new request is answered 503; every session is sent Close 1001; when the
// last of them is gone, or `stop_ms` is over, `run` returns.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "protocol/limits.h"
#include "server/chat.h"
#include "server/echo.h"
#include "server/event_loop.h"
#include "server/fd.h"
#include "server/router.h"
#include "server/session.h"
#include "server/session_table.h"
#include "server/socket.h"
#include "server/wire_log.h"

namespace ws {

struct ServerOptions {
  SocketAddress address{};
  std::vector<std::string> allowed_origins{};  ///< empty: all
  std::vector<std::string> subprotocols{};
  Limits limits{};
  DeflateSettings deflate{};
  WireDetail wire_log = WireDetail::kOff;  ///< written to the log at level info
};

class Server final : private EventLoop::Handler {
 public:
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Maps `path` to `endpoint`, which must outlive the server. Before `listen`.
  void add(std::string path, Endpoint& endpoint) { router_.add(std::move(path), endpoint); }
  /// Binds and listens; EADDRINUSE, EACCES, … if that fails.
  [[nodiscard]] std::error_code listen();
  /// Where it listens; the port that the kernel chose, if it was asked to.
  [[nodiscard]] const SocketAddress& address() const { return options_.address; }
  /// SIGINT and SIGTERM then stop the server, SIGUSR1 writes the session table to the log. The caller has
  /// blocked the three.
  [[nodiscard]] std::error_code handle_signals();

  /// Serves until it is stopped. Returns 0, or 128 + n if a second signal n ended it at once.
  int run();
  /// Makes `run` stop. From any thread.
  void stop();

 private:
  bool on_ready(EventLoop::Token token, std::uint32_t events) override;
  void on_timer(TimerNode& node) override;
  void on_turn_end() override;
  void on_busy_wait(EventLoop::Token token) override;

  [[gnu::noinline]] bool accept_waiting();
  void admit(Fd fd, const SocketAddress& peer);
  void on_descriptors_spent(std::error_code error);
  void listen_again();
  [[gnu::cold]] void on_signal();
  void start_stopping();
  void stop_if_done();
  void bury_the_dead();
  void watch_memory();
  void give_back();
  void log_sessions() const;
  /// Calls `act` for a session; what it throws ends that session alone.
  template <typename Act>
  auto guarded(Session& session, Act act) -> decltype(act());
  static void end(Session& session, std::string_view why);

  struct Timer : TimerNode {};

  ServerOptions options_;
  std::size_t max_sessions_;
  Router router_;
  std::unique_ptr<WireLog> wire_log_;
  SessionContext context_;
  Echo echo_;
  RawEcho raw_echo_;
  Chat chat_;
  /// Those that have sessions, if these are limited; else empty.
  std::unordered_map<std::string, std::uint32_t> addresses_;
  SessionTable table_;
  std::size_t most_sessions_ = 0;  ///< at a time, since memory was last given back
  std::size_t most_held_ = 0;      ///< bytes, likewise
  Fd listener_;
  Fd spare_;  ///< given up for a moment when descriptors run out
  Fd signals_;
  Timer listen_again_;  ///< set while the listener is paused
  Timer stop_deadline_;
  Timer give_back_;  ///< set when much memory has become free
  std::atomic<bool> is_stop_asked_{false};
  int exit_status_ = 0;
};

}  // namespace ws
