// The server: a number of loops, each with its own listener and sessions, and the endpoints with their paths.
//
//      Server server({.addresses = {...}, .limits = ...});
//      server.add("/mine", endpoint);
//      if (const auto error = server.listen()) ...
//      server.run();
//
// While the server stops, it answers new requests with 503 and sends Close 1001 to open sessions. `run` returns when
// all sessions have ended, or after `stop_ms`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

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

  /// Maps `path` to `endpoint`, which must outlive the server. Call `add` before `listen`. Sessions call the endpoint
  /// in the threads of their loops. If `threads` > 1, several threads may call the endpoint at the same time.
  void add(const std::string& path, Endpoint& endpoint);
  /// Maps `path` to one endpoint per loop, which `make` creates. Call `add` before `listen`. Each endpoint is called
  /// only in the thread of its loop.
  void add(const std::string& path, const std::function<std::unique_ptr<Endpoint>()>& make);
  /// Adds the endpoints of wsd: /echo, /echo/raw and /chat. Call it before `listen`.
  void add_echo_and_chat();
  /// Reads the TLS certificate and key of the options. Returns an empty string, or why they cannot be used, in one line.
  /// Call it before `listen`, if the options have TLS.
  [[nodiscard]] std::string load_tls();
  /// Binds and listens on all addresses: on the plain port, the TLS port or both. Skips, with a warning, addresses that
  /// this machine does not have. EPERM if the options have TLS and load_tls was not called; `failed` is then not set. On
  /// failure returns EADDRINUSE, EACCES, …, and stores the address in `failed`, unless it is null.
  [[nodiscard]] std::error_code listen(SocketAddress* failed = nullptr);
  /// The addresses of the plain listeners, after `listen`; empty if `has_plain` is false. Their port is the one that the
  /// kernel chose if the options had port 0.
  [[nodiscard]] const std::vector<SocketAddress>& addresses() const { return options_.addresses; }
  /// The addresses of the TLS listeners, after `listen`. Empty without TLS.
  [[nodiscard]] const std::vector<SocketAddress>& tls_addresses() const { return tls_addresses_; }
  /// The first of `addresses`. Requires a plain listener.
  [[nodiscard]] const SocketAddress& address() const { return addresses().front(); }
  /// Makes SIGINT and SIGTERM stop the server, SIGUSR1 log the sessions, and SIGHUP read the TLS certificate and key again
  /// (without TLS it is logged and ignored). The caller must have blocked these signals.
  [[nodiscard]] std::error_code handle_signals();

  /// Serves until the server is stopped; the first loop runs in the thread of the caller. Returns 0, or 128 plus the
  /// signal number if a second signal ended the server immediately. With `has_affinity`, each thread, including the
  /// caller's, stays on one of the processors that the caller may use, and gets the connections whose packets this
  /// processor handles. If a thread cannot be started or epoll_wait fails, ends all loops immediately and throws
  /// std::system_error.
  int run();
  /// Starts to stop the server as described at the top of this file, and returns immediately. May be called from any
  /// thread.
  void stop();

 private:
  std::error_code listen_on(std::vector<SocketAddress>& addresses, bool is_tls,
                            SocketAddress* failed);
  std::error_code listen_on_all_loops(SocketAddress& address, bool is_tls);

  ServerOptions options_;
  std::vector<SocketAddress> tls_addresses_;
  std::unique_ptr<ServerState> shared_;
};

}  // namespace ws
