#include "server/session/block.h"

#include <algorithm>

namespace ws {

bool Block::reserve(std::size_t size) {
  const std::size_t needed = bytes_.size() + size;
  const std::size_t before = charge_.size();
  if (needed <= before)
    return true;
  // Double the capacity, so that many small appends take linear time. If little of the budget remains, grow by half of
  // the remainder, because growing only by `size` would copy all bytes with each append.
  const std::size_t capacity = std::max(needed, before + std::min(before, charge_.room() / 2));
  if (!charge_.grow_to(capacity))
    return false;
  try {
    bytes_.reserve(capacity);
  } catch (...) {
    charge_.shrink_to(before);
    throw;
  }
  return true;
}

void Block::append(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void Block::recycle(std::size_t keep) {
  bytes_.clear();
  if (charge_.size() <= keep)
    return;
  bytes_.shrink_to_fit();
  charge_.shrink_to(0);
}

}  // namespace ws
