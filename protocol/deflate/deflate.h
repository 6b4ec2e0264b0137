// permessage-deflate: what a compressed message is. RFC 7692 §6, §7.2. How it is agreed on is in extensions.
//
//      payload ──▶ DEFLATE blocks, the last of them empty ──▶ without its last four bytes: the frames' payload
//
//      "Hello"     f2 48 cd c9 c9 07 00 [00 00 ff ff]          c1 07 f2 48 cd c9 c9 07 00
//
// The empty block ends the message on a byte, and its last four bytes are always the same: both ends know
// them. RSV1 on a message's first frame says that it is compressed; each message may go as it is instead. With
// context takeover the window goes on from message to message, so that what was said before costs next to
// nothing; without, one compressor serves all connections.
//
// zlib does the work. Invariants:
//  1. What inflates is judged piece by piece, before more is inflated: a bomb never lies in memory.
//  2. zlib's memory is taken from the budget. Where there is none, messages are sent as they are.
//  3. A window is owned where context is taken over, and for as long as a message is half received.
//
// zlib's deflate does not know windows of 2^8 bytes: an end that may look back no further sends
// its messages as they are, which is always allowed.
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
  /// One call of ::deflate or ::inflate, from the front of `in`, which shrinks, to `out` behind the `written`
  /// bytes, which grow. Returns zlib's status.
  int step(int (*code)(z_streamp, int), int flush, std::span<const std::byte>& in,
           std::span<std::byte> out, std::size_t& written);
  z_stream stream_{};

 private:
  Charge charge_;  ///< for the memory of `stream_`
};

/// Compresses one message after the other, each in the window of those before it, unless it starts anew.
class Deflater : private ZStream {
 public:
  /// `window_bits`: 9 to 15. Null if there is no memory for it: 2^(window_bits + 3) bytes and some 6 KiB.
  [[nodiscard]] static std::unique_ptr<Deflater> make(int window_bits, Budget* budget);
  ~Deflater();

  /// Compresses the message that the `parts` make up, not empty, to the start of `out`, which has at least
  /// `max_compressed` of its size. Returns the number of bytes written: the payload of a frame that has RSV1 set.
  std::size_t compress(std::span<const std::span<const std::byte>> parts, std::span<std::byte> out);
  /// The next message looks back at nothing.
  void start_anew();

 private:
  using ZStream::ZStream;
};

/// Decompresses one message after the other.
class Inflater : private ZStream {
 public:
  /// Null if there is no memory for it: some 7 KiB, and 32 KiB more when the window is needed. It is the
  /// largest there is, whatever the peer has agreed to: whether zlib notices that somebody looks back
  /// beyond a smaller one depends on how the bytes are cut.
  [[nodiscard]] static std::unique_ptr<Inflater> make(Budget* budget);
  ~Inflater();

  struct Result {
    Error error;          ///< kNone, kCompressedData or kOverBudget, found behind what was written
    std::size_t written;  ///< less than there was room for: all of `in` was taken
  };
  /// Decompresses from the front of `in`, which it shrinks, to the start of `out`.
  Result inflate(std::span<const std::byte>& in, std::span<std::byte> out);
  /// The message has no more bytes: is it whole?
  [[nodiscard]] Error end_message();
  /// The next message finds an empty window.
  void start_anew();

 private:
  using ZStream::ZStream;
  Result run(std::span<const std::byte>& in, std::span<std::byte> out, int flush);
};

/// The most bytes that a message of `size` bytes, compressed by whatever zlib, comes to.
[[nodiscard]] constexpr std::uint64_t max_compressed(std::uint64_t size) {
  return size + size / 8 + size / 64 + 16;
}

/// Bytes that permessage-deflate takes for one connection, at most, measured: zlib reckons differently from
/// version to version.
[[nodiscard]] std::size_t deflate_memory(const DeflateSettings& settings);

/// What the connections of one thread share; it outlives them.
class DeflatePool {
 public:
  /// `budget` may be null: no limit.
  DeflatePool(const DeflateSettings& settings, Budget* budget)
      : settings_(settings), budget_(budget) {}

  [[nodiscard]] const DeflateSettings& settings() const { return settings_; }
  [[nodiscard]] Budget* budget() const { return budget_; }
  /// For messages without context; each starts anew. Null if it cannot be had.
  [[nodiscard]] Deflater* deflater(int window_bits);
  /// An Inflater for one message, which finds an empty window; null if there is no memory.
  [[nodiscard]] std::unique_ptr<Inflater> borrow_inflater();
  void give_back(std::unique_ptr<Inflater> inflater);

 private:
  DeflateSettings settings_;
  Budget* budget_;
  std::array<std::unique_ptr<Deflater>, 16> deflaters_;  ///< by window bits
  std::unique_ptr<Inflater> spare_;
};

/// One connection's side of the agreement.
class PermessageDeflate {
 public:
  PermessageDeflate(const DeflateParameters& agreed, Role role, DeflatePool& pool);

  /// For a message of `size` bytes that is to be sent; null: it goes as it is.
  [[nodiscard]] Deflater* deflater(std::size_t size);
  [[nodiscard]] bool keeps_sent_context() const { return takes_over_sent_; }
  /// What the peer was sent last was compressed elsewhere, without context: ours ends too.
  void forget_sent_context();
  /// True if what the pool's settings compress without context, the peer can decompress.
  [[nodiscard]] bool takes_shared() const { return send_bits_ == pool_.settings().window_bits; }

  /// For a message that begins; null if there is no memory.
  [[nodiscard]] Inflater* begin_message();
  void end_message();

 private:
  DeflatePool& pool_;
  std::unique_ptr<Deflater> deflater_;  ///< null unless context is taken over
  std::unique_ptr<Inflater> inflater_;  ///< null between messages, unless context is taken over
  std::uint8_t send_bits_;
  bool takes_over_sent_;
  bool takes_over_received_;
};

}  // namespace ws
