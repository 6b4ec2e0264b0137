// The backlog of a session: held input, queued output, and the budget that they use.
#include "server/session/backlog.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>

namespace ws {
namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(HeldInput, KeepsBytesUntilConsumedAndThenReturnsTheirBudget) {
  Budget budget(100);
  HeldInput input(budget);
  input.hold(bytes("abcdef"));
  EXPECT_FALSE(input.empty());
  EXPECT_EQ(budget.used(), 6U);
  input.consume(2);
  EXPECT_EQ(text_of(input.bytes()), "cdef");
  input.consume(4);
  EXPECT_TRUE(input.empty());
  EXPECT_EQ(budget.used(), 0U);
  input.hold(bytes("again"));
  EXPECT_EQ(text_of(input.bytes()), "again");
}

TEST(HeldInput, CanHoldItsOwnRemainder) {
  Budget budget(100);
  HeldInput input(budget);
  input.hold(bytes("abcdef"));
  input.consume(2);
  input.hold(input.bytes());
  EXPECT_EQ(text_of(input.bytes()), "cdef");
  EXPECT_EQ(budget.used(), 4U) << "only the held bytes are charged";
}

TEST(HeldInput, IsChargedEvenOverTheBudget) {
  Budget budget(4);
  {
    HeldInput input(budget);
    input.hold(bytes("abcdef"));
    EXPECT_EQ(text_of(input.bytes()), "abcdef");
    EXPECT_EQ(budget.room(), 0U);
    EXPECT_FALSE(budget.take(1)) << "nothing more can be charged";
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Backlog, IsEmptyOnlyWithoutQueuedOutputAndHeldInput) {
  Budget budget(10'000);
  Backlog backlog(budget);
  EXPECT_TRUE(backlog.empty());
  backlog.input.hold(bytes("in"));
  EXPECT_FALSE(backlog.empty());
  backlog.input.consume(2);
  EXPECT_TRUE(backlog.empty());
  Output out;
  out.append("out");
  EXPECT_TRUE(backlog.output.append(out, 0));
  EXPECT_FALSE(backlog.empty());
  backlog.output.consume(3);
  EXPECT_TRUE(backlog.empty());
}

}  // namespace
}  // namespace ws
