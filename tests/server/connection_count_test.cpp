// Connection limits: at the limit, over it, and with several threads.
#include "server/session/connection_count.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace ws {
namespace {

using Verdict = ConnectionCount::Verdict;

TEST(ConnectionCount, RefusesAFewConnectionsOverTheLimitAndDropsTheOthers) {
  ConnectionCount count(10, 0);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(count.enter("a").verdict, Verdict::kWelcome) << i;
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(count.enter("b").verdict, Verdict::kFull) << i;
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(count.enter("c").verdict, Verdict::kTooMany) << "dropped and not counted";
  for (int i = 0; i < 33; ++i)
    count.leave(ConnectionCount::kNotCounted);
  EXPECT_EQ(count.enter("d").verdict, Verdict::kWelcome);
  EXPECT_EQ(count.enter("d").verdict, Verdict::kFull);
}

TEST(ConnectionCount, LimitsTheConnectionsOfEachAddress) {
  ConnectionCount count(100, 2);
  const auto first = count.enter("a");
  EXPECT_EQ(first.verdict, Verdict::kWelcome);
  EXPECT_EQ(count.enter("a").verdict, Verdict::kWelcome);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(count.enter("a").verdict, Verdict::kFull) << i;
  EXPECT_EQ(count.enter("a").verdict, Verdict::kTooMany);
  EXPECT_EQ(count.enter("b").verdict, Verdict::kWelcome);
  for (int i = 0; i < 5; ++i)
    count.leave(first.address);
  EXPECT_EQ(count.enter("a").verdict, Verdict::kWelcome);
  EXPECT_EQ(count.enter("a").verdict, Verdict::kFull);
}

TEST(ConnectionCount, DoesNotCountDroppedConnectionsOfAnAddress) {
  ConnectionCount count(6, 1);
  for (int i = 0; i < 5; ++i)
    EXPECT_NE(count.enter("a").verdict, Verdict::kTooMany) << i;
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(count.enter("a").verdict, Verdict::kTooMany) << i;
  EXPECT_EQ(count.enter("b").verdict, Verdict::kWelcome) << "the sixth connection in total";
  EXPECT_EQ(count.enter("c").verdict, Verdict::kFull);
}

TEST(ConnectionCount, ReusesTheEntryOfAnAddressWithoutConnections) {
  ConnectionCount count(100, 1);
  const auto first = count.enter("a");
  const auto second = count.enter("b");
  count.leave(first.address);
  const auto third = count.enter("c");
  EXPECT_EQ(third.verdict, Verdict::kWelcome);
  EXPECT_EQ(third.address, first.address);
  EXPECT_EQ(count.enter("a").verdict, Verdict::kWelcome) << "its count starts at 0 again";
  EXPECT_EQ(count.enter("b").verdict, Verdict::kFull);
  count.leave(second.address);
}

TEST(ConnectionCount, CountsTheConnectionsOfAllAddressesInTheTotal) {
  ConnectionCount count(3, 2);
  std::vector<ConnectionCount::Address> addresses;
  for (const char* const host : {"a", "b", "c"})
    addresses.push_back(count.enter(host).address);
  EXPECT_EQ(count.enter("d").verdict, Verdict::kFull)
      << "although its address has no connection yet";
  count.leave(addresses[1]);
  count.leave(addresses[2]);
  EXPECT_EQ(count.enter("b").verdict, Verdict::kWelcome);
}

TEST(ConnectionCount, DoesNotExceedTheLimitWithSeveralThreads) {
  constexpr std::size_t kMost = 1000;
  constexpr std::size_t kOfAddress = 300;
  ConnectionCount count(kMost, kOfAddress);
  std::atomic<std::size_t> welcome{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 2000; ++j) {
        const auto entry = count.enter(std::string(1, static_cast<char>('a' + j % 5)));
        if (entry.verdict == Verdict::kWelcome)
          ++welcome;
        if (entry.verdict == Verdict::kFull)
          count.leave(entry.address);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(welcome, kMost);
}

}  // namespace
}  // namespace ws
