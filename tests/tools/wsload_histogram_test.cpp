// Compares the histogram with the sorted list of all values.
#include "tools/wsload/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using ws::load::Histogram;

/// The exact quantile of all values. `sorted` is not empty.
std::uint64_t exact(const std::vector<std::int64_t>& sorted, double quantile) {
  const auto rank =
      static_cast<std::size_t>(std::ceil(quantile * static_cast<double>(sorted.size())));
  return static_cast<std::uint64_t>(sorted[std::max<std::size_t>(rank, 1) - 1]);
}

constexpr double kQuantiles[] = {0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1};

void expect_like(const Histogram& histogram, std::vector<std::int64_t> values) {
  std::ranges::sort(values);
  ASSERT_EQ(histogram.count(), values.size());
  EXPECT_EQ(histogram.least(), static_cast<std::uint64_t>(values.front()));
  EXPECT_EQ(histogram.greatest(), static_cast<std::uint64_t>(values.back()));
  double sum = 0;
  for (const std::int64_t value : values)
    sum += static_cast<double>(value);
  EXPECT_NEAR(histogram.mean(), sum / static_cast<double>(values.size()), sum * 1e-12);
  for (const double quantile : kQuantiles) {
    const std::uint64_t is = histogram.at(quantile);
    const std::uint64_t was = exact(values, quantile);
    EXPECT_GE(is, was) << "quantile " << quantile;
    EXPECT_LE(static_cast<double>(is), static_cast<double>(was) * (1 + 1.0 / 1024))
        << "quantile " << quantile;
  }
}

/// Values spread evenly over the powers of two below 2^`bits`.
std::vector<std::int64_t> spread(std::size_t count, unsigned bits, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::int64_t> values(count);
  for (std::int64_t& value : values)
    value = static_cast<std::int64_t>(random() >> (64 - 1 - random() % bits));
  return values;
}

TEST(HistogramTest, QuantilesAreExactToOnePartInAThousand) {
  for (const unsigned bits : {1U, 5U, 11U, 12U, 20U, 41U}) {
    for (const std::size_t count : {1U, 2U, 99U, 100U, 101U, 20'000U}) {
      Histogram histogram;
      const std::vector<std::int64_t> values = spread(count, bits, bits * 1000 + count);
      for (const std::int64_t value : values)
        histogram.record(value);
      expect_like(histogram, values);
    }
  }
}

TEST(HistogramTest, RecordsValuesAroundEachPowerOfTwo) {
  for (unsigned bit = 0; bit < 42; ++bit) {
    for (const std::int64_t by : {-1, 0, 1}) {
      const std::int64_t value =
          std::clamp<std::int64_t>((std::int64_t{1} << bit) + by, 0, Histogram::kMost);
      Histogram histogram;
      histogram.record(value);
      expect_like(histogram, {value});
    }
  }
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (std::int64_t value = 2047; value >= 0; --value)
    histogram.record(value);
  for (std::uint64_t value = 0; value < 2048; ++value)
    EXPECT_EQ(histogram.at(static_cast<double>(value + 1) / 2048), value);
}

TEST(HistogramTest, RecordsAValueSeveralTimesInOneCall) {
  Histogram histogram;
  histogram.record(5, 3);
  histogram.record(1'000'000);
  expect_like(histogram, {5, 5, 5, 1'000'000});
}

TEST(HistogramTest, AddMergesTwoHistograms) {
  std::vector<std::int64_t> values = spread(1000, 30, 1);
  const std::vector<std::int64_t> more = spread(500, 12, 2);
  Histogram one;
  Histogram other;
  for (const std::int64_t value : values)
    one.record(value);
  for (const std::int64_t value : more)
    other.record(value);
  one.add(other);
  values.insert(values.end(), more.begin(), more.end());
  expect_like(one, values);
  one.add(Histogram());
  expect_like(one, values);
}

TEST(HistogramTest, ClampsValuesOutOfRange) {
  Histogram histogram;
  histogram.record(INT64_MIN);
  histogram.record(INT64_MAX);
  EXPECT_EQ(histogram.least(), 0U);
  EXPECT_EQ(histogram.greatest(), static_cast<std::uint64_t>(Histogram::kMost));
  EXPECT_EQ(histogram.at(1), static_cast<std::uint64_t>(Histogram::kMost));
}

TEST(HistogramTest, ReturnsZerosIfItIsEmpty) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.least(), 0U);
  EXPECT_EQ(histogram.greatest(), 0U);
  EXPECT_EQ(histogram.at(0.5), 0U);
  EXPECT_EQ(histogram.mean(), 0);
}

}  // namespace
