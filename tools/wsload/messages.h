// The frames that wsload sends, already masked, and the answers that it expects, all generated at the start. A message
// then costs wsload one copy into the kernel and one memcmp.
//
// Each speaker has a cycle of messages, which all differ if their size allows. (Echo: one cycle, used by all
// connections.)
//
//      sent      │ frame 0 │ frame 1 │ … │ frame n-1 │ then frame 0 again    contiguous: up to n messages
//      answers   │ frame 0 │ frame 1 │ … │ frame n-1 │                       are one or two pieces
//
// With permessage-deflate the frames are compressed and differ in size. Each message is compressed with an empty window
// of the smallest size, so that all connections can send the same bytes, whatever window size was negotiated. `answers`
// are not compressed: they are compared with the answers after decompression.
//
// Masking keys are reused. Unpredictable keys protect proxies from bytes that a script in a browser has chosen
// (RFC 6455 §10.3); wsload runs no such script.
#pragma once

#include <algorithm>
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
  /// With permessage-deflate: each message is compressed with a window of 2^9 bytes, the smallest that zlib supports.
  /// The content is random, so a larger one would save nothing.
  static constexpr std::uint8_t kWindowBits = 9;

  explicit Messages(const Plan& plan);

  /// Number of messages in a cycle.
  [[nodiscard]] std::uint64_t cycle() const { return cycle_; }
  /// Number of messages of all speakers.
  [[nodiscard]] std::uint64_t count() const { return cycle_ * speakers_; }
  /// Bytes of an answer.
  [[nodiscard]] std::uint64_t answer_size() const { return answer_size_; }
  /// Offset of the tag in the frame of an answer.
  [[nodiscard]] std::uint64_t tag_begin() const { return tag_begin_; }

  /// What a speaker sends: the frames of its cycle, repeated without end. Positions count bytes from the first frame.
  class Stream {
   public:
    /// The bytes of one cycle.
    [[nodiscard]] Bytes cycle() const { return cycle_; }
    /// The position of frame `number`.
    [[nodiscard]] std::uint64_t position(std::uint64_t number) const {
      if (ends_.empty())
        return number * frame_size_;
      const std::uint64_t in_cycle = number % ends_.size();
      return number / ends_.size() * cycle_.size() + (in_cycle == 0 ? 0 : ends_[in_cycle - 1]);
    }
    /// The first frame boundary at or after `position`; 0 is a boundary.
    [[nodiscard]] std::uint64_t frame_end(std::uint64_t position) const {
      if (ends_.empty())
        return (position + frame_size_ - 1) / frame_size_ * frame_size_;
      const std::uint64_t in_cycle = position % cycle_.size();
      return position - in_cycle + (in_cycle == 0 ? 0 : *std::ranges::lower_bound(ends_, in_cycle));
    }

   private:
    friend class Messages;
    Bytes cycle_;
    std::uint64_t frame_size_ = 0;  ///< if all frames have the same size
    std::span<const std::uint64_t>
        ends_;  ///< positions in the cycle; empty if all frames have the same size
  };
  [[nodiscard]] Stream stream(std::size_t speaker) const {
    Stream stream;
    if (ends_.empty()) {
      stream.frame_size_ = frame_size_;
      stream.cycle_ = Bytes(frames_).subspan(speaker * cycle_ * frame_size_, cycle_ * frame_size_);
    } else {
      stream.ends_ = std::span(ends_).subspan(speaker * cycle_, cycle_);
      stream.cycle_ = Bytes(frames_).subspan(starts_[speaker], stream.ends_.back());
    }
    return stream;
  }
  /// All answers to the messages of `speaker`.
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
  // With permessage-deflate: where the cycle of each speaker starts in frames_, and where each frame ends in its cycle.
  std::vector<std::uint64_t> starts_;
  std::vector<std::uint64_t> ends_;
  std::vector<std::byte> answers_;
};

}  // namespace ws::load
