// One TCP connection from accept to close: reads, protocol, outbox, deadlines.
//
//      kHead ──101──▶ kOpen ──Close frames exchanged, failed, or EOF──▶ kFlushing ──▶ kDraining ──▶ kDead
//        ├──any other answer──────────────────────────────────────────────▲ │ (the peer's FIN came) ──▲
//        └──EOF inside the head──▶ kDead          from each: a reset or an error of the socket ──▶ kDead
//
//      kHead      the request head is coming; then 101 and an endpoint, or a refusal
//      kOpen      messages go to the endpoint; ends with the closing handshake (RFC 6455 §7.1)
//      kFlushing  nothing more is understood; what is queued still leaves
//      kDraining  our FIN is sent, and what still comes is discarded until the peer's: closing with
//                 unread bytes would make a reset of it, which may overtake our last frame. §7.1.1
//      kDead      buried at the end of the turn; until then it stays in the table
//
// Answers are gathered while a read is handled, in the one Output of the loop, and leave in one write; what
// the socket does not take goes to the outbox, which exists only then.
//
// The turn of a quiet session, which is a read, short messages, their answers and a write, is in line (always_inline).
// What it does not need is apart (noinline, cold): in line it would cost every turn the registers that it uses.
//
// Invariants:
//  1. A session over its high mark is not read from until it is below its low mark, and what was read
//     already waits in the outbox: its sender is slowed down, nothing is lost, nothing grows.
//  2. epoll is asked only for what can be acted on: a paused or half-closed session wakes nobody.
//  3. Each wait has a deadline, and no trickle of bytes moves it.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "protocol/connection.h"
#include "protocol/deflate.h"
#include "protocol/http_request.h"
#include "server/connection_count.h"
#include "server/endpoint.h"
#include "server/event_loop.h"
#include "server/fd.h"
#include "server/outbox.h"
#include "server/router.h"
#include "server/timers.h"

namespace ws {

class WireLog;

/// A request head that did not come in one read. Most do, and their sessions never have one.
struct HttpStage {
  explicit HttpStage(Budget& budget) : bytes(budget) {}
  HttpRequest request;
  Block bytes;
};

/// A session whose end has come, and why: what the system said, or we; neither if it ended in good order.
struct Dead {
  EventLoop::Token token;
  std::error_code error{};
  std::string_view why{};
};

/// The memory that the sessions of all loops may hold together.
struct Memory {
  explicit Memory(const Limits& limits)
      : budget(limits.buffered), windows(limits.buffered / 2, &budget) {}
  Budget budget;
  /// permessage-deflate's part of it. Sessions keep windows while they say nothing: as many as come. So that they
  /// leave something for what is said, with or without compression, they get half.
  Budget windows;
};

/// What all sessions of one loop share; it outlives them.
struct SessionContext {
  SessionContext(const Limits& limits, const Router& router_to_use, Memory& memory,
                 const DeflateSettings& deflate_settings = {});

  Budget& budget;
  DeflatePool deflate;
  ConnectionSettings settings;
  const Router& router;
  EventLoop loop;
  std::vector<std::byte> receive_buffer;
  Output gathered;              ///< what `gatherer` has to say
  Session* gatherer = nullptr;  ///< to be settled; null: nothing is gathered
  HttpRequest request;          ///< for heads that lie whole in the receive buffer
  std::vector<Dead> dead;       ///< to be buried at the end of the turn
  bool is_stopping = false;     ///< requests are answered 503
  WireLog* wire_log = nullptr;  ///< null: what crosses is not logged
};

/// Eight hex digits that no other session of this server has had.
class SessionId {
 public:
  explicit SessionId(std::uint32_t serial);
  [[nodiscard]] std::string_view text() const { return {digits_.data(), digits_.size()}; }

