// permessage-deflate: compresses and decompresses messages with zlib. RFC 7692 §6, §7.2. extensions.h contains the
// negotiation.
//
//      payload ──▶ DEFLATE blocks, the last one empty ──▶ payload of the frames, without the last four bytes
//
//      "Hello"     f2 48 cd c9 c9 07 00 [00 00 ff ff]      c1 07 f2 48 cd c9 c9 07 00
//
// The empty block makes the message end on a byte boundary. The last four bytes of this block are always the same, so
// they are not sent. RSV1 on the first frame of a message marks the message as compressed; any message may also be sent
// uncompressed. With context takeover the window is kept between messages, so that content repeated from earlier
// messages needs almost no bytes. Without context takeover one compressor serves all connections of a thread.
//
// Invariants:
//  1. Messages are inflated in pieces, and each piece is validated before the next is inflated. So a decompression bomb
//     is never in memory as a whole.
//  2. zlib's memory is charged to the budget. If the budget does not allow a compressor, messages are sent
//     uncompressed.
//  3. Without context takeover a connection owns a window only while it receives a compressed message.
//  4. Memory for the windows of context takeover is reserved before takeover is negotiated. If the reserve is used up,
//     the server negotiates no takeover, so that idle windows leave memory for other connections.
//
// zlib cannot compress with a window of 2^8 bytes. If the negotiated window is that small, messages are sent
// uncompressed, which is always allowed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <zlib.h>

#include "protocol/budget.h"
#include "protocol/deflate/extensions.h"
#include "protocol/error.h"
#include "protocol/limits.h"
#include "protocol/role.h"

namespace ws {

/// One zlib stream and its memory.
class ZStream {
 public:
  explicit ZStream(Budget* budget);
  ZStream(const ZStream&) = delete;
  ZStream& operator=(const ZStream&) = delete;

 protected:
  ~ZStream() = default;
  /// Calls `code` (::deflate or ::inflate) once. Removes the consumed bytes from `in`, writes to `out` from `written`
  /// on, and advances `written`. Returns zlib's status.
  int step(int (*code)(z_streamp, int), int flush, std::span<const std::byte>& in,
           std::span<std::byte> out, std::size_t& written);
  z_stream stream_{};

 private:
  Charge charge_;  ///< for the memory of `stream_`
};

/// Compresses messages. A message may refer to earlier messages in the window, until `restart` empties the window.
class Deflater : private ZStream {
 public:
  /// `window_bits`: 9 to 15. Allocates 2^(window_bits + 3) bytes plus about 6 KiB. Returns null if there is not enough
  /// memory.
  [[nodiscard]] static std::unique_ptr<Deflater> make(int window_bits, Budget* budget);
  ~Deflater();

  /// Compresses a message to the start of `out`, as the payload of a frame with RSV1. The message is the concatenation
  /// of `parts` and must not be empty. `out` must have at least `max_compressed(size of the message)` bytes. Returns
  /// the number of bytes written.
  std::size_t compress(std::span<const std::span<const std::byte>> parts, std::span<std::byte> out);
  /// Empties the window, so that the next message refers to no earlier message.
  void restart();

 private:
  using ZStream::ZStream;
};

/// Decompresses messages. A message may refer to earlier messages in the window, until `restart` empties the window.
class Inflater : private ZStream {
 public:
  /// Allocates about 7 KiB, and 32 KiB more for the window at the first output. Returns null if there is not enough
  /// memory. The window always has the maximum size. With a smaller window, the result would depend on how the input
  /// is split: zlib detects a reference beyond the window only for some splits.
  [[nodiscard]] static std::unique_ptr<Inflater> make(Budget* budget);
  ~Inflater();

  struct Result {
    Error error;          ///< kNone, kCompressedData or kOverBudget; the bytes written are valid
    std::size_t written;  ///< if less than `out`'s size, all of `in` was consumed or `error` is set
  };
  /// Decompresses from `in` to the start of `out`, until `in` is empty or `out` is full. Removes the consumed bytes
  /// from `in`.
  Result inflate(std::span<const std::byte>& in, std::span<std::byte> out);
  /// Ends the message. Returns kCompressedData if the message is empty or ends inside a block. Appends the tail
  /// 00 00 FF FF that the sender removed, unless the message is complete without it: after a block with BFINAL, and
  /// after a block that ends on a byte boundary.
  [[nodiscard]] Error end_message();
  /// Empties the window.
  void restart();

 private:
  using ZStream::ZStream;

