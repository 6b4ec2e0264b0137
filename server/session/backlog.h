// What waits in a session: output that the socket did not accept, and input that was read and is handled later. It
// exists only while there is one of them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "protocol/budget.h"
#include "server/session/deadlines.h"
#include "server/session/outbox.h"

namespace ws {

/// Input that is handled later: after backpressure, after Session::release, or after the other sessions of this
/// iteration. Charged even over the budget: the bytes are already in memory.
class HeldInput {
 public:
  explicit HeldInput(Budget& budget) : charge_(&budget) {}

  /// Replaces its content by a copy of `bytes`.
  void hold(std::span<const std::byte> bytes);
  [[nodiscard]] bool empty() const { return begin_ == bytes_.size(); }
  [[nodiscard]] std::span<std::byte> bytes() { return std::span(bytes_).subspan(begin_); }
  /// The first `size` bytes were handled.
  void consume(std::size_t size);

 private:
  Charge charge_;
  std::vector<std::byte> bytes_;
  std::size_t begin_ = 0;  ///< bytes before it were handled
};

struct Backlog {
  explicit Backlog(Budget& budget) : output(budget), input(budget) {}
  [[nodiscard]] bool empty() const { return output.queued() == 0 && input.empty(); }

  Outbox output;
  HeldInput input;
  StallWatch stalled_write;  ///< runs while output is queued
};

}  // namespace ws
