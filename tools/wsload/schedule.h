// Open loop: computes when each message is due, at equal intervals, round-robin over threads and their connections.
// Nothing is stored per message.
//
// Latency counts from the due time, even if the server or wsload delays the sending. Counted from the time of sending,
// it would omit the time that messages wait for a stalled server ("coordinated omission").
#pragma once

#include <cmath>
#include <cstdint>

#include "tools/wsload/worker.h"

namespace ws::load {

class Schedule {
 public:
  Schedule() = default;
  /// Message k is due at `start` + (k + `phase`) / `rate`. Threads use different values of `phase`, 0 <= `phase` < 1.
  Schedule(Nanoseconds start, double rate, double phase)
      : start_(start), interval_(static_cast<double>(kSecond) / rate), phase_(phase) {}

  [[nodiscard]] Nanoseconds at(std::uint64_t k) const {
    return start_ + std::llround((static_cast<double>(k) + phase_) * interval_);
  }

 private:
  Nanoseconds start_ = 0;
  double interval_ = 0;
  double phase_ = 0;
};

}  // namespace ws::load
