// Limits how often one kind of line is logged, so that peers cannot fill the log. Each loop has its own limit: it is
// not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/log/log.h"

namespace ws {

class LogLimit {
 public:
  static constexpr std::uint32_t kLines = 10;
  static constexpr std::int64_t kIntervalMs = 10'000;

  /// `what`: names the lines in the report, for example "failed sessions". It must outlive this object.
  LogLimit(LogLevel level, std::string_view what) : level_(level), what_(what) {}

  /// Returns true if the caller may log its line: for at most kLines lines in kIntervalMs. Otherwise counts the line as
  /// left out; the caller must then call `report` at `end`. `now`: milliseconds of a monotonic clock.
  [[nodiscard]] bool allows(std::int64_t now) {
    if (now >= end_) {
      report();
      end_ = now + kIntervalMs;
      lines_ = 0;
    }
    if (lines_ < kLines) {
      ++lines_;
      return true;
    }
    ++left_out_;
    return false;
  }
  /// The end of the current interval.
  [[nodiscard]] std::int64_t end() const { return end_; }
  /// Logs how many lines were left out since the last report, if any. Call it at `end` and at shutdown.
  void report() {
    if (left_out_ == 0)
      return;
    log(level_, {"Log limit: ", std::to_string(left_out_), " more lines about ", what_,
                 " were left out (at most ", std::to_string(kLines), " in ",
                 std::to_string(kIntervalMs / 1000), " s for each loop)"});
    left_out_ = 0;
  }

 private:
  LogLevel level_;
  std::string_view what_;
  std::int64_t end_ = INT64_MIN;
  std::uint32_t lines_ = 0;  ///< logged in the current interval
  std::uint64_t left_out_ = 0;
};

}  // namespace ws
