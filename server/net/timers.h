// Deadlines in O(1): a hierarchical timing wheel of intrusive nodes.
//
// Four wheels of 64 slots turn at 1 ms, 64 ms, 4 s and 262 s a slot (a span of 4.6 hours; what is later
// waits in the last slot). A node lies in the finest wheel that reaches its deadline; when a coarse
// slot comes up its nodes move to finer ones, so that each fires in its own millisecond, never early.
//
// A node is set at its owner's earliest deadline and re-armed lazily: an owner whose deadline moved
// later leaves the node where it is, and sets it anew when it fires too early. So a message costs
// no timer work at all.
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

/// All times are milliseconds of one monotonic clock that the caller reads.
class Timers {
 public:
  static constexpr std::int64_t kNever = INT64_MAX;

  explicit Timers(std::int64_t now);
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  /// Fires `node` at `deadline`; if that is past, in the next `advance` or in the one that is firing.
  /// Set again, it moves.
  void set(TimerNode& node, std::int64_t deadline);
  void cancel(TimerNode& node);
  /// When `node`, which is set, will fire.
  [[nodiscard]] static std::int64_t deadline(const TimerNode& node) { return node.deadline_; }

  /// Takes the clock to `now`, and calls `fire(TimerNode&)` for each node that is due. `fire` may set
  /// and cancel any node.
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

  /// Milliseconds from `now` to the next time `advance` has work; -1: none. Never later than a deadline.
  [[nodiscard]] int wait_ms(std::int64_t now);

 private:
  static constexpr unsigned kLevels = 4;
  static constexpr unsigned kBits = 6;
  static constexpr unsigned kSlots = 1U << kBits;
  struct List : TimerNode {};  // the sentinel of a circular list
  struct Wheel {
    std::array<List, kSlots> slots;
    std::uint64_t occupied = 0;  ///< bit i: slot i holds nodes, or did before they were cancelled
  };

  void collect_due(std::int64_t now);
  [[nodiscard]] std::int64_t next_occupied();
  void place(TimerNode& node);
  static void link(TimerNode& list, TimerNode& node);
  static void unlink(TimerNode& node);
  static void take_all(TimerNode& from, TimerNode& to);

  std::int64_t now_;            ///< all before and at this millisecond has fired
  std::int64_t next_ = kNever;  ///< when the next slot that holds nodes comes up
  std::array<Wheel, kLevels> wheels_;
  List due_;
};

}  // namespace ws
