// The output of a session that its socket has not accepted yet: a queue of ranges of blocks.
//
// A block is either the session's own (the tail: bytes copied from the cork, which is used again) or shared with the
// outboxes of other sessions: a broadcast is encoded once.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "protocol/budget.h"
#include "protocol/output.h"
#include "server/session/block.h"

namespace ws {

class Outbox {
 public:
  explicit Outbox(Budget& budget) : budget_(budget), charge_(&budget) {}

  /// Bytes that wait to be sent.
  [[nodiscard]] std::size_t queued() const { return queued_; }
  /// The same, with what it takes to keep them: many small messages cost more than their bytes.
  [[nodiscard]] std::size_t cost() const {
    return queued_ + (segments_.size() - first_) * kSegmentCost;
  }

  /// Queues a copy of what `out` holds behind its first `sent` bytes. False, and nothing queued, if the
  /// budget does not allow it.
  [[nodiscard]] bool append(const Output& out, std::size_t sent);
  /// Queues `range` of `block`, of which `sent` bytes have left. It starts and ends with a frame. Shared
  /// where most of the block is wanted; else copied, so that no small range keeps a large block alive.
  [[nodiscard]] bool append(const std::shared_ptr<const Block>& block, Range range,
                            std::size_t sent);
  /// Drops all queued broadcasts, except the unsent bytes of a frame that was sent in part.
  void drop_broadcasts();

  /// Fills `pieces` from the front; returns how many.
  std::size_t pieces(std::span<iovec> pieces) const;
  /// The first `size` bytes have left.
  void consume(std::size_t size);

 private:
  struct Segment {
    std::shared_ptr<const Block> block;
    std::size_t start;  ///< where its first frame starts, if is_broadcast
    std::size_t begin;  ///< the first byte that has not left
    std::size_t end;
    bool is_broadcast;
  };
  /// A segment, and the block of its own that it may have; both with what malloc adds.
  static constexpr std::size_t kSegmentCost = sizeof(Segment) + sizeof(Block) + 64;
  [[nodiscard]] bool reserve_segment();

  Budget& budget_;
  Charge charge_;  ///< for the capacity of `segments_`
  std::vector<Segment> segments_;
  std::size_t first_ = 0;        ///< segments before it have left
  std::shared_ptr<Block> tail_;  ///< the last segment's block, if it is the own tail
  std::size_t queued_ = 0;
};

}  // namespace ws
