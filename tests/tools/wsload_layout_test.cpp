// Numbers and places of connections that are spread unevenly over the threads.
#include "tools/wsload/layout.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace {

using ws::load::Layout;

TEST(Layout, NumbersConnectionsRoundRobin) {
  const Layout layout({3, 1, 0, 2});
  EXPECT_TRUE(layout.is_known());
  EXPECT_EQ(layout.total(), 6);
  EXPECT_EQ(layout.of(3), 2);
  const std::vector<std::pair<unsigned, std::size_t>> wanted = {{0, 0}, {1, 0}, {3, 0},
                                                                {0, 1}, {3, 1}, {0, 2}};
  const auto places = layout.first(6);
  ASSERT_EQ(places.size(), 6);
  for (std::size_t number = 0; number < 6; ++number) {
    EXPECT_EQ(places[number].thread, wanted[number].first) << number;
    EXPECT_EQ(places[number].slot, wanted[number].second) << number;
    EXPECT_EQ(layout.number(wanted[number].first, wanted[number].second), number);
  }
}

TEST(Layout, GivesThePlacesOfTheFirstConnections) {
  const Layout layout({2, 2});
  ASSERT_EQ(layout.first(3).size(), 3);
  EXPECT_EQ(layout.first(3)[2].slot, 1);
  EXPECT_TRUE(layout.first(0).empty());
}

TEST(Layout, CountsTheThreadsThatHaveConnections) {
  const Layout layout({0, 4, 0, 1});
  EXPECT_EQ(layout.busy_threads(), 2);
  EXPECT_EQ(layout.busy_before(0), 0);
  EXPECT_EQ(layout.busy_before(1), 0);
  EXPECT_EQ(layout.busy_before(2), 1);
  EXPECT_EQ(layout.busy_before(3), 1);
}

TEST(Layout, IsUnknownWithoutThreads) {
  EXPECT_FALSE(Layout().is_known());
  EXPECT_EQ(Layout({0, 0}).total(), 0);
}

}  // namespace
