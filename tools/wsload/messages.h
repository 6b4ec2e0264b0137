// The frames that wsload sends, already masked, and the answers that it expects, all generated at the start. A message
// then costs wsload one copy into the kernel and one memcmp.
//
// Each speaker has a cycle of messages, which all differ if their size allows. (Echo: one cycle, used by all
// connections.)
//
//      sent      │ frame 0 │ frame 1 │ … │ frame n-1 │ then frame 0 again    contiguous: up to n messages
//      answers   │ frame 0 │ frame 1 │ … │ frame n-1 │                       are one or two pieces
//
// Masking keys are reused. Unpredictable keys protect proxies from bytes that a script in a browser has chosen
// (RFC 6455 §10.3); wsload runs no such script.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocol/frame/frame.h"
#include "tools/wsload/plan.h"

namespace ws::load {

class Messages {
 public:
  using Bytes = std::span<const std::byte>;
  /// Length of the tag at the start of a chat message: the message number in digits of 6 bits.
  static constexpr std::size_t kTagSize = 4;

  explicit Messages(const Plan& plan);

  /// Number of messages in a cycle.
  [[nodiscard]] std::uint64_t cycle() const { return cycle_; }
  /// Number of messages of all speakers.
  [[nodiscard]] std::uint64_t count() const { return cycle_ * speakers_; }
  /// Bytes of a frame that is sent, and of its answer.
  [[nodiscard]] std::uint64_t frame_size() const { return frame_size_; }
  [[nodiscard]] std::uint64_t answer_size() const { return answer_size_; }
  /// Offset of the tag in the frame of an answer.
  [[nodiscard]] std::uint64_t tag_begin() const { return tag_begin_; }

  /// All frames of `speaker`, and all answers to them.
  [[nodiscard]] Bytes frames(std::size_t speaker) const {
    return Bytes(frames_).subspan(speaker * cycle_ * frame_size_, cycle_ * frame_size_);
  }
  [[nodiscard]] Bytes answers(std::size_t speaker) const {
    return Bytes(answers_).subspan(speaker * cycle_ * answer_size_, cycle_ * answer_size_);
  }
  /// The frame that answers message `number` (less than `count()`), and its payload.
  [[nodiscard]] Bytes answer(std::uint64_t number) const {
    return Bytes(answers_).subspan(number * answer_size_, answer_size_);
  }
  [[nodiscard]] Bytes answer_payload(std::uint64_t number) const {
    return answer(number).subspan(header_size_);
  }

  /// The value of a tag's digit; nullopt if `character` is no digit.
  static std::optional<unsigned> digit(std::byte character) {
    const unsigned value = std::to_integer<unsigned>(character) - '0';
    return value < 64 ? std::optional(value) : std::nullopt;
  }
  static std::byte to_digit(std::uint64_t value) {
    return static_cast<std::byte>('0' + (value & 63U));
  }

 private:
  std::size_t speakers_;
  std::uint64_t cycle_;
  std::uint64_t frame_size_ = 0;
  std::uint64_t answer_size_ = 0;
  std::uint64_t header_size_ = 0;  ///< of an answer
  std::uint64_t tag_begin_ = 0;
  std::vector<std::byte> frames_;
  std::vector<std::byte> answers_;
};

}  // namespace ws::load
