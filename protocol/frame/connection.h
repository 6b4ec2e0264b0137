// A WebSocket connection after the opening handshake, for either role, without I/O: RFC 6455 §5-§8.
//
// A Connection converts received bytes into events, and messages into bytes to send. It uses no socket, clock, thread
// or log, so that the server, the client, the tests and the fuzzers can call the same code.
//
//      while ((event = connection.next(in, out)).type != Event::Type::kNeedMore) { ... }
//
// The caller asks for one event at a time and may stop after any event. A Connection never queues events.
//
// States and transitions (§7.1):
//
//      kOpen ── close() ──▶ kCloseSent ── Close received ──▶ kFinished
//        │                      └──── rule broken ─────────────▲
//        └── Close received (and answered), or rule broken ────┘
//
// Invariants:
//  1. Events and output do not depend on how the input is split into calls.
//  2. No frame is sent after a Close frame. §5.5.1 forbids only data frames, but browsers also treat a pong after a
//     Close as an error. [6455-5.5.1-LAST]
//  3. Input after the peer's Close, or after a broken rule, is discarded. [6455-5.5.1-DISCARD]
//  4. Between messages, after `release`, a connection owns no heap memory except its state of permessage-deflate.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include "protocol/budget.h"
#include "protocol/deflate/extensions.h"
#include "protocol/error.h"
#include "protocol/frame/close.h"
#include "protocol/frame/frame.h"
#include "protocol/frame/mask.h"
#include "protocol/frame/utf8.h"
#include "protocol/limits.h"
#include "protocol/output.h"

#if FBF_FAST
#include "protocol/fast/small_frame.h"
#else
namespace ws {
// Stubs for a build without the fast path, in which the general path handles all frames.
struct SmallFrame {
  std::size_t header_size = 0;
  std::size_t length = 0;
  explicit operator bool() const { return false; }
};
inline SmallFrame find_small_frame(std::span<const std::byte>, std::uint64_t) {
  return {};
}
inline bool append_small_frame(std::byte, std::span<const std::byte>, Output&) {
  return false;
}
}  // namespace ws
#endif

