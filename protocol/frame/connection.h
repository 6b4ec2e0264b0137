// The WebSocket connection after the opening handshake, for either role, sans I/O: RFC 6455 §5-§8.
//
// Bytes in, events out; commands in, bytes out. It knows no socket, no clock, no thread and no log:
// the server, the client, the tests and the fuzzers drive the same calls.
//
//      while ((event = connection.next(in, out)).type != Event::Type::kNeedMore) { ... }
//
// Pull, not push: the caller may stop between two events, and nothing queues in here.
//
// Its states, and what moves it (§7.1):
//
//      kOpen ── close() ──▶ kCloseSent ── the peer's Close ──▶ kFinished
//        │                      └──── a broken rule ─────────────▲
//        └── the peer's Close (answered), or a broken rule ──────┘
//
// Invariants:
//  1. How the bytes are cut into calls changes neither the events nor the output.
//  2. A Close frame is the last that is sent: no data frame (§5.5.1), and no pong either, since
//     browsers treat any frame behind a Close as an error. [6455-5.5.1-LAST]
//  3. Nothing behind the peer's Close, or behind a broken rule, is looked at. [6455-5.5.1-DISCARD]
//  4. A connection with nothing half-received owns no memory but its own bytes, and what of
//     permessage-deflate's context it has agreed to take over.
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
#include "protocol/fast/short_frame.h"
#else
namespace ws {
// No frame is a short one: all go the general way.
struct ShortFrame {
  std::size_t header_size = 0;
  std::size_t length = 0;
  explicit operator bool() const { return false; }
};
inline ShortFrame find_short_frame(std::span<const std::byte>, std::uint64_t) {
  return {};
}
inline bool append_short_frame(std::byte, std::span<const std::byte>, Output&) {
  return false;
}
}  // namespace ws
#endif

namespace ws {

class DeflatePool;
class PermessageDeflate;

/// What connections have in common; it must outlive them.
struct ConnectionSettings {
  Role role = Role::kServer;
  Limits limits{};
  MaskingKey (*new_masking_key)() = nullptr;  ///< unpredictable (§5.3); a client needs it
  Budget* budget = nullptr;                   ///< null: unlimited
  DeflatePool* deflate = nullptr;             ///< for those that use_deflate
};

struct Event {
  enum class Type : std::uint8_t {
    kNeedMore,  ///< all of the input was taken
    kText,      ///< `payload` is valid UTF-8
    kBinary,
    kPing,  ///< answered already, unless our Close was sent
    kPong,
    kClose,  ///< the peer's Close, answered unless it is an answer: `code`, `payload` its reason
    kFailed,  ///< the peer broke `error`; our Close, with `code`, is in the output unless sent before
  };
  Type type = Type::kNeedMore;
  Error error = Error::kNone;
  std::uint16_t code = 0;
  /// Valid until the next call of `next` or until the caller reuses the input.
  std::span<std::byte> payload{};
};

class Connection {
 public:
  explicit Connection(const ConnectionSettings& settings);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// permessage-deflate was agreed on in the opening handshake. Before the first call of the others.
  void use_deflate(const DeflateParameters& agreed);

  /// Parses from the front of `in`, unmasks there in place, shrinks `in` by what it consumed, and
  /// returns one event. What the protocol itself answers (pong, Close) is appended to `out`, at
  /// most one frame a call. Throws std::bad_alloc alone; `fail(kOutOfMemory)` is then the way out.
  Event next(std::span<std::byte>& in, Output& out);

