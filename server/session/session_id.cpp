#include "server/session/session_id.h"

#include <cstddef>

namespace ws {

SessionId::SessionId(std::uint32_t generation) {
  for (std::size_t i = 0; i < digits_.size(); ++i) {
    digits_[i] = "0123456789abcdef"[generation >> (28 - 4 * i) & 0xFU];
  }
}

}  // namespace ws
