// The server: a number of loops, each with its own listener and sessions, and the endpoints with their paths.
//
//      Server server({.address = ..., .limits = ...});
//      server.add("/mine", endpoint);
//      if (const auto error = server.listen()) ...
//      server.run();
//
// Stopping: each new request is answered 503, each open session is sent Close 1001, and `run` returns when all sessions
// have ended or after `stop_ms`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <system_error>

#include "server/main/options.h"
#include "server/net/address.h"
#include "server/session/endpoint.h"
#include "server/session/session.h"

namespace ws {

struct ServerState;

class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Maps `path` to `endpoint`, which must outlive the server. Before `listen`. Sessions call it in the threads of
  /// their loops: with `threads` > 1, several threads at the same time.
  void add(const std::string& path, Endpoint& endpoint);
  /// The same with one endpoint per loop, created by `make` and called only in the thread of that loop.
  void add(const std::string& path, const std::function<std::unique_ptr<Endpoint>()>& make);
  /// Adds the endpoints of wsd: /echo, /echo/raw and /chat. Before `listen`.
  void add_echo_and_chat();
  /// Binds and listens; returns EADDRINUSE, EACCES, … on failure.
  [[nodiscard]] std::error_code listen();
  /// The address that it listens on, with the port that the kernel chose if the option was 0.
  [[nodiscard]] const SocketAddress& address() const { return options_.address; }
  /// Makes SIGINT and SIGTERM stop the server, and SIGUSR1 log the sessions. The caller must have blocked all three.
  [[nodiscard]] std::error_code handle_signals();

  /// Serves until it is stopped; the first loop runs in the thread of the caller. Returns 0, or 128 + n if a second
  /// signal n ended it at once. With `has_affinity`, each thread, the caller's included, stays on one of the processors
  /// that the caller may use, and gets the connections whose packets that processor handles. Throws std::system_error
  /// if a thread cannot be started or epoll_wait fails: all loops then end at once.
  int run();
  /// Stops the server as described above, without waiting for it. From any thread.
  void stop();

 private:
  ServerOptions options_;
  std::unique_ptr<ServerState> shared_;
};

}  // namespace ws
