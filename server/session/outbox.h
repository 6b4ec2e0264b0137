// The output that the socket of a session has not accepted yet: a queue of ranges of blocks.
//
// A block is either used by this outbox only (for example the tail, to which bytes of the cork are copied), or shared
// with other outboxes, so that a broadcast is encoded once.
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

  /// Number of bytes that are not sent yet.
  [[nodiscard]] std::size_t queued() const { return queued_; }
  /// queued() plus the memory of the segments, because the segment of a small message is larger than the message.
  [[nodiscard]] std::size_t cost() const {
    return queued_ + (segments_.size() - first_) * kSegmentCost;
  }

  /// Queues a copy of `out` without its first `sent` bytes, which were sent already. Returns false and queues nothing
  /// if the budget does not allow it.
  [[nodiscard]] bool append(const Output& out, std::size_t sent);
  /// Queues `range` of `block` without its first `sent` bytes, which were sent already. The range must contain whole
  /// frames. If the range is at least half of the block, shares the block. If not, copies the range, so that a small
  /// range does not keep a large block in memory. Returns false and queues nothing if the budget does not allow it.
  [[nodiscard]] bool append(const std::shared_ptr<const Block>& block, Range range,
                            std::size_t sent);
  /// Drops all queued broadcasts, except the unsent bytes of a frame that was sent in part. The first `encrypted` queued bytes
  /// count as sent: TLS has encrypted them.
  void drop_broadcasts(std::size_t encrypted = 0);

  /// Fills `pieces` from the front of the queue; returns their number.
  std::size_t pieces(std::span<iovec> pieces) const;
  /// Removes the first `size` bytes, which were sent.
  void consume(std::size_t size);

 private:
  struct Segment {
    std::shared_ptr<const Block> block;
    std::size_t start;  ///< if is_broadcast: where the first frame starts
    std::size_t begin;  ///< the first byte that was not sent
    std::size_t end;
    bool is_broadcast;
  };
  /// Memory of a segment and its Block object, including malloc's overhead. A shared Block is counted in each segment.
  static constexpr std::size_t kSegmentCost = sizeof(Segment) + sizeof(Block) + 64;
  [[nodiscard]] bool reserve_segment();

  Budget& budget_;
  Charge charge_;  ///< for the capacity of `segments_`
  std::vector<Segment> segments_;
  std::size_t first_ = 0;        ///< index of the first segment that is not sent completely
  std::shared_ptr<Block> tail_;  ///< the last segment's block if output may be appended; else null
  std::size_t queued_ = 0;
};

}  // namespace ws