  bool is_complete_ =
      false;  ///< the input so far ends with a block that has BFINAL or ends on a byte boundary
};

/// Upper bound of the compressed size of a message of `size` bytes, with any version and settings of zlib.
[[nodiscard]] constexpr std::uint64_t max_compressed(std::uint64_t size) {
  return size + size / 8 + size / 64 + 16;
}

/// Maximum memory of permessage-deflate for one connection, in bytes; 0 if there is not enough memory to measure it.
/// With context takeover, each connection reserves at most this.
[[nodiscard]] std::size_t deflate_memory(const DeflateSettings& settings);

/// Deflaters and Inflaters that the connections of one thread share. The pool must outlive these connections.
class DeflatePool {
 public:
  /// zlib's memory is charged to `budget`, unless it was already charged to `reserve`, the part of `budget` that
  /// connections may keep between messages. A null budget or reserve has no limit.
  DeflatePool(const DeflateSettings& settings, Budget* budget, Budget* reserve = nullptr)
      : settings_(settings), budget_(budget), reserve_(reserve) {}

  [[nodiscard]] const DeflateSettings& settings() const { return settings_; }
  [[nodiscard]] Budget* budget() const { return budget_; }
  /// Charges the reserve for one connection with context takeover and the largest windows that the settings allow. Call
  /// it before the negotiation. The charge is empty if the reserve is used up or the settings forbid takeover: then
  /// negotiate no takeover.
  [[nodiscard]] Charge reserve();
  /// Memory in bytes that zlib needs for a Deflater with a window of 2^`deflater_bits` bytes (8: for no Deflater, since
  /// zlib does not support this size), plus an Inflater if `has_inflater`. Measured, since it depends on zlib's
  /// version. Returns 0 if there is not enough memory to measure it.
  [[nodiscard]] std::size_t memory(int deflater_bits, bool has_inflater);
  /// Returns the shared Deflater with an empty window, for one message. Returns null if `window_bits` is 8 or there is
  /// not enough memory: a Deflater is created only if it needs at most half of the memory that the budget still has.
  [[nodiscard]] Deflater* deflater(int window_bits);
  /// Returns an Inflater with an empty window, for one message, or null if there is not enough memory.
  [[nodiscard]] std::unique_ptr<Inflater> borrow_inflater();
  /// Empties the window of `inflater` and keeps it for the next `borrow_inflater`.
  void return_inflater(std::unique_ptr<Inflater> inflater);

 private:
  DeflateSettings settings_;
  Budget* budget_;
  Budget* reserve_;
  std::array<std::size_t, 16> deflater_memory_{};  ///< the index is `window_bits`; 0: not measured
  std::size_t inflater_memory_ = 0;
  std::array<std::unique_ptr<Deflater>, 16> deflaters_;  ///< the index is `window_bits`
  std::unique_ptr<Inflater> spare_;
};

/// The state of permessage-deflate for one connection.
class PermessageDeflate {
 public:
  /// `reserved`: from `pool.reserve()`. Returns the part that `agreed` does not need to the reserve.
  PermessageDeflate(const DeflateParameters& agreed, Role role, DeflatePool& pool,
                    Charge reserved = Charge(nullptr));

  /// Returns the Deflater for a message of `size` bytes, or null if the message must be sent uncompressed.
  [[nodiscard]] Deflater* deflater(std::size_t size);
  [[nodiscard]] bool keeps_sent_context() const { return keeps_sent_context_; }
  /// Empties our Deflater's window. Call this after sending a message that another Deflater compressed, since only the
  /// peer's window contains that message.
  void forget_sent_context();
  /// True if the peer can decompress messages that were compressed with the pool's settings and an empty window.
  [[nodiscard]] bool accepts_shared() const { return send_bits_ == pool_.settings().window_bits; }

  /// Starts a received message. Returns its Inflater, or null if there is not enough memory.
  [[nodiscard]] Inflater* begin_message();
  /// Ends the received message. Without context takeover, gives the Inflater back to the pool.
  void end_message();

 private:
  /// The budget for the Deflater and Inflater that the connection keeps; null if their memory is already charged to the
  /// reserve.
  [[nodiscard]] Budget* kept_budget() const;

  DeflatePool& pool_;
  Charge reserved_;
  std::unique_ptr<Deflater> deflater_;  ///< null without context takeover
  std::unique_ptr<Inflater> inflater_;  ///< without context takeover: null between messages
  std::uint8_t send_bits_;
  bool keeps_sent_context_;
  bool keeps_received_context_;
};

}  // namespace ws