 private:
  std::array<char, 8> digits_;
};

class Session final : public TimerNode {
 public:
  enum class State : std::uint8_t { kHead, kOpen, kFlushing, kDraining, kDead };
  enum class SendResult : std::uint8_t {
    kQueued,    ///< it will leave, or has left
    kOverHigh,  ///< the same, and more is queued than the high mark: better wait
    kRefused,   ///< the session is closing; nothing was queued
  };

  /// `address`: what counts the session; see ConnectionCount.
  Session(SessionContext& context, Fd fd, EventLoop::Token token, AddressCount* address);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- For endpoints.

  [[nodiscard]] SessionId id() const { return SessionId(serial_); }
  /// Sends one message, its payload the `parts` in order. Text must be UTF-8.
  [[gnu::noinline]] SendResult send(Opcode opcode,
                                    std::initializer_list<std::span<const std::byte>> parts);
  /// The same for a payload in one part: fewer steps, if it is a short answer to what is being handled.
  SendResult send(Opcode opcode, std::span<const std::byte> payload);
  /// What comes from the peer waits from now on, until it is released.
  void hold();
  void release();
  [[nodiscard]] bool is_held() const { return is_held_; }
  /// Starts the closing handshake; see Connection::close. Messages that still come are not delivered.
  void close(std::uint16_t code, std::string_view reason);
  /// Fails the connection: a Close with the error's code, and nothing more is understood.
  void fail(Error error);
  [[nodiscard]] bool is_open() const { return state_ == State::kOpen && connection_.is_open(); }

  // --- For rooms.

  /// True if it can be sent frames that the context's pool compresses for many.
  [[nodiscard]] bool takes_shared_deflate() const { return connection_.takes_shared_deflate(); }
  /// Sends ranges of a block of whole frames that all receivers share; such frames may be among them, if it
  /// takes them. A receiver that was behind already, and with these costs more than `limits.chat_queue`
  /// bytes, is put out: false.
  bool send_shared(const std::shared_ptr<const Block>& block, std::span<const Range> ranges);
  /// Ends it with a reset: the peer does not read, or what it was sent is not all, and it must not take it
  /// for that.
  [[gnu::cold]] void reset(std::string_view why);
  static constexpr std::uint32_t kNoMember = UINT32_MAX;
  std::uint32_t member = kNoMember;  ///< where the room that the session is in keeps it

  // --- For the server.

  /// Watches the socket; an error if the kernel will not.
  std::error_code start();
  /// Answers without having read a request (the server is full), and ends.
  void refuse(Error error);
  /// Returns false if there was nothing to do.
  bool on_ready(std::uint32_t events);
  void on_timer();
  /// Sends what was gathered, and asks epoll and the timers for what may come next. Whoever gathers is
  /// settled when another session begins to, and at the end of the turn.
  [[gnu::always_inline]] void settle() {
    flush();
    if (!is_quiet())
      settle_changes();
  }
  /// The way out of an exception: Close 1011, or a reset where that cannot be said any more.
  void on_exception(std::string_view what);
  /// Ends it at the end of the turn.
  [[gnu::cold]] void die(std::error_code error = {}, std::string_view why = {});
  /// Tells the endpoint of an end that it was not told of yet: TCP's, with or without an error.
  void bury(const Dead& dead);

  [[nodiscard]] EventLoop::Token token() const { return {slot_, serial_}; }
  [[nodiscard]] State state() const { return state_; }
  /// Upgraded and not yet ended.
  [[nodiscard]] bool is_upgraded() const { return route_ != nullptr && state_ != State::kDead; }
  [[nodiscard]] std::string_view path() const;
  [[nodiscard]] AddressCount* address() const { return address_; }
  [[nodiscard]] std::size_t queued() const { return outbox_ == nullptr ? 0 : outbox_->queued(); }

 private:
  // All that touch the socket; the wire log taps them.
  IoResult read_socket();
  IoResult write_socket(std::span<const iovec> pieces);
  IoResult write_gathered();
  [[gnu::noinline]] IoResult write_pieces(const Output& out);
  void finish_socket();

