// A histogram of latencies in constant memory, like Gil Tene's HdrHistogram: the bucket width grows with the value,
// which limits the error to 0.1 % from nanoseconds to an hour.
//
//      0, 1, 2, … 2047                  width 1: exact
//      2048, 2050, … 4094               width 2
//      4096, 4100, … 8188               width 4, and so on: 1024 buckets for each further power of two
//
// Minimum, maximum and mean are exact.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ws::load {

class Histogram {
 public:
  /// 73 minutes in nanoseconds. Larger values are recorded as this one, negative values as 0.
  static constexpr std::int64_t kMost = (std::int64_t{1} << 42U) - 1;

  Histogram() : counts_(bucket_of(kMost) + 1) {}

  void record(std::int64_t value, std::uint64_t count = 1) {
    const auto bounded = static_cast<std::uint64_t>(std::clamp<std::int64_t>(value, 0, kMost));
    counts_[bucket_of(bounded)] += count;
    count_ += count;
    least_ = std::min(least_, bounded);
    greatest_ = std::max(greatest_, bounded);
    sum_ += static_cast<double>(bounded) * static_cast<double>(count);
  }
  void add(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      counts_[i] += other.counts_[i];
    count_ += other.count_;
    least_ = std::min(least_, other.least_);
    greatest_ = std::max(greatest_, other.greatest_);
    sum_ += other.sum_;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  // All of these return 0 if the histogram is empty.
  [[nodiscard]] std::uint64_t least() const { return count_ == 0 ? 0 : least_; }
  [[nodiscard]] std::uint64_t greatest() const { return greatest_; }
  [[nodiscard]] double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
  /// The smallest value that the share `quantile` (0 to 1) of all values does not exceed. Rounded up to the end of its
  /// bucket (by 0.1 % at most), so that no latency is reported too low.
  [[nodiscard]] std::uint64_t at(double quantile) const {
    const double wanted = std::ceil(quantile * static_cast<double>(count_));
    const auto rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen >= rank)
        return std::min(last_of(i), greatest_);
    }
    return greatest_;
  }

 private:
  static constexpr unsigned kBits = 11;  ///< significant bits kept of a value
  static constexpr std::size_t kHalf = std::size_t{1} << (kBits - 1);

  static std::size_t bucket_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > kBits ? width - kBits : 0;
    return shift * kHalf + static_cast<std::size_t>(value >> shift);
  }
  /// The largest value in a bucket.
  static std::uint64_t last_of(std::size_t bucket) {
    const std::size_t shift = bucket < 2 * kHalf ? 0 : bucket / kHalf - 1;
    return ((std::uint64_t{bucket - shift * kHalf} + 1) << shift) - 1;
  }

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t least_ = UINT64_MAX;
  std::uint64_t greatest_ = 0;
  double sum_ = 0;
};

}  // namespace ws::load
