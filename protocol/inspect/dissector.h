// What an onlooker makes of one direction of a connection: the heads of HTTP messages, then frames. RFC 6455
// §1.2, §5.2. A Connection judges, and stops at the first broken rule; a Dissector shows what crossed, whatever
// it breaks. The wire log and the reader of captures hang on it.
//
//      stream   │ head │ frame │ frame │ fra…          one Dissector for each direction
//      offset   1      228     246     254             Wireshark's relative sequence number: SYN is byte 0
//
// Invariants:
//  1. How the bytes are cut into calls changes nothing.
//  2. Of a frame its header and `keep` bytes are held, of a head what HttpHead's limits allow; between two calls that
//     found no item, of a head none.
//  3. Every byte is in one item, and in one only; what is no head and no frame is data.
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

/// One thing that crossed the wire.
struct Dissected {
  enum class Type : std::uint8_t {
    kHead,   ///< of an HTTP message; it ends with what is wrong with it, if anything is: `error`
    kFrame,  ///< `header` with its bytes; the payload behind it
    kData,   ///< neither: the body of an HTTP message, or what follows a head that is none
  };
  Type type = Type::kData;
  Error error = Error::kNone;
  bool is_whole = true;         ///< false: the stream ended in it, or a gap was in it
  FrameHeader header{};         ///< if kFrame
  std::size_t header_size = 0;  ///< bytes of the frame header; 0 if even that is cut
  std::uint64_t offset = 0;     ///< of its first byte
  std::uint64_t size = 0;       ///< bytes that came, header and payload
  std::uint16_t status = 0;     ///< of the head of an answer, if nothing is wrong with it
  std::span<const std::byte>
      bytes{};  ///< the first of them, as they were; valid until the next call
};

/// Who sends what is looked at.
enum class Sender : std::uint8_t { kClient, kServer };

class Dissector {
 public:
  /// `keep`: bytes of a payload, or of data, that are shown. Of a head all are.
  Dissector(Sender sender, std::size_t keep);

  /// Consumes from the front of `in`, up to the end of the next item; nullopt if that is yet to come. Data is
  /// an item as it comes.
  std::optional<Dissected> next(std::span<const std::byte>& in);
  /// The stream ended, or bytes of it are missing: what has been begun, if anything.
  std::optional<Dissected> cut();
  /// Behind `cut`: `size` bytes are missing. What follows is taken to begin with a frame, if frames had begun.
  void skip(std::uint64_t size) { offset_ += size; }

  /// The server has answered, and not with 101: what comes from the client is HTTP again, and no frame. What has
  /// been begun, if anything. (A client that sends an upgrade ahead of the answers to other requests is mistaken.)
  std::optional<Dissected> refused();
  /// Takes what comes for frames, whatever came: for a stream whose beginning was not seen.
  void take_frames() { state_ = State::kFrames; }

 private:
  enum class State : std::uint8_t { kHead, kBody, kFrames, kData };
  std::optional<Dissected> take_head(std::span<const std::byte>& in);
  std::optional<Dissected> take_frame(std::span<const std::byte>& in);
  Dissected take_data(std::span<const std::byte>& in, std::size_t size);
  Dissected finish(Dissected::Type type);

  Sender sender_;
  State state_ = State::kHead;
  std::size_t keep_;
  Limits limits_{};
  HttpRequest request_;
  HttpResponse response_;
  FrameHeader header_{};
  std::size_t header_size_ = 0;   ///< 0: not known yet
  std::uint64_t left_ = 0;        ///< bytes of the body that are to come
  std::uint64_t offset_ = 1;      ///< of the item that is coming
  std::uint64_t size_ = 0;        ///< bytes of it that came
  std::vector<std::byte> kept_;   ///< its first
  std::vector<std::byte> shown_;  ///< backs the last item
};

}  // namespace ws
