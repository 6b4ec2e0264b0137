#include "server/session/backlog.h"

namespace ws {

void HeldInput::hold(std::span<const std::byte> bytes) {
  std::vector<std::byte> held(bytes.begin(), bytes.end());
  budget_.give(bytes_.capacity());
  bytes_.swap(held);
  begin_ = 0;
  budget_.force(bytes_.capacity());
}

void HeldInput::consume(std::size_t size) {
  begin_ += size;
  if (begin_ < bytes_.size())
    return;
  budget_.give(bytes_.capacity());
  std::vector<std::byte>().swap(bytes_);  // `= {}` would keep the memory
  begin_ = 0;
}

}  // namespace ws
