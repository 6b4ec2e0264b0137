// How a worker of wsload counts its messages, on two connections to a server that echoes bytes.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <thread>
#include <vector>

#include "tools/wsload/echo.h"

namespace {

using namespace ws::load;

/// Accepts two connections and echoes what it receives, until both have ended.
class EchoServer {
 public:
  EchoServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    EXPECT_EQ(::listen(listener_.get(), 2), 0);
    for (int i = 0; i < 2; ++i)
      threads_.emplace_back([this] { echo(); });
  }
  [[nodiscard]] ws::SocketAddress address() const { return ws::local_address(listener_); }

 private:
  void echo() const {
    const ws::Fd connection(::accept(listener_.get(), nullptr, nullptr));
    std::array<char, 4096> buffer;
    for (;;) {
      const ssize_t size = ::read(connection.get(), buffer.data(), buffer.size());
      if (size <= 0)
        return;
      EXPECT_EQ(
          ::send(connection.get(), buffer.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL),
          size);
    }
  }

  ws::Fd listener_;
  std::vector<std::jthread> threads_;
};

TEST(EchoWorker, SendsAllMessagesOfARateAlthoughItsThreadStartsAfterTheEnd) {
  const EchoServer server;
  Plan plan;
  plan.is_tcp = true;
  plan.addresses = {server.address()};
  plan.connections = 2;
  plan.rate = 1000;
  plan.outstanding = UINT64_MAX;
  const Messages messages(plan);
  Stage stage(1);
  EchoWorker worker(plan, messages, stage, 0);
  const std::jthread thread([&worker] { worker.run(); });
  stage.await_ready(1, [] {});
  const Nanoseconds now = monotonic_now();
  stage.start({.start = now - 2 * kSecond, .begin = now - 2 * kSecond, .end = now - kSecond});
  worker.wake();
  stage.wait(INT64_MAX, 1, [] {});
  EXPECT_EQ(worker.answers(), 1000);
  EXPECT_EQ(worker.latencies().count(), 1000);
  EXPECT_EQ(worker.lateness().count(), 1000);
  EXPECT_GE(worker.latencies().least(), 1'000'000'000);  // they were due at least one second ago
  EXPECT_EQ(worker.unanswered(), 0);
  stage.let_close();
}

}  // namespace