namespace ws {

class DeflatePool;
class PermessageDeflate;

/// Settings that connections share. The object must outlive these connections.
struct ConnectionSettings {
  Role role = Role::kServer;
  Limits limits{};
  MaskingKey (*new_masking_key)() = nullptr;  ///< required for clients: unpredictable keys (§5.3)
  Budget* budget = nullptr;                   ///< for messages received in part; null: no limit
  DeflatePool* deflate = nullptr;             ///< required for `use_deflate`
};

struct Event {
  enum class Type : std::uint8_t {
    kNeedMore,  ///< no event yet: all input was consumed
    kText,      ///< `payload` is valid UTF-8
    kBinary,
    kPing,  ///< the pong is in the output, unless we have sent a Close
    kPong,
    kClose,   ///< received a Close: `code`, reason in `payload`; our Close is in `out` or was sent
    kFailed,  ///< failed with `error`; a Close with `code` is in the output, unless already sent
  };
  Type type = Type::kNeedMore;
  Error error = Error::kNone;
  std::uint16_t code = 0;
  /// Valid until the next call of `next` or `release`, or until the caller reuses the input buffer.
  std::span<std::byte> payload{};
};

class Connection {
 public:
  explicit Connection(const ConnectionSettings& settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Enables permessage-deflate with the parameters negotiated in the opening handshake. `reserved`: from
  /// DeflatePool::reserve, for context takeover. Must be called before any other function.
  void use_deflate(const DeflateParameters& agreed, Charge reserved = Charge(nullptr));

  /// Parses `in` up to the next event. Unmasks the payload in place and removes the consumed bytes from the front of
  /// `in`. Appends the answers that the protocol requires (pong, Close) to `out`, at most one frame per call. Throws
  /// only std::bad_alloc, after which the caller must call `fail(kOutOfMemory)`.
  Event next(std::span<std::byte>& in, Output& out);

  /// Appends one message to `out`. The payload is the concatenation of `parts`; the payload of a text message must be
  /// UTF-8. A server lends parts of `kLendFrom` bytes or more instead of copying them, unless it compresses the
  /// message. Returns false and appends nothing if a Close was already sent.
  bool send(Opcode opcode, std::initializer_list<std::span<const std::byte>> parts, Output& out);
  /// Fast path of `send` for a payload in one part. If it returns false, nothing was appended and the caller must call
  /// `send`.
  bool try_send_small(Opcode opcode, std::span<const std::byte> payload, Output& out);
  /// Appends a ping or pong with a `payload` of at most 125 bytes. Returns false and appends nothing if a Close was
  /// already sent.
  bool send_control(Opcode opcode, std::span<const std::byte> payload, Output& out);
  /// Starts the closing handshake (§7.1.2). `code` must satisfy may_be_sent, or be kNoStatus for a Close without
  /// payload. `reason` must be UTF-8; a longer reason is cut to 123 bytes. Returns false if a Close was already sent.
  bool close(std::uint16_t code, std::string_view reason, Output& out);
  /// Fails the connection with `error` (§7.1.7): appends a Close and ignores all further input. `next` calls this
  /// function when the peer breaks a rule.
  [[gnu::cold]] Event fail(Error error, Output& out);  // cold: runs at most once per connection

  /// True if no Close was sent or received, so that messages can be sent.
  [[nodiscard]] bool is_open() const { return state_ == State::kOpen; }
  /// True if we have sent a Close and not yet received one. The caller must set a deadline for the peer's Close.
  [[nodiscard]] bool awaits_close() const { return state_ == State::kCloseSent; }
  /// True if the connection sends and parses no more frames. If so, a server sends the output and a TCP FIN, and reads
  /// to EOF within a deadline. A client waits for the server's TCP FIN. §7.1.1
  [[nodiscard]] bool is_finished() const { return state_ == State::kFinished; }
  /// True if part of a frame or message is stored, or the payload of the last event is stored and not yet freed by
  /// `release`.
  [[nodiscard]] bool is_mid_message() const { return header_size_ != 0 || partial_ != nullptr; }
  /// Returns how many bytes of the incomplete message's payload were received since the last call. Bytes of headers and
  /// of control frames are not counted.
  [[nodiscard]] std::size_t consume_progress();
  /// True if the peer can decompress frames that were compressed once for many connections, with an empty window. After
  /// sending such a frame, the caller must call `forget_sent_context`.
  [[nodiscard]] bool accepts_shared_deflate() const;
  /// Empties the window of our compressor. Call this after sending a frame that another compressor made, since only the
  /// peer's window contains the message in that frame.
  void forget_sent_context();
  /// Frees the memory of the last event's payload. `next` also frees it.
  void release() {
    if (partial_ != nullptr)
      release_delivered();
  }

  /// Parts of at least this many bytes are lent: for them a separate piece in a vectored write is cheaper than a copy.
  static constexpr std::size_t kLendFrom = 16 * 1024;

 private:
  enum class State : std::uint8_t { kOpen, kCloseSent, kFinished };
  struct Partial;  // a frame and message received in part

  /// Only servers use the fast path for small frames.
  [[nodiscard]] bool has_fast_path() const { return settings_->role == Role::kServer; }
  Event handle_small(SmallFrame frame, std::span<std::byte>& in, Output& out);
  // Not inlined: if it were, the fast path would also have to save the registers that only this function uses.
  [[gnu::noinline]] Event next_general(std::span<std::byte>& in, Output& out);
  void release_delivered();
  HeaderResult read_header(std::span<std::byte>& in, FrameHeader& header);
  Event handle_whole_frame(const FrameHeader& header, std::span<std::byte> payload, Output& out);
  Event read_payload(std::span<std::byte>& in, Output& out);
  Event end_data_frame(bool fin, Output& out);
  Event control_event(Opcode opcode, std::span<std::byte> payload, Output& out);
  Partial& partial();
  bool append_compressed(Opcode opcode, std::span<const std::span<const std::byte>> parts,
                         Output& out);
  void append_frame(Opcode opcode, std::span<const std::span<const std::byte>> parts, Output& out);
  void append_lent(const FrameHeader& header, std::span<const std::span<const std::byte>> parts,
                   Output& out);

  const ConnectionSettings* settings_;
  std::unique_ptr<Partial> partial_;
  std::unique_ptr<PermessageDeflate> deflate_;  ///< null: not negotiated
  State state_ = State::kOpen;
  std::uint8_t header_size_ = 0;  ///< bytes of an incomplete header in header_
  std::array<std::byte, kMaxHeaderSize> header_{};
};

// Inlined, since the calls would be a third of the instructions for a short message.
[[gnu::always_inline]] inline Event Connection::next(std::span<std::byte>& in, Output& out) {
  release();
  if (!is_mid_message() && has_fast_path() && state_ != State::kFinished) {
    if (const SmallFrame frame = find_small_frame(in, settings_->limits.message))
      return handle_small(frame, in, out);
  }
  // Pass a copy of `in` and return a copy of the event: variables whose addresses are passed to a call cannot stay in
  // registers, even on the fast path.
  std::span<std::byte> rest = in;
  const Event event = next_general(rest, out);
  in = rest;
  return {.type = event.type, .error = event.error, .code = event.code, .payload = event.payload};
}

[[gnu::always_inline]] inline Event Connection::handle_small(SmallFrame frame,
                                                             std::span<std::byte>& in,
                                                             Output& out) {
  const bool is_text = in[0] == std::byte{0x81};
  MaskingKey key;
  std::memcpy(key.data(), &in[frame.header_size - key.size()], key.size());
  const auto payload = in.subspan(frame.header_size, frame.length);
  in = in.subspan(frame.header_size + frame.length);
  apply_mask(payload, key);
  if (is_text && !is_utf8(payload))
    return fail(Error::kTextNotUtf8, out);
  return {.type = is_text ? Event::Type::kText : Event::Type::kBinary, .payload = payload};
}

inline bool Connection::try_send_small(Opcode opcode, std::span<const std::byte> payload,
                                       Output& out) {
  static_assert(kLendFrom <= 0x10000);
  // [6455-5.5.1-LAST] sends nothing after a Close
  return state_ == State::kOpen && deflate_ == nullptr && has_fast_path() &&
         payload.size() < kLendFrom &&
         append_small_frame(std::byte{0x80} | static_cast<std::byte>(opcode), payload, out);
}

}  // namespace ws
