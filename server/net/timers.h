// Timers that are set and cancelled in O(1): a hierarchical timing wheel of intrusive nodes.
//
// There are four wheels of 64 slots each. A slot covers 1 ms in the first wheel, 64 ms in the second, 4 s in the third
// and 262 s in the fourth. The fourth wheel covers 4.6 hours; its furthest slot also holds nodes with later deadlines.
// A node is in the finest wheel that reaches its deadline. When a slot of a coarser wheel is due, its nodes move to
// finer wheels, so that each node fires in the millisecond of its deadline, never early.
//
// A session whose deadline moves to a later time does not set its node again. When the node fires at the old deadline,
// the session sets it to the new deadline. So a message that moves the deadline needs no timer operation.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace ws {

class TimerNode {
 public:
  TimerNode() = default;
  TimerNode(const TimerNode&) = delete;
  TimerNode& operator=(const TimerNode&) = delete;
  [[nodiscard]] bool is_set() const { return next_ != nullptr; }

 protected:
  ~TimerNode() = default;

 private:
  friend class Timers;
  TimerNode* next_ = nullptr;
  TimerNode* previous_ = nullptr;
  std::int64_t deadline_ = 0;
};

/// All times are milliseconds of one monotonic clock, which the caller reads.
class Timers {
 public:
  static constexpr std::int64_t kNever = INT64_MAX;

  explicit Timers(std::int64_t now);
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  /// Makes `node` fire at `deadline`; replaces an earlier setting. If the deadline is in the past, the node fires in
  /// the `advance` that is running, or in the next one.
  void set(TimerNode& node, std::int64_t deadline);
  void cancel(TimerNode& node);
  /// The time at which `node`, which must be set, fires.
  [[nodiscard]] static std::int64_t deadline(const TimerNode& node) { return node.deadline_; }

  /// Advances the clock to `now` and calls `fire(TimerNode&)` for each node that is due. `fire` may set and cancel any
  /// node.
  template <typename Fire>
  void advance(std::int64_t now, Fire fire) {
    if (next_ <= now)
      collect_due(now);
    else
      now_ = std::max(now_, now);
    while (due_.next_ != &due_) {
      TimerNode& node = *due_.next_;
      unlink(node);
      fire(node);
    }
  }

  /// Milliseconds from `now` until `advance` must be called, which may be before the next deadline. -1: no node is set.
  [[nodiscard]] int wait_ms(std::int64_t now);

 private:
  static constexpr unsigned kLevels = 4;
  static constexpr unsigned kBits = 6;
  static constexpr unsigned kSlots = 1U << kBits;
  struct List : TimerNode {};  // the sentinel of a circular list
  struct Wheel {
    std::array<List, kSlots> slots;
    std::uint64_t occupied = 0;  ///< bit i: slot i may hold nodes; stays set if they are cancelled
  };

  void collect_due(std::int64_t now);
  [[nodiscard]] std::int64_t next_occupied();
  void place(TimerNode& node);
  static void link(TimerNode& list, TimerNode& node);
  static void unlink(TimerNode& node);
  static void move_all(TimerNode& from, TimerNode& to);

  std::int64_t now_;  ///< nodes with deadlines up to this millisecond are in due_, or have fired
  std::int64_t next_ = kNever;  ///< when the next occupied slot is due; kNever: none
  std::array<Wheel, kLevels> wheels_;
  List due_;
};

}  // namespace ws
