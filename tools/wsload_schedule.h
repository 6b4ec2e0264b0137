// When messages are meant to leave, at an offered rate: evenly, the threads and their connections taking turns. It is
// arithmetic alone, so that nothing has to be kept for a message that is late: latency is counted from the intended time,
// however long the server, or wsload itself, kept it from being sent. Counted from the real one it would leave out
// just the time that a stalled server makes others wait ("coordinated omission").
#pragma once

#include <cmath>
#include <cstdint>

#include "tools/wsload_worker.h"

namespace ws::load {

class Schedule {
 public:
  Schedule() = default;
  /// Message k leaves at `start` + (k + `phase`) / `rate`; 0 <= `phase` < 1 keeps threads apart.
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
