// When memory runs out, one session ends; the server and all other sessions go on.
//
// A test repeats a small chat, each time with another allocation of the server that fails. A broadcast at the end
// checks that the room is still intact.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <thread>

#include "server/main/server.h"
#include "server/net/mailbox.h"
#include "server/session/backlog.h"
#include "tests/support/client.h"

namespace {

/// Number of allocations in the server's threads before one fails; negative: none fails.
std::atomic<long> allocations_left{-1};
thread_local bool is_server_thread = true;  ///< false in the test's own thread

}  // namespace

// These replace the operators of the whole program; see tests/protocol/out_of_memory_test.cpp.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (is_server_thread && allocations_left >= 0 && allocations_left-- == 0)
    throw std::bad_alloc();
  if (void* p = std::malloc(size == 0 ? 1 : size))
    return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t /*size*/) noexcept {
  std::free(p);
}
[[gnu::noinline]] void* operator new[](std::size_t size) {
  return ::operator new(size);
}
[[gnu::noinline]] void operator delete[](void* p) noexcept {
  ::operator delete(p);
}
[[gnu::noinline]] void operator delete[](void* p, std::size_t /*size*/) noexcept {
  ::operator delete(p);
}

namespace ws {
namespace {

constexpr unsigned kTextFrame = 0x81;

/// Counts its open sessions, without allocations.
class Counting final : public Endpoint {
 public:
  void opened(Session&, const Opening&) override { ++opened_; }
  void message(Session&, Opcode, std::span<std::byte>) override {}
  void closed(Session&, const Ending&) override { ++closed_; }
  [[nodiscard]] int open() const { return opened_ - closed_; }

