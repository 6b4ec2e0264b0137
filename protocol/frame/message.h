// From fragments to messages: RFC 6455 §5.4, §5.6.
//
// A message is one data frame with FIN, or a first frame without it, continuation frames, and a
// last one with it. Only a message that is cut, by fragments or by reads, is gathered here; one
// that lies whole in the receive buffer never is.
//
// Invariants:
//  1. A declared length allocates nothing: memory follows the bytes that came, at most doubled.
//  2. What is held is taken from the budget first, and is given back with the message.
//  3. Text is validated as it comes, so that it fails at its first bad byte, not at its end.
//  4. Empty fragments count: a peer cannot keep a message open for ever with them.
//  5. What is compressed is inflated a piece at a time, and 1 to 3 hold for each piece: of what is over the
//     message limit, one byte is inflated, and none is kept.
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
  /// `budget` may be null: no limit but the message's own.
  MessageAssembler(const Limits& limits, Budget* budget) : limits_(limits), charge_(budget) {}

  /// The first frame's header came, and `judge_data_frame` has let it pass. `inflater`, not null if the
  /// message is compressed, is the message's until it is ended.
  void begin(const FrameHeader& header, Inflater* inflater);
  /// A further data frame's header came: may it stand here, and is it within the limits?
  [[nodiscard]] Error begin_frame(const FrameHeader& header);
  /// The next bytes of that frame's payload, unmasked, and inflated here.
  [[nodiscard]] Error append(std::span<const std::byte> payload);
  /// That frame's payload is complete. Afterwards `is_open` says whether the message is not.
  [[nodiscard]] Error end_frame(bool fin);

  /// True between a first fragment and the last one.
  [[nodiscard]] bool is_open() const { return is_open_; }
  /// Text or binary: of the message that is open, or was ended last.
  [[nodiscard]] Opcode opcode() const { return opcode_; }
  [[nodiscard]] std::span<std::byte> payload() { return payload_; }

 private:
  [[nodiscard]] Error inflate(std::span<const std::byte> compressed);
  [[nodiscard]] Error add(std::span<const std::byte> bytes);

  const Limits& limits_;
  Inflater* inflater_ = nullptr;
  std::vector<std::byte> payload_;
  Charge charge_;               ///< for the capacity of `payload_`
  std::uint64_t declared_ = 0;  ///< bytes of payload that the frames so far have declared
  std::uint32_t fragments_ = 0;
  Opcode opcode_ = Opcode::kText;
  bool is_open_ = false;
  Utf8Validator utf8_;
};

/// Whether a data frame may come now (§5.4), `open` saying that a message is unfinished; and
/// whether its payload fits `room`, the bytes that the message limit leaves (§10.4; for compressed ones see
/// max_compressed).
[[nodiscard]] Error judge_data_frame(const FrameHeader& header, bool open, std::uint64_t room);

/// The largest frame that `write_compressed_frame` writes for a message of `size` bytes.
[[nodiscard]] std::size_t max_compressed_frame(std::size_t size);

/// Compresses the message that the `parts` make up, not empty, into one frame at the start of `out`, which has at
/// least `max_compressed_frame` of its size. `header` says opcode and masking; RSV1 and the length are set here.
/// Returns the size of the frame, bytes.
std::size_t write_compressed_frame(Deflater& deflater, FrameHeader& header,
                                   std::span<const std::span<const std::byte>> parts,
                                   std::span<std::byte> out);

}  // namespace ws
