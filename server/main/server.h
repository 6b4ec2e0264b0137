// The server: its loops, each with a listener and sessions of its own, and the applications on their paths.
//
//      Server server({.address = ..., .limits = ...});
//      server.add("/mine", endpoint);
//      if (const auto error = server.listen()) ...
//      server.run();
//
// It stops in three steps: every new request is answered 503; every session is sent Close 1001; when the
// last of them is gone, or `stop_ms` is over, `run` returns.
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

struct Shared;

class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Maps `path` to `endpoint`, which must outlive the server. Before `listen`. A session calls it in the thread of its
  /// loop: with `threads` > 1 several may call it at the same time.
  void add(const std::string& path, Endpoint& endpoint);
  /// The same, with an endpoint for each loop, which is called in the thread of that loop alone.
  void add(const std::string& path, const std::function<std::unique_ptr<Endpoint>()>& make);
  /// Maps /echo, /echo/raw and /chat to the endpoints that wsd has there. Before `listen`.
  void add_echo_and_chat();
  /// Binds and listens; EADDRINUSE, EACCES, … if that fails.
  [[nodiscard]] std::error_code listen();
  /// Where it listens; the port that the kernel chose, if it was asked to.
  [[nodiscard]] const SocketAddress& address() const { return options_.address; }
  /// SIGINT and SIGTERM then stop the server, SIGUSR1 writes the session table to the log. The caller has
  /// blocked the three.
  [[nodiscard]] std::error_code handle_signals();

  /// Serves until it is stopped, with the first loop in the thread of the caller. Returns 0, or 128 + n if a second
  /// signal n ended it at once. With `has_affinity` each thread, the caller's too, stays on one of the processors that
  /// the caller may use, and gets the connections whose packets come in there. Throws std::system_error if there cannot
  /// be so many threads, or if epoll_wait fails: all loops then end at once.
  int run();
  /// Makes `run` stop. From any thread.
  void stop();

 private:
  ServerOptions options_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace ws
