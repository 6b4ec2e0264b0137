// A block: a byte buffer, usually of whole frames. Several outboxes may share it, so that a broadcast is encoded once.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "protocol/budget.h"

namespace ws {

/// Must not be changed while it is shared. The budget is charged for the capacity of the block.
class Block {
 public:
  explicit Block(Budget& budget) : charge_(&budget) {}

  /// Reserves space for `size` more bytes; false if the budget does not allow it.
  [[nodiscard]] bool reserve(std::size_t size);
  /// Appends bytes for which space was reserved.
  void append(std::span<const std::byte> bytes);
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::span<std::byte> bytes() { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  /// Clears the block for reuse, and frees its memory if the capacity exceeds `keep` bytes.
  void recycle(std::size_t keep);

 private:
  Charge charge_;
  std::vector<std::byte> bytes_;
};

/// The bytes [begin, end) of a block.
struct Range {
  std::size_t begin;
  std::size_t end;
  [[nodiscard]] std::size_t size() const { return end - begin; }
};

}  // namespace ws
