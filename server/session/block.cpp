#include "server/session/block.h"

#include <algorithm>

namespace ws {

bool Block::reserve(std::size_t size) {
  const std::size_t needed = bytes_.size() + size;
  if (needed <= charged_)
    return true;
  // Doubled, so that many small appends take linear time. Towards the end of the budget it grows by half of
  // what is left: growing to fit would copy everything with each append.
  const std::size_t capacity = std::max(needed, charged_ + std::min(charged_, budget_.room() / 2));
  if (!budget_.take(capacity - charged_))
    return false;
  try {
    bytes_.reserve(capacity);
  } catch (...) {
    budget_.give(capacity - charged_);
    throw;
  }
  charged_ = capacity;
  return true;
}

void Block::append(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void Block::recycle(std::size_t keep) {
  bytes_.clear();
  if (charged_ <= keep)
    return;
  bytes_.shrink_to_fit();
  budget_.give(charged_);
  charged_ = 0;
}

}  // namespace ws
