// Assembles messages from fragments: RFC 6455 §5.4, §5.6.
//
// A message is one data frame with FIN, or a first frame without FIN, continuation frames, and a last one with FIN.
// Only messages that are split, by fragments or by reads, are assembled here. A frame with a complete uncompressed
// message in the receive buffer is delivered from there.
//
// Invariants:
//  1. A declared length allocates nothing. Memory grows with the bytes received, to at most twice their size.
//  2. Memory is charged to the budget before it is allocated, and given back with the message.
//  3. Text is validated as it arrives: it fails at its first invalid byte, not at the end of the message.
//  4. Empty fragments count as fragments: a peer cannot keep a message open forever with them.
//  5. Compressed data is inflated in pieces, and 1 to 3 hold for each piece. One byte over the message limit is
//     inflated to detect the excess; it is not kept.
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
  /// `budget` may be null: only `limits` apply then.
  MessageAssembler(const Limits& limits, Budget* budget) : limits_(limits), charge_(budget) {}

  /// Starts a message with the header of its first frame, which `validate_data_frame` has accepted. `inflater` is null if
  /// the message is not compressed; otherwise only this message may use it until it ends.
  void begin(const FrameHeader& header, Inflater* inflater);
  /// Starts a further frame of the message. Checks that the frame is allowed here and within the limits.
  [[nodiscard]] Error begin_frame(const FrameHeader& header);
  /// Appends the next bytes of the frame's payload, unmasked. Inflates them if the message is compressed.
  [[nodiscard]] Error append(std::span<const std::byte> payload);
  /// Ends the frame, and with `fin` the message.
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

/// Checks that a data frame is allowed now (§5.4), given that a message is `open` or not, and that its payload fits in
/// `room`, the bytes left of the message limit (§10.4). For compressed messages the limit is max_compressed.
[[nodiscard]] Error validate_data_frame(const FrameHeader& header, bool open, std::uint64_t room);

/// Size of the largest frame that `write_compressed_frame` can write for a message of `size` bytes.
[[nodiscard]] std::size_t max_compressed_frame(std::size_t size);

/// Compresses a message, the concatenated `parts`, into one frame at the start of `out`. The message must not be empty,
/// and `out` must have at least `max_compressed_frame` bytes for it. `header` gives opcode and masking; RSV1 and the
/// length are set here. Returns the size of the frame in bytes.
std::size_t write_compressed_frame(Deflater& deflater, FrameHeader& header,
                                   std::span<const std::span<const std::byte>> parts,
                                   std::span<std::byte> out);

}  // namespace ws
