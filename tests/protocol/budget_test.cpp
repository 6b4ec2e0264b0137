// Budgets, and the charges of their holders.
#include "protocol/budget.h"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

namespace ws::test {
namespace {

TEST(Budget, CountsTheBytesOfAPartInTheWholeToo) {
  Budget whole(10);
  Budget part(6, &whole);
  EXPECT_FALSE(part.take(7)) << "over its own limit";
  EXPECT_EQ(whole.used(), 0U);
  EXPECT_TRUE(part.take(4));
  EXPECT_EQ(whole.used(), 4U);
  EXPECT_TRUE(whole.take(5));
  EXPECT_FALSE(part.take(2)) << "over the limit of the whole";
  EXPECT_EQ(part.used(), 4U);
  part.force(2);
  EXPECT_EQ(whole.used(), 11U);
  part.give(6);
  EXPECT_EQ(part.used(), 0U);
  EXPECT_EQ(whole.used(), 5U);
}

TEST(Budget, RefusesToExceedItsLimit) {
  // [6455-10.4-LIMITS]
  Budget budget(10);
  EXPECT_TRUE(budget.take(4));
  EXPECT_FALSE(budget.take(7)) << "N + 1";
  EXPECT_EQ(budget.used(), 4U) << "a refused call takes nothing";
  EXPECT_GT(budget.room(), 0U);
  EXPECT_TRUE(budget.take(6)) << "N";
  EXPECT_EQ(budget.room(), 0U);
  EXPECT_TRUE(budget.take(0));
  budget.force(5);  // already in memory: exceeds the limit
  EXPECT_EQ(budget.used(), 15U);
  EXPECT_FALSE(budget.take(1));
  EXPECT_FALSE(budget.take(std::numeric_limits<std::size_t>::max())) << "no overflow";
  budget.give(6);
  EXPECT_TRUE(budget.take(1));
  EXPECT_EQ(budget.used(), 10U);
}

TEST(Charge, GrowsWithinTheLimitAndGivesBackItsBytesWhenDestroyed) {
  Budget budget(10);
  {
    Charge charge(&budget);
    EXPECT_TRUE(charge.grow_to(10)) << "N";
    EXPECT_FALSE(charge.grow_to(11)) << "N + 1";
    EXPECT_EQ(charge.size(), 10U) << "a refused call takes nothing";
    EXPECT_EQ(budget.used(), 10U);
    EXPECT_TRUE(charge.grow_to(3)) << "the charge is larger already";
    EXPECT_EQ(charge.size(), 10U);
    charge.shrink_to(4);
    EXPECT_EQ(charge.size(), 4U);
    EXPECT_EQ(budget.used(), 4U);
    charge.shrink_to(5);
    EXPECT_EQ(budget.used(), 4U) << "shrink_to never takes";
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Charge, CanBeForcedOverTheLimit) {
  Budget budget(10);
  {
    Charge charge(&budget);
    charge.force_to(12);
    EXPECT_EQ(charge.size(), 12U);
    EXPECT_EQ(budget.used(), 12U);
    charge.force_to(11);
    EXPECT_EQ(budget.used(), 12U) << "force_to never gives back";
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Charge, ReturnsItsBytesOnceAfterAMove) {
  Budget budget(10);
  {
    Charge charge(&budget);
    EXPECT_TRUE(charge.grow_to(7));
    Charge moved(std::move(charge));
    EXPECT_EQ(moved.size(), 7U);
    EXPECT_EQ(budget.used(), 7U);
    moved.shrink_to(3);
    EXPECT_EQ(budget.used(), 3U);
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Charge, HasNoLimitWithoutABudget) {
  Charge charge(nullptr);
  EXPECT_TRUE(charge.grow_to(std::numeric_limits<std::size_t>::max()));
  charge.shrink_to(5);
  charge.force_to(6);
  EXPECT_EQ(charge.size(), 6U);
}

}  // namespace
}  // namespace ws::test
