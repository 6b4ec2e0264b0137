// Timers with a clock that the test controls.
#include "server/net/timers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace ws {
namespace {

struct Node : TimerNode {};

constexpr std::int64_t kStart = 1'234'567;

/// Advances from one wakeup to the next until `until`. Returns the time at which each node fired.
std::map<const TimerNode*, std::int64_t> run(Timers& timers, std::int64_t now, std::int64_t until) {
  std::map<const TimerNode*, std::int64_t> fired;
  while (now < until) {
    const int wait = timers.wait_ms(now);
    now = wait < 0 ? until : std::min(until, now + wait);
    timers.advance(now, [&](const TimerNode& node) { fired[&node] = now; });
  }
  return fired;
}

TEST(Timers, FireInTheExactMillisecondOnEveryWheel) {
  // Within a slot, at the edges of each wheel, and beyond the last.
  constexpr std::int64_t kDelays[] = {
      1,      2,       63,      64,      65,         100,        4095,       4096,       4097,
      10'000, 262'143, 262'144, 300'000, 16'777'215, 16'777'216, 16'777'217, 100'000'000};
  constexpr std::int64_t kStarts[] = {0, kStart, 4096, 16'777'215};
  for (const std::int64_t delay : kDelays) {
    for (const std::int64_t start : kStarts) {
      Timers timers(start);
      Node node;
      timers.set(node, start + delay);
      EXPECT_TRUE(node.is_set());
      const auto fired = run(timers, start, start + delay + 10);
      ASSERT_EQ(fired.size(), 1U) << delay;
      EXPECT_EQ(fired.at(&node), start + delay) << delay << " from " << start;
      EXPECT_FALSE(node.is_set());
    }
  }
}

TEST(Timers, FireInTheNextAdvanceIfTheyAreLate) {
  Timers timers(kStart);
  Node past;
  Node present;
  timers.set(past, kStart - 1000);
  timers.set(present, kStart);
  EXPECT_EQ(timers.wait_ms(kStart), 0);
  EXPECT_EQ(run(timers, kStart - 1, kStart).size(), 2U);
}

TEST(Timers, FireOnceWhenTheClockHasJumped) {
  Timers timers(kStart);
  std::vector<std::unique_ptr<Node>> nodes;
  for (int i = 0; i < 1000; ++i) {
    nodes.push_back(std::make_unique<Node>());
    timers.set(*nodes.back(), kStart + i * 37);
  }
  int fired = 0;
  timers.advance(kStart + 1'000'000, [&](TimerNode&) { ++fired; });
  EXPECT_EQ(fired, 1000);
  EXPECT_EQ(timers.wait_ms(kStart + 1'000'000), -1) << "no timer is left";
}

TEST(Timers, DoNotFireOrWakeTheLoopWhenCancelled) {
  Timers timers(kStart);
  Node node;
  timers.set(node, kStart + 100);
  timers.cancel(node);
  EXPECT_FALSE(node.is_set());
  timers.cancel(node);
  EXPECT_EQ(timers.wait_ms(kStart), -1);
  EXPECT_TRUE(run(timers, kStart, kStart + 1000).empty());
}

TEST(Timers, FireOnlyAtTheNewTimeWhenSetAgain) {
  Timers timers(kStart);
  Node later;
  Node earlier;
  timers.set(later, kStart + 10);
  timers.set(later, kStart + 5000);
  timers.set(earlier, kStart + 5000);
  timers.set(earlier, kStart + 10);
  EXPECT_EQ(Timers::deadline(later), kStart + 5000);
  const auto fired = run(timers, kStart, kStart + 10'000);
  EXPECT_EQ(fired.at(&later), kStart + 5000);
  EXPECT_EQ(fired.at(&earlier), kStart + 10);
}

TEST(Timers, CanBeSetAndCancelledWhileOthersFire) {
  Timers timers(kStart);
  Node first;
  Node second;
  Node again;
  timers.set(first, kStart + 5);
  timers.set(second, kStart + 5);
  int fired = 0;
  timers.advance(kStart + 5, [&](TimerNode& node) {
    ++fired;
    timers.cancel(&node == &first ? second : first);  // due in the same millisecond
    timers.set(again, kStart + 6);
  });
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(run(timers, kStart + 5, kStart + 100).at(&again), kStart + 6);
}

TEST(Timers, FireImmediatelyWhenSetForThePastWhileOthersFire) {
  Timers timers(kStart);
  Node first;
  Node late;
  timers.set(first, kStart + 5);
  std::vector<const TimerNode*> fired;
  timers.advance(kStart + 5, [&](const TimerNode& node) {
    fired.push_back(&node);
    if (&node == &first)
      timers.set(late, kStart - 1);
  });
  EXPECT_EQ(fired, (std::vector<const TimerNode*>{&first, &late}));
  EXPECT_EQ(timers.wait_ms(kStart + 5), -1);
}

TEST(Timers, WakeTheirLoopAtMostOncePerWheel) {
  // 59,999 ms are on the third wheel; 10 hours are more than two revolutions of the last wheel.
  const struct {
    std::int64_t delay;
    int wakings;
  } kRows[] = {{63, 1}, {4000, 2}, {59'999, 3}, {10'000'000, 4}, {36'000'000, 6}};
  for (const auto& row : kRows) {
    Timers timers(kStart);
    Node node;
    timers.set(node, kStart + row.delay);
    int wakings = 0;
    for (std::int64_t now = kStart; node.is_set(); ++wakings) {
      ASSERT_GT(timers.wait_ms(now), 0) << "no wakeup without work";
      now += timers.wait_ms(now);
      timers.advance(now, [](TimerNode&) {});
    }
    EXPECT_LE(wakings, row.wakings) << row.delay;
  }
}

TEST(Timers, FireLikeASortedListForRandomOperations) {
  std::mt19937 random(6455);
  const auto below = [&](std::int64_t limit) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(limit));
  };
  std::int64_t now = kStart;
  Timers timers(now);
  std::vector<std::unique_ptr<Node>> nodes;
  for (int i = 0; i < 200; ++i)
    nodes.push_back(std::make_unique<Node>());
  std::map<const TimerNode*, std::int64_t> expected;
  for (int step = 0; step < 20'000; ++step) {
    Node& node = *nodes[static_cast<std::size_t>(below(200))];
    if (below(4) == 0) {
      timers.cancel(node);
      expected.erase(&node);
    } else {
      const std::int64_t deadline = now + (below(2) == 0 ? below(200) : below(20'000'000));
      timers.set(node, deadline);
      expected[&node] = deadline;
    }
    std::int64_t next = INT64_MAX;
    for (const auto& [_, deadline] : expected)
      next = std::min(next, deadline);
    const int wait = timers.wait_ms(now);
    ASSERT_EQ(wait < 0, expected.empty());
    ASSERT_LE(now + wait, std::max(next, now)) << "the wait must not exceed a deadline";
    now += below(10) == 0 ? below(1'000'000) : below(50);
    timers.advance(now, [&](const TimerNode& fired) {
      ASSERT_TRUE(expected.contains(&fired));
      ASSERT_LE(expected[&fired], now) << "no timer may fire early";
      expected.erase(&fired);
    });
    for (const auto& [_, deadline] : expected)
      ASSERT_GT(deadline, now) << "an overdue timer did not fire";
  }
}

}  // namespace
}  // namespace ws
