#include "server/session/backlog.h"

namespace ws {

void HeldInput::hold(std::span<const std::byte> bytes) {
  std::vector<std::byte> held(bytes.begin(), bytes.end());
  bytes_.swap(held);
  begin_ = 0;
  charge_.shrink_to(bytes_.capacity());
  charge_.force_to(bytes_.capacity());
}

void HeldInput::consume(std::size_t size) {
  begin_ += size;
  if (begin_ < bytes_.size())
    return;
  charge_.shrink_to(0);
  std::vector<std::byte>().swap(bytes_);  // `= {}` would keep the memory
  begin_ = 0;
}

}  // namespace ws
