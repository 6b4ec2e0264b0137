// A WebSocket connection after the opening handshake, for either role, without I/O: RFC 6455 §5-§8.
//
// Bytes in, events out; commands in, bytes out. It uses no socket, clock, thread or log, so that the server, the
// client, the tests and the fuzzers call the same code.
//
//      while ((event = connection.next(in, out)).type != Event::Type::kNeedMore) { ... }
//
// The caller pulls events and may stop between two of them; events are never queued.
//
// States and transitions (§7.1):
//
//      kOpen ── close() ──▶ kCloseSent ── Close received ──▶ kFinished
//        │                      └──── rule broken ─────────────▲
//        └── Close received (and answered), or rule broken ────┘
//
// Invariants:
//  1. Events and output do not depend on how the input is split into calls.
//  2. No frame is sent after a Close frame: no data frame (§5.5.1), and no pong either, since browsers treat any frame
//     after a Close as an error. [6455-5.5.1-LAST]
//  3. Input after the peer's Close, or after a broken rule, is discarded. [6455-5.5.1-DISCARD]
//  4. Between messages, after `release`, a connection owns no memory except itself and its state of
//     permessage-deflate.
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
// Without the fast path: no frame counts as short, and all use the general path.
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

/// Shared by connections; must outlive them.
struct ConnectionSettings {
  Role role = Role::kServer;
  Limits limits{};
  MaskingKey (*new_masking_key)() = nullptr;  ///< unpredictable (§5.3); required for clients
  Budget* budget = nullptr;                   ///< null: unlimited
  DeflatePool* deflate = nullptr;             ///< required for `use_deflate`
};

struct Event {
  enum class Type : std::uint8_t {
    kNeedMore,  ///< all input was consumed
    kText,      ///< `payload` is valid UTF-8
    kBinary,
    kPing,  ///< the pong is in the output, unless we have sent a Close
    kPong,
    kClose,  ///< Close with `code`; `payload` is the reason. Our Close is in the output or was sent
    kFailed,  ///< failed with `error`. Our Close with `code` is in the output, unless already sent
  };
  Type type = Type::kNeedMore;
  Error error = Error::kNone;
  std::uint16_t code = 0;
  /// Valid until the next call of `next` or `release`, or until the caller reuses the input.
  std::span<std::byte> payload{};
};

class Connection {
 public:
  explicit Connection(const ConnectionSettings& settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Enables permessage-deflate, as negotiated in the opening handshake. Must be called before any other function.
  void use_deflate(const DeflateParameters& agreed);

  /// Parses one event from the front of `in`, unmasks its payload in place, and removes the consumed bytes from `in`.
  /// Appends the protocol's own answers (pong, Close) to `out`, at most one frame per call. Throws only std::bad_alloc;
  /// the caller must then call `fail(kOutOfMemory)`.
  Event next(std::span<std::byte>& in, Output& out);

  /// Appends one message; its payload is the concatenation of `parts`, and text must be UTF-8. A server lends parts of
  /// `kLendFrom` bytes or more instead of copying them, unless the message is compressed. Returns false and appends
  /// nothing after a Close was sent.
  bool send(Opcode opcode, std::initializer_list<std::span<const std::byte>> parts, Output& out);
  /// Fast path of `send` for one part. Returns false and appends nothing if the caller must use `send`.
  bool try_send_small(Opcode opcode, std::span<const std::byte> payload, Output& out);
  /// Appends a ping or pong; `payload` has at most 125 bytes. Returns false after a Close was sent.
  bool send_control(Opcode opcode, std::span<const std::byte> payload, Output& out);
  /// Starts the closing handshake (§7.1.2). `code` must satisfy may_be_sent, or be kNoStatus for an empty Close.
  /// `reason` must be UTF-8; it is shortened to 123 bytes. Returns false if a Close was already sent.
  bool close(std::uint16_t code, std::string_view reason, Output& out);
  /// Fails the connection with `error` (§7.1.7). `next` does this itself for a broken rule.
  [[gnu::cold]] Event fail(Error error, Output& out);  // at most once per connection

  /// True if messages may be sent.
  [[nodiscard]] bool is_open() const { return state_ == State::kOpen; }
  /// True between our Close and the peer's. The caller sets a deadline for the peer's.
  [[nodiscard]] bool awaits_close() const { return state_ == State::kCloseSent; }
  /// True if no frame will be sent or parsed any more. A server then closes TCP: it sends the output and a FIN, and
  /// reads to EOF within a deadline. A client waits for the server's FIN. §7.1.1
  [[nodiscard]] bool is_finished() const { return state_ == State::kFinished; }
  /// True if a part of a frame or message is stored, also until a delivered one is released.
  [[nodiscard]] bool is_mid_message() const { return header_size_ != 0 || partial_ != nullptr; }
  /// True if the peer can decompress frames that another compressor has compressed without context. After sending
  /// them, the caller must call `forget_sent_context`.
  [[nodiscard]] bool accepts_shared_deflate() const;
  /// Resets the compressor: our window no longer matches the peer's.
  void forget_sent_context();
  /// Frees the memory of the last event's payload. `next` calls this first.
  void release() {
    if (partial_ != nullptr)
      release_delivered();
  }

  /// From this size in bytes a separate piece in a vectored write is cheaper than a copy.
  static constexpr std::size_t kLendFrom = 16 * 1024;

 private:
  enum class State : std::uint8_t { kOpen, kCloseSent, kFinished };
  struct Partial;  // a frame and message received in part

  /// Only servers use the fast path for short frames.
  [[nodiscard]] bool has_fast_path() const { return settings_->role == Role::kServer; }
  Event handle_small(SmallFrame frame, std::span<std::byte>& in, Output& out);
  // Not inlined: the fast path would have to save registers that only this path uses.
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
  std::uint8_t header_size_ = 0;  ///< bytes in header_ of a header received in part
  std::array<std::byte, kMaxHeaderSize> header_{};
};

// Inlined into the caller's loop: calls would be a third of the instructions for a short message.
[[gnu::always_inline]] inline Event Connection::next(std::span<std::byte>& in, Output& out) {
  release();
  if (!is_mid_message() && has_fast_path() && state_ != State::kFinished) {
    if (const SmallFrame frame = find_small_frame(in, settings_->limits.message))
      return handle_small(frame, in, out);
  }
  // Pass a copy by reference: `in` itself, and the event of the fast path, can then stay in registers.
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
  // [6455-5.5.1-LAST]
  return state_ == State::kOpen && deflate_ == nullptr && has_fast_path() &&
         payload.size() < kLendFrom &&
         append_small_frame(std::byte{0x80} | static_cast<std::byte>(opcode), payload, out);
}

}  // namespace ws
