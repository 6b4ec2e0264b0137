// The session table: unique ids, and tokens that do not match a later session in the same slot.
#include "server/session/session_table.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <vector>

#include "server/http/router.h"
#include "server/session/session.h"

namespace ws {
namespace {

class SessionTableTest : public testing::Test {
 protected:
  /// A session on one end of a socket pair, in the table.
  EventLoop::Token put() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    peers.emplace_back(ends[1]);
    const EventLoop::Token token = table.next_token();
    table.put(std::make_unique<Session>(context, Fd(ends[0]), token, ConnectionCount::kNotCounted));
    return token;
  }

  Router router{{}, {}};
  Budgets budgets{Limits{}};
  SessionContext context{Limits{}, router, budgets};
  SessionTable table;
  std::vector<Fd> peers;
};

TEST_F(SessionTableTest, FindsASessionByItsToken) {
  const auto first = put();
  const auto second = put();
  ASSERT_NE(table.find(first), nullptr);
  EXPECT_EQ(table.find(first)->token().slot, first.slot);
  EXPECT_EQ(table.find(first)->token().generation, first.generation);
  EXPECT_NE(table.find(first), table.find(second));
  EXPECT_EQ(table.size(), 2U);
}

TEST_F(SessionTableTest, AssignsIncreasingIdsOfEightHexDigits) {
  EXPECT_EQ(table.find(put())->id().text(), "00000001");
  const auto second = put();
  EXPECT_EQ(table.find(second)->id().text(), "00000002");
  table.erase(second);
  EXPECT_EQ(table.find(put())->id().text(), "00000003") << "ids are not reused";
  EXPECT_EQ(SessionId(0xDEADBEEF).text(), "deadbeef");
}

TEST_F(SessionTableTest, ReusesASlotWithANewGeneration) {
  const auto gone = put();
  table.erase(gone);
  const auto next = put();
  EXPECT_EQ(next.slot, gone.slot);
  EXPECT_NE(next.generation, gone.generation);
  EXPECT_EQ(table.find(gone), nullptr) << "a stale token finds no session";
  EXPECT_NE(table.find(next), nullptr);
  table.erase(gone);
  EXPECT_EQ(table.size(), 1U) << "a stale token erases no session";
}

TEST_F(SessionTableTest, FindsNoSessionForAnUnknownToken) {
  EXPECT_EQ(table.find({0, 0}), nullptr);
  const auto only = put();
  EXPECT_EQ(table.find({only.slot, only.generation + 1}), nullptr);
  EXPECT_EQ(table.find({only.slot + 1, only.generation}), nullptr);
  EXPECT_EQ(table.find({UINT32_MAX, UINT32_MAX}), nullptr);
}

TEST_F(SessionTableTest, KeepsAllSessionsInOneDenseArray) {
  std::vector<EventLoop::Token> tokens;
  for (int i = 0; i < 50; ++i)
    tokens.push_back(put());
  // Erase at the front, at the back and in the middle; add sessions in between.
  for (const std::size_t leaver : {0U, 48U, 20U, 10U, 30U, 0U}) {
    table.erase(tokens[leaver]);
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(leaver));
    if (leaver % 20 == 0)
      tokens.push_back(put());
    std::set<const Session*> expected;
    for (const auto token : tokens) {
      ASSERT_NE(table.find(token), nullptr);
      expected.insert(table.find(token));
    }
    const std::set<const Session*> all(table.all().begin(), table.all().end());
    ASSERT_EQ(all, expected);
    ASSERT_EQ(table.size(), tokens.size());
  }
}

TEST_F(SessionTableTest, AssignsIdsThatDifferFromThoseOfOtherLoops) {
  SessionTable third(3, 4);  // the third of four loops
  const auto put_in_third = [&] {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    peers.emplace_back(ends[1]);
    const EventLoop::Token token = third.next_token();
    third.put(std::make_unique<Session>(context, Fd(ends[0]), token, ConnectionCount::kNotCounted));
    return token.generation;
  };
  EXPECT_EQ(put_in_third(), 3U);
  EXPECT_EQ(put_in_third(), 7U);
  EXPECT_EQ(put_in_third(), 11U);
}

TEST_F(SessionTableTest, RestartsTheIdsAfterAnOverflow) {
  // With such a stride the numbers overflow soon.
  constexpr std::uint32_t kStride = 1'500'000'000;
  SessionTable numbers(7, kStride);
  for (const std::uint32_t expected : {7U, 7U + kStride, 7U + 2 * kStride, 7U}) {
    const EventLoop::Token token = numbers.next_token();
    EXPECT_EQ(token.generation, expected);
    numbers.put(std::make_unique<Session>(context, Fd(), token, ConnectionCount::kNotCounted));
  }
}

}  // namespace
}  // namespace ws
