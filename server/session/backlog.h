// What waits in a session: output that the socket did not accept, and input that was read but is not handled
// while the output is too long. It exists only while there is one of them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "protocol/budget.h"
#include "server/session/deadlines.h"
#include "server/session/outbox.h"

namespace ws {

/// Input held back by backpressure. It is charged to the budget even over its limit: it was read already.
class HeldInput {
 public:
  explicit HeldInput(Budget& budget) : charge_(&budget) {}

  /// Holds a copy of `bytes`, which may be a part of what it holds, instead of what it held.
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