 private:
  std::atomic<int> opened_{0};
  std::atomic<int> closed_{0};
};

/// A client of /chat that has received the welcome message, unless its session has ended.
test::RawClient join(const Server& server) {
  test::RawClient client(server.address());
  client.send(test::upgrade_request("/chat"));
  client.receive_until("chat!");
  return client;
}

/// Returns when the server has handled the earlier input, even if it has no memory for an answer.
void wait_for_turn(const Server& server) {
  test::RawClient client(server.address());
  client.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  client.receive_all();
}

std::ptrdiff_t count_threads() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return std::distance(begin(threads), end(threads));
}

/// Runs the chat; the allocation after the first `allocations` fails. True if the chat needed no more.
bool play(long allocations, WireDetail wire_log, unsigned threads = 1) {
  is_server_thread = false;
  Counting counting;
  Server server({.addresses = {*SocketAddress::parse("127.0.0.1", 0)},
                 .threads = threads,
                 .wire_log = wire_log});
  server.add("/counting", counting);
  server.add_echo_and_chat();
  EXPECT_FALSE(server.listen());
  const auto threads_before = count_threads();
  std::thread thread([&] { server.run(); });
  bool was_enough = false;
  {
    test::RawClient first = join(server);
    // One loop may serve `first` while run() still starts another, which needs memory.
    while (count_threads() < threads_before + static_cast<std::ptrdiff_t>(threads))
      std::this_thread::yield();
    allocations_left = allocations;
    {
      // Head and message arrive in two parts, so that the server must buffer them.
      test::RawClient second(server.address());
      const std::string request = test::upgrade_request("/chat");
      second.send(request.substr(0, 40));
      test::RawClient third = join(server);
      second.send(request.substr(40));
      second.receive_until("chat!");
      second.send(test::client_frame(0x01, "to "));
      third.send(test::client_frame(kTextFrame, "said"));
      wait_for_turn(server);
      second.send(test::client_frame(0x80, "all"));
      wait_for_turn(server);
      test::RawClient counted(server.address());
      counted.send(test::upgrade_request("/counting"));
      counted.receive_until("\r\n\r\n");
      counted.reset();
      second.reset();
    }
    test::RawClient fourth = join(server);
    was_enough = allocations_left.exchange(-1) >= 0;
    test::RawClient fifth = join(server);
    test::RawClient last = join(server);
    last.send(test::client_frame(kTextFrame, "still here?"));
    EXPECT_TRUE(fifth.receive_until("here?").ends_with("Broadcast: still here?")) << allocations;
    for (test::RawClient* const client : {&first, &fourth}) {
      const std::string heard = client->receive_until("here?");
      EXPECT_TRUE(heard.ends_with("here?") || client->has_ended())
          << "neither a member nor closed, allocation " << allocations;
    }
  }
  server.stop();
  thread.join();
  EXPECT_EQ(counting.open(), 0) << "closed() must follow every opened(), allocation "
                                << allocations;
  return was_enough;
}

/// True if `act` throws when the first of its allocations fails.
template <typename Act>
bool fails(Act act) {
  is_server_thread = true;
  allocations_left = 0;
  bool has_thrown = false;
  try {
    act();
  } catch (const std::bad_alloc&) {
    has_thrown = true;
  }
  allocations_left = -1;
  is_server_thread = false;
  return has_thrown;
}

TEST(ServerOutOfMemory, LeavesABlockAndItsBudgetUnchanged) {
  Budget budget(1'000'000);
  {
    Block block(budget);
    EXPECT_TRUE(fails([&] { EXPECT_TRUE(block.reserve(1000)); }));
    EXPECT_EQ(budget.used(), 0U);
    EXPECT_TRUE(block.reserve(500));
    const std::string bytes(500, 'x');
    EXPECT_FALSE(fails([&] { block.append(std::as_bytes(std::span(bytes))); }))
        << "the space was reserved";
    EXPECT_TRUE(fails([&] { EXPECT_TRUE(block.reserve(1000)); }));
    EXPECT_EQ(budget.used(), 500U);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(ServerOutOfMemory, LeavesHeldInputAndItsBudgetUnchanged) {
  Budget budget(1'000'000);
  {
    HeldInput input(budget);
    const std::string bytes(500, 'x');
    input.hold(std::as_bytes(std::span(bytes)));
    EXPECT_TRUE(fails([&] { input.hold(std::as_bytes(std::span(bytes))); }));
    EXPECT_EQ(input.bytes().size(), 500U);
    EXPECT_EQ(budget.used(), 500U);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(ServerOutOfMemory, ForwardsAFullMailboxWithoutAllocating) {
  EventLoop loop;
  Mailbox<int> from(loop, 40'960);
  Mailbox<int> to(loop, 40'960);
  while (from.has_space(loop))
    from.post(1, 0);
  for (int sender = 0; sender < 64; ++sender)
    from.post(1, 0);
  for (int i = 0; i < 9; ++i)
    to.post(1, 0);
  EXPECT_TRUE(to.has_space(loop));
  EXPECT_FALSE(fails([&] { from.take([&](int mail) { to.post(mail, 0); }); }));
}

// [6455-7.4.1-1011]
TEST(ServerOutOfMemory, EndsAtMostOneSessionAndNeverTheServer) {
  long allocations = 0;
  while (!play(allocations, WireDetail::kOff) && !HasFailure())
    ++allocations;
  EXPECT_GT(allocations, 20) << "heads, sessions, messages and outboxes are allocated";
}

TEST(ServerOutOfMemory, EndsAtMostOneSessionWithSeveralLoops) {
  // The kernel distributes the clients among the loops, so the number of allocations varies.
  long allocations = 0;
  while (!play(allocations, WireDetail::kOff, 3) && !HasFailure())
    ++allocations;
  EXPECT_GT(allocations, 20);
}

TEST(ServerOutOfMemory, EndsAtMostOneSessionWithTheWireLogOn) {
  // Most allocations are in the log: every seventh is enough.
  long allocations = 0;
  while (!play(allocations, WireDetail::kHex) && !HasFailure())
    allocations += 7;
  EXPECT_GT(allocations, 300) << "the log's lines are allocated";
}

}  // namespace
}  // namespace ws
