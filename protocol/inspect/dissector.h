// Splits one direction of a connection into HTTP heads and frames, for the wire log, wstrace and wsc. RFC 6455 §1.2,
// §5.2. A Connection stops at the first broken rule; a Dissector also shows frames that break the rules.
//
//      stream   │ head │ frame │ frame │ fra…          one Dissector for each direction
//      offset   1      228     246     254             as in Wireshark's relative sequence numbers: the SYN is byte 0
//
// Invariants:
//  1. Heads and frames do not depend on how the bytes are split into calls.
//  2. A Dissector stores either one HTTP head, whose size is limited as in HttpHead, or one frame header with at most
//     `keep` bytes of its payload. If a head made the buffer large, the next call of `next` frees the buffer.
//  3. Every byte is in exactly one item. Bytes that belong to no head and no frame form kData items.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "protocol/error.h"
#include "protocol/frame/frame.h"
#include "protocol/http/http_message.h"
#include "protocol/limits.h"

namespace ws {

/// One item of the stream.
struct Dissected {
  enum class Type : std::uint8_t {
    kHead,   ///< head of an HTTP message; if `error` is set, ends at the byte that shows the error
    kFrame,  ///< `bytes`: the frame header and the kept bytes of the payload
    kData,   ///< other bytes: the body of an HTTP message, or bytes after an invalid head
  };
  Type type = Type::kData;
  Error error = Error::kNone;          ///< if kHead: the broken rule
  bool is_whole = true;                ///< false: cut by the end of the stream or by a gap
  FrameHeader header{};                ///< if kFrame
  std::size_t header_size = 0;         ///< bytes of the frame header; 0 if the header is cut
  std::uint64_t offset = 0;            ///< position of the first byte in the stream
  std::uint64_t size = 0;              ///< bytes received, header and payload
  std::uint16_t status = 0;            ///< HTTP status of a response head; 0 otherwise
  std::span<const std::byte> bytes{};  ///< the kept bytes, as received; valid until the next call
};

enum class Sender : std::uint8_t { kClient, kServer };

class Dissector {
 public:
  /// `keep`: maximum bytes of a frame's payload, or of a kData item, in `Dissected::bytes`. Heads are kept completely.
  Dissector(Sender sender, std::size_t keep);

  /// Consumes bytes from the front of `in`, at most to the end of the next item. Returns the item, or nullopt if more
  /// bytes are needed. A kData item is never incomplete: each call returns all available data bytes as one item.
  std::optional<Dissected> next(std::span<const std::byte>& in);
  /// Call this when the stream ends or when bytes of the stream are missing. Returns the incomplete item, or nullopt if
  /// there is none.
  std::optional<Dissected> cut();
  /// Advances the offset by `size` missing bytes. Call `cut` first. If the missing bytes end inside the frame or body
  /// that `cut` ended, its remaining bytes are kData items. Returns true if it is known where the next head or frame
  /// begins. Otherwise, call one of the `expect_` functions before `next`; without such a call, bytes after frames are
  /// frames, and other bytes are data.
  bool skip(std::uint64_t size);

  /// Parses the client's stream as HTTP again. Call this when the server has refused an upgrade (a final status other
  /// than 101). Returns the incomplete item, or nullopt if there is none. Gives wrong results if the client sends an
  /// upgrade before it has received the responses to earlier requests.
  std::optional<Dissected> refused();
  /// Parses the next bytes as frames, as heads or as data, until another of these functions is called. For a capture
  /// that lacks the bytes before. Not allowed within an item: call `cut` first.
  void expect_frames() { state_ = State::kFrames; }
  void expect_heads() { state_ = State::kHead; }
  void expect_data() { state_ = State::kData; }

 private:
  /// kRest: the remaining bytes of a frame that `cut` ended.
  enum class State : std::uint8_t { kHead, kBody, kFrames, kRest, kData };
  std::optional<Dissected> read_head(std::span<const std::byte>& in);
  std::optional<Dissected> read_frame(std::span<const std::byte>& in);
  Dissected read_data(std::span<const std::byte>& in, std::size_t size);
  [[nodiscard]] std::uint64_t frame_size() const;
  Dissected finish(Dissected::Type type);

  Sender sender_;
  State state_ = State::kHead;
  std::size_t keep_;
  Limits limits_{};
  HttpRequest request_;
  HttpResponse response_;
  FrameHeader header_{};
  std::size_t header_size_ = 0;   ///< 0: the frame header is incomplete
  std::uint64_t left_ = 0;        ///< remaining bytes of the body, or of the cut frame
  std::uint64_t offset_ = 1;      ///< of the current item
  std::uint64_t size_ = 0;        ///< bytes received of the current item
  std::vector<std::byte> kept_;   ///< kept bytes of the current item
  std::vector<std::byte> shown_;  ///< kept bytes of the last returned item
};

}  // namespace ws