  /// Appends one message, its payload the `parts` in order. On a server, parts of `kLendFrom` bytes
  /// and more are lent, not copied, unless the message is compressed. False, and nothing sent, once a Close
  /// was sent. Text must be UTF-8.
  bool send(Opcode opcode, std::initializer_list<std::span<const std::byte>> parts, Output& out);
  /// The same for a payload in one part, if the short way can do it; false, and nothing sent, if `send` has to.
  bool send_short(Opcode opcode, std::span<const std::byte> payload, Output& out);
  /// Appends a ping or an unsolicited pong; `payload` is at most 125 bytes. False once a Close was
  /// sent.
  bool send_control(Opcode opcode, std::span<const std::byte> payload, Output& out);
  /// Starts the closing handshake (§7.1.2). `code` is one that may_be_sent, or kNoStatus for an
  /// empty Close; `reason`, UTF-8, is cut to 123 bytes. False once a Close was sent.
  bool close(std::uint16_t code, std::string_view reason, Output& out);
  /// Fails the connection (§7.1.7) for `error`, as `next` does by itself for a broken rule.
  [[gnu::cold]] Event fail(Error error, Output& out);  // once a connection at most

  /// May messages be sent?
  [[nodiscard]] bool is_open() const { return state_ == State::kOpen; }
  /// True between our Close and the peer's: the caller sets a deadline.
  [[nodiscard]] bool awaits_close() const { return state_ == State::kCloseSent; }
  /// Nothing more will be sent or understood. A server now ends TCP first: half-close behind the
  /// output, read to EOF within a deadline. A client waits for the server to do so. §7.1.1
  [[nodiscard]] bool is_finished() const { return state_ == State::kFinished; }
  /// True while part of a frame or message is held.
  [[nodiscard]] bool is_mid_message() const { return header_size_ != 0 || partial_ != nullptr; }
  /// True if the peer can be sent frames that were compressed elsewhere, without context; after them
  /// `forget_sent_context` is called.
  [[nodiscard]] bool takes_shared_deflate() const;
  void forget_sent_context();
  /// Frees what backs the last event's payload; `next` does so first of all.
  void release() {
    if (partial_ != nullptr)
      release_delivered();
  }

  /// A part of this size is worth a piece of its own in a vectored write.
  static constexpr std::size_t kLendFrom = 16 * 1024;

 private:
  enum class State : std::uint8_t { kOpen, kCloseSent, kFinished };
  struct Partial;  // the half-received frame and message

  /// A server reads and sends short frames by the short way.
  [[nodiscard]] bool has_short_way() const { return settings_->role == Role::kServer; }
  Event take_short_frame(ShortFrame frame, std::span<std::byte>& in, Output& out);
  // Not in line where the short way is: they would make it save registers that it does not use.
  [[gnu::noinline]] Event next_of_any(std::span<std::byte>& in, Output& out);
  void release_delivered();
  HeaderResult take_header(std::span<std::byte>& in, FrameHeader& header);
  Event take_whole_frame(const FrameHeader& header, std::span<std::byte> payload, Output& out);
  Event take_payload(std::span<std::byte>& in, Output& out);
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
  std::unique_ptr<PermessageDeflate> deflate_;  ///< null: not agreed on
  State state_ = State::kOpen;
  std::uint8_t header_size_ = 0;  ///< bytes of a cut header that lie in header_
  std::array<std::byte, kMaxHeaderSize> header_{};
};

// In the caller's loop itself: a third of a short message's instructions would be the calls.
[[gnu::always_inline]] inline Event Connection::next(std::span<std::byte>& in, Output& out) {
  release();
  if (!is_mid_message() && has_short_way() && state_ != State::kFinished) {
    if (const ShortFrame frame = find_short_frame(in, settings_->limits.message))
      return take_short_frame(frame, in, out);
  }
  // Copies, so that those of the short way can be in registers: these cannot, being passed by reference.
  std::span<std::byte> rest = in;
  const Event event = next_of_any(rest, out);
  in = rest;
  return {.type = event.type, .error = event.error, .code = event.code, .payload = event.payload};
}

[[gnu::always_inline]] inline Event Connection::take_short_frame(ShortFrame frame,
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

inline bool Connection::send_short(Opcode opcode, std::span<const std::byte> payload, Output& out) {
  static_assert(kLendFrom <= 0x10000);
  // [6455-5.5.1-LAST]
  return state_ == State::kOpen && deflate_ == nullptr && has_short_way() &&
         payload.size() < kLendFrom &&
         append_short_frame(std::byte{0x80} | static_cast<std::byte>(opcode), payload, out);
}

}  // namespace ws
