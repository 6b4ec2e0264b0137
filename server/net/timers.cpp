#include "server/net/timers.h"

#include <algorithm>
#include <bit>

namespace ws {

Timers::Timers(std::int64_t now) : now_(now) {
  for (Wheel& wheel : wheels_) {
    for (List& slot : wheel.slots)
      slot.next_ = slot.previous_ = &slot;
  }
  due_.next_ = due_.previous_ = &due_;
}

void Timers::link(TimerNode& list, TimerNode& node) {
  node.next_ = &list;
  node.previous_ = list.previous_;
  list.previous_->next_ = &node;
  list.previous_ = &node;
}

void Timers::unlink(TimerNode& node) {
  node.previous_->next_ = node.next_;
  node.next_->previous_ = node.previous_;
  node.next_ = node.previous_ = nullptr;
}

void Timers::move_all(TimerNode& from, TimerNode& to) {
  if (from.next_ == &from)
    return;
  from.next_->previous_ = to.previous_;
  to.previous_->next_ = from.next_;
  from.previous_->next_ = &to;
  to.previous_ = from.previous_;
  from.next_ = from.previous_ = &from;
}

void Timers::set(TimerNode& node, std::int64_t deadline) {
  cancel(node);
  node.deadline_ = deadline;
  place(node);
}

void Timers::cancel(TimerNode& node) {
  if (!node.is_set())
    return;
  unlink(node);
  next_ = next_occupied();
}

void Timers::place(TimerNode& node) {
  if (node.deadline_ <= now_) {
    link(due_, node);
    return;
  }
  // Choose the finest wheel that reaches the deadline within one revolution. The last wheel accepts every deadline: a
  // node with a later deadline goes into the furthest slot. When that slot is due, collect_due places the node again.
  unsigned level = 0;
  while (level + 1 < kLevels &&
         (node.deadline_ >> (kBits * level)) - (now_ >> (kBits * level)) >= kSlots) {
    ++level;
  }
  const std::int64_t furthest = (now_ >> (kBits * level)) + kSlots - 1;
  const std::int64_t tick = std::min(node.deadline_ >> (kBits * level), furthest);
  const auto slot = static_cast<unsigned>(tick) % kSlots;
  link(wheels_[level].slots[slot], node);
  wheels_[level].occupied |= std::uint64_t{1} << slot;
  next_ = std::min(next_, tick << (kBits * level));
}

/// The time when the next occupied slot is due; kNever if all slots are empty.
std::int64_t Timers::next_occupied() {
  std::int64_t next = kNever;
  for (unsigned level = 0; level < kLevels; ++level) {
    Wheel& wheel = wheels_[level];
    const std::int64_t tick = now_ >> (kBits * level);
    const auto first = static_cast<unsigned>(tick + 1) % kSlots;
    while (wheel.occupied != 0) {
      // Rotate the bits so that the slot after the current one is bit 0.
      const auto ahead = static_cast<unsigned>(
          std::countr_zero(std::rotr(wheel.occupied, static_cast<int>(first))));
      const unsigned slot = (first + ahead) % kSlots;
      if (wheel.slots[slot].next_ != &wheel.slots[slot]) {
        next = std::min(next, (tick + 1 + ahead) << (kBits * level));
        break;
      }
      wheel.occupied &= ~(std::uint64_t{1} << slot);  // all nodes of the slot were cancelled
    }
  }
  return next;
}

int Timers::wait_ms(std::int64_t now) {
  if (due_.next_ != &due_)
    return 0;
  if (next_ == kNever)
    return -1;
  return static_cast<int>(std::clamp<std::int64_t>(next_ - now, 0, INT32_MAX));
}

void Timers::collect_due(std::int64_t now) {
  // Jump from one occupied slot to the next, in any wheel, and skip empty milliseconds.
  for (; next_ <= now; next_ = next_occupied()) {
    now_ = next_;
    for (unsigned level = 0; level < kLevels; ++level) {
      // A coarse slot is due when all finer wheels are at slot 0.
      if ((now_ & ((std::int64_t{1} << (kBits * level)) - 1)) != 0)
        break;
      const auto slot = static_cast<unsigned>(now_ >> (kBits * level)) % kSlots;
      wheels_[level].occupied &= ~(std::uint64_t{1} << slot);
      List nodes;
      nodes.next_ = nodes.previous_ = &nodes;
      move_all(wheels_[level].slots[slot], nodes);
      while (nodes.next_ != &nodes) {
        TimerNode& node = *nodes.next_;
        unlink(node);
        place(node);  // due now, or on a finer wheel
      }
    }
  }
  now_ = std::max(now_, now);
}

}  // namespace ws
