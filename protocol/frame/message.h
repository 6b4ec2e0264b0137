// Assembles messages from fragments: RFC 6455 §5.4, §5.6.
//
// A message is one data frame with FIN, or a data frame without FIN followed by continuation frames, of which the last
// has FIN. An uncompressed message that is one frame and arrives in one read is delivered from the receive buffer. All
// other messages are assembled here.
//
// Invariants:
//  1. No memory is allocated for a declared length. Memory grows with the bytes received, to at most twice their size.
//  2. Memory is charged to the budget before it is allocated. The charge is given back when the message is freed.
//  3. Text is validated as it arrives, so that the connection fails at the first invalid byte, not at the end of the
//     message.
//  4. Empty fragments count toward the limit of fragments, so that they cannot keep a message open forever.
//  5. Compressed data is inflated in pieces, and invariants 1 to 3 hold for each piece. To detect a message over the
//     limit, one byte over the limit is inflated, but not stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "protocol/budget.h"
#include "protocol/error.h"
#include "protocol/frame/frame.h"
#include "protocol/frame/utf8.h"
#include "protocol/limits.h"

namespace ws {

class Deflater;
class Inflater;

class MessageAssembler {
 public:
  /// If `budget` is null, only `limits` apply.
  MessageAssembler(const Limits& limits, Budget* budget) : limits_(limits), charge_(budget) {}

  /// Starts a message. `validate_data_frame` must have accepted `header`, the header of the first frame. `inflater` is
  /// null for an uncompressed message. No other message may use `inflater` until this message ends.
  void begin(const FrameHeader& header, Inflater* inflater);
  /// Starts the second or a later frame of the message. Returns an error if the frame is not allowed here or exceeds a
  /// limit.
  [[nodiscard]] Error begin_frame(const FrameHeader& header);
  /// Appends the next bytes of the frame's payload, which the caller has unmasked. If the message is compressed,
  /// inflates them first.
  [[nodiscard]] Error append(std::span<const std::byte> payload);
  /// Ends the current frame and, if `fin` is true, the message.
  [[nodiscard]] Error end_frame(bool fin);

  /// True from `begin` to the end of the last frame.
  [[nodiscard]] bool is_open() const { return is_open_; }
  /// kText or kBinary: the type of the current message, or of the last one if none is open.
  [[nodiscard]] Opcode opcode() const { return opcode_; }
  [[nodiscard]] std::span<std::byte> payload() { return payload_; }

 private:
  [[nodiscard]] Error inflate(std::span<const std::byte> compressed);
  [[nodiscard]] Error add(std::span<const std::byte> bytes);

  const Limits& limits_;
  Inflater* inflater_ = nullptr;
  std::vector<std::byte> payload_;
  Charge charge_;               ///< for the capacity of `payload_`
  std::uint64_t declared_ = 0;  ///< sum of the payload lengths in the frame headers so far
  std::uint32_t fragments_ = 0;
  Opcode opcode_ = Opcode::kText;
  bool is_open_ = false;
  Utf8Validator utf8_;
};

/// Checks that a data frame is allowed now (§5.4) and within the message limit (§10.4). `open`: whether a message has
/// started and not ended. `room`: maximum payload bytes of this frame. It is the message limit (for a compressed
/// message, `max_compressed` of the limit) minus the payload bytes of the message's earlier frames.
[[nodiscard]] Error validate_data_frame(const FrameHeader& header, bool open, std::uint64_t room);

/// Size of the largest frame that `write_compressed_frame` can write for a message of `size` bytes.
[[nodiscard]] std::size_t max_compressed_frame(std::size_t size);

/// Compresses a message into one frame at the start of `out`. The message is the concatenation of `parts` and must not
/// be empty. `out` must have at least `max_compressed_frame(size of the message)` bytes. The caller sets opcode and
/// masking in `header`; this function sets RSV1 and the length. Returns the size of the frame in bytes.
std::size_t write_compressed_frame(Deflater& deflater, FrameHeader& header,
                                   std::span<const std::span<const std::byte>> parts,
                                   std::span<std::byte> out);

}  // namespace ws