  /// The loop's Output, for this session.
  Output& output() {
    if (context_.gatherer != this)
      claim_output();
    return context_.gathered;
  }
  [[gnu::noinline]] void claim_output();
  SendResult after_send();
  /// Sends what was gathered, in one write; what the socket does not take is queued. [6455-6.1-TRANSMIT]
  void flush() {
    if (context_.gatherer == this)
      flush_gathered();
  }
  void flush_gathered();
  [[gnu::noinline]] void queue_rest(const Output& out, IoResult sent);
  [[gnu::noinline]] void flush_outbox();
  Outbox& outbox();
  void watch_progress();

  bool read();
  [[gnu::noinline]] void take_head(std::span<std::byte> bytes);
  void answer(const HttpRequest& request, std::span<std::byte> behind);
  void write_refusal(const Answer& answer);
  [[gnu::always_inline]] void pump(std::span<std::byte>& in);
  void deliver(const Event& message);
  [[gnu::noinline]] void take_event(Event event);
  [[gnu::always_inline]] void take_input(std::span<std::byte> in);
  [[gnu::noinline]] void take_end();
  [[gnu::noinline]] bool resume();
  void on_deadline();
  void watch_message(std::size_t received);
  void judge_message();
  void put_out();

  /// What an endpoint is told of an end, it is told behind this: it can send no more to this session, and
  /// what it sends to others settles this one.
  void start_flushing();
  void end_writing_if_flushed();
  void tell_closed(const Ending& ending);

  // region session-quiet
  /// Nothing waits, epoll need not be asked anew, and no deadline runs but keep-alive's: most often so. Whoever moves
  /// that one sets the timer (`arm`).
  [[nodiscard]] bool is_quiet() const {
    return state_ == State::kOpen && outbox_ == nullptr && !is_paused_ && interest_ == EPOLLIN &&
           deadline_ == Timers::kNever && message_deadline_ == 0;
  }
  [[gnu::noinline]] void settle_changes();
  // endregion
  [[nodiscard]] bool may_read() const;
  void arm();
  [[nodiscard]] std::int64_t next_deadline() const;
  [[nodiscard]] std::int64_t now() const { return context_.loop.now(); }
  [[nodiscard]] const Limits& limits() const { return context_.settings.limits; }

  // First, in the gap that `member` leaves.
  std::uint32_t message_wanted_ = 0;  ///< bytes of a message that must come in time, if not its end
  SessionContext& context_;
  Connection connection_;
  const Route* route_ = nullptr;            ///< null until the 101
  std::unique_ptr<Outbox> outbox_;          ///< null while nothing waits
  std::unique_ptr<HttpStage> http_;         ///< null but while a cut head is coming
  AddressCount* address_;                   ///< null: not counted
  std::int64_t deadline_ = Timers::kNever;  ///< of the head, the pong, the peer's Close or FIN
  std::int64_t heard_at_ = 0;               ///< for keep-alive: when the peer last sent anything
  std::int64_t message_deadline_ = 0;       ///< 0: no message is half received
  Fd fd_;
  std::uint32_t slot_;
  std::uint32_t serial_;
  State state_ = State::kHead;
  std::uint8_t interest_ = 0;  ///< what epoll watches for: EPOLLIN, EPOLLOUT
  bool is_paused_ : 1 = false;
  bool is_held_ : 1 = false;      ///< paused by its endpoint
  bool is_end_seen_ : 1 = false;  ///< the peer's FIN came
  bool awaits_pong_ : 1 = false;
  bool is_told_closed_ : 1 = false;
};

// The budget of memory: an idle connection is this, 8 bytes of malloc's, and the table's 24. glibc's blocks grow by 16:
// one byte more than 152 costs 16.
static_assert(sizeof(Session) <= 152);

}  // namespace ws
