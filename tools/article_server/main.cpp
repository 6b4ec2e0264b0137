// article_server [PORT]: serves /echo on 127.0.0.1 with the delays of the article's server: 193 ms for the handshake,
// 8 ms for each message. The delays decide which ACKs the kernel sends separately (docs/12-reading-the-trace.md).
// Sleeping blocks the event loop; with one client at a time that is harmless.
#include <signal.h>

#include <charconv>
#include <chrono>
#include <iostream>
#include <string_view>
#include <thread>

#include "server/app/echo.h"
#include "server/main/server.h"

namespace {

class SlowEcho final : public ws::Endpoint {
 public:
  int admit(const ws::Opening&) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(193));
    return 101;
  }
  void message(ws::Session& session, ws::Opcode opcode, std::span<std::byte> payload) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(8));
    echo_.message(session, opcode, payload);
  }

 private:
  ws::Echo echo_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::string_view text = argc > 1 ? argv[1] : "8080";
  std::uint16_t port = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), port).ec != std::errc()) {
    std::cerr << "usage: article_server [PORT]\n";
    return 2;
  }
  sigset_t signals;  // blocked: the server reads them from a signalfd
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1})
    ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  SlowEcho echo;
  ws::Server server({.addresses = {*ws::SocketAddress::parse("127.0.0.1", port)}});
  server.add("/echo", echo);
  for (const auto error : {server.listen(), server.handle_signals()}) {
    if (error) {
      std::cerr << "article_server: cannot start: " << error.message() << '\n';
      return 1;
    }
  }
  std::cout << "listening on " << server.address().to_string() << std::endl;
  return server.run();
}
