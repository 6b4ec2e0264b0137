// The id of a session in the log: its generation, as eight hex digits.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ws {

class SessionId {
 public:
  explicit SessionId(std::uint32_t generation);
  [[nodiscard]] std::string_view text() const { return {digits_.data(), digits_.size()}; }

 private:
  std::array<char, 8> digits_;
};

}  // namespace ws
