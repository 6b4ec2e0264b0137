// The backlog of a session: output that the socket did not accept, and input that is handled later. A session has a
// backlog only while there is such output or input. An incomplete request head is here, too, because a pointer to it in
// the session would cost each open session 8 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "protocol/budget.h"
#include "server/net/timers.h"
#include "server/session/deadlines.h"
#include "server/session/opening.h"
#include "server/session/outbox.h"

namespace ws {

/// Input that is handled later: when backpressure ends, when the session is released, or when the other ready sessions
/// have been handled. Charged even over the budget, because the bytes are already in memory.
class HeldInput {
 public:
  explicit HeldInput(Budget& budget) : charge_(&budget) {}

  /// Replaces the held input by a copy of `bytes`.
  void hold(std::span<const std::byte> bytes);
  [[nodiscard]] bool empty() const { return begin_ == bytes_.size(); }
  [[nodiscard]] std::span<std::byte> bytes() { return std::span(bytes_).subspan(begin_); }
  /// Removes the first `size` bytes, which were handled.
  void consume(std::size_t size);

 private:
  Charge charge_;
  std::vector<std::byte> bytes_;
  std::size_t begin_ = 0;  ///< index of the first byte that was not handled
};

struct Backlog {
  explicit Backlog(Budget& budget) : output(budget), input(budget) {}
  [[nodiscard]] bool empty() const {
    return output.queued() == 0 && input.empty() && head == nullptr && retry_at == Timers::kNever;
  }

  Outbox output;
  HeldInput input;
  StallWatch stalled_write;  ///< runs while output is queued
  /// When to write again after ENOBUFS; kNever: when epoll reports EPOLLOUT.
  std::int64_t retry_at = Timers::kNever;
  std::unique_ptr<PartialHead> head;  ///< null unless a request head arrives in several reads
};

}  // namespace ws
