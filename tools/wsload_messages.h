// The bytes of a load, made once: what is sent, as frames, masked already; and what has to come back, to be compared
// as it lies. So a message costs wsload a copy into the kernel and a memcmp.
//
// Each speaker (in an echo there is one, whom all connections imitate) has a cycle of messages that all differ,
// where their size allows:
//
//      sent      │ frame 0 │ frame 1 │ … │ frame n-1 │ and again frame 0     one block: any run of
//      answers   │ frame 0 │ frame 1 │ … │ frame n-1 │                       messages is one or two pieces
//
// The masking keys are used again and again. That a key cannot be foreseen protects proxies on the way from what a
// script in a browser makes it send (RFC 6455 §10.3): here is no script, and no way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "protocol/frame/frame.h"
#include "tools/wsload_plan.h"

namespace ws::load {

class Messages {
 public:
  using Bytes = std::span<const std::byte>;
  /// Digits at the start of a chat message, which say whose it is and which one: of 6 bits each.
  static constexpr std::size_t kTagSize = 4;

  explicit Messages(const Plan& plan);

  /// Messages in a cycle.
  [[nodiscard]] std::uint64_t cycle() const { return cycle_; }
  /// ... and in all.
  [[nodiscard]] std::uint64_t count() const { return cycle_ * speakers_; }
  /// Bytes of a frame that is sent, and of one that comes back.
  [[nodiscard]] std::uint64_t frame_size() const { return frame_size_; }
  [[nodiscard]] std::uint64_t answer_size() const { return answer_size_; }
  /// Where in the frame of an answer the tag begins.
  [[nodiscard]] std::uint64_t tag_begin() const { return tag_begin_; }

  /// All frames of a speaker.
  [[nodiscard]] Bytes frames(std::size_t speaker) const {
    return Bytes(frames_).subspan(speaker * cycle_ * frame_size_, cycle_ * frame_size_);
  }
  [[nodiscard]] Bytes answers(std::size_t speaker) const {
    return Bytes(answers_).subspan(speaker * cycle_ * answer_size_, cycle_ * answer_size_);
  }
  /// The frame that answers message `number`, of 0 to `count()`, and the payload of it.
  [[nodiscard]] Bytes answer(std::uint64_t number) const {
    return Bytes(answers_).subspan(number * answer_size_, answer_size_);
  }
  [[nodiscard]] Bytes answer_payload(std::uint64_t number) const {
    return answer(number).subspan(header_size_);
  }

  /// One digit of a tag; nullopt for what is none.
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
