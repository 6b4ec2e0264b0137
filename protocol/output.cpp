#include "protocol/output.h"

#include <algorithm>
#include <cstring>

namespace ws {

void Output::append(Bytes bytes) {
  if (bytes.empty())
    return;
  std::memcpy(extend(bytes.size()).data(), bytes.data(), bytes.size());
}

void Output::lend(Bytes bytes) {
  if (bytes.empty())
    return;
  pieces_.push_back({used_, bytes});
  lent_ += bytes.size();
}

void Output::grow(std::size_t size) {
  const std::size_t capacity = std::max({capacity_ * 2, used_ + size, std::size_t{1024}});
  auto block = std::make_unique_for_overwrite<std::byte[]>(capacity);
  if (used_ != 0)
    std::memcpy(block.get(), block_.get(), used_);
  block_ = std::move(block);
  capacity_ = capacity;
}

}  // namespace ws
