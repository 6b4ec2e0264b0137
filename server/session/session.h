// One TCP connection from accept to close: it reads, hands messages to its endpoint, and sends the answers.
//
//      kHead ──101──▶ kOpen ──Close frames exchanged, failed, or EOF──▶ kFlushing ──▶ kDraining ──▶ kEnded
//        ├──any other answer──────────────────────────────────────────────▲ │ (the peer's FIN came) ──▲
//        └──EOF inside the head──▶ kEnded          from each: a reset or an error of the socket ──▶ kEnded
//
//      kHead      the request head is coming; then 101 and an endpoint, or a refusal
//      kOpen      messages go to the endpoint; ends with the closing handshake (RFC 6455 §7.1)
//      kFlushing  input is ignored; queued output is still sent
//      kDraining  our FIN is sent, and input is discarded until the peer's FIN: close() with unread bytes would
//                 send RST, and the peer might drop our last frame before its application has read it. §7.1.1
//      kEnded     erased at the end of the loop iteration; until then it stays in the table
//
// Its parts, each in a file of its name, do not call it: transport (the socket), opening (the request head), deadlines,
// cork (gathers the answers of one read), backlog (what waits while the socket is full).
//
// handle_input, handle_frames and uncork, the path of a short message, are always_inline. Rare cases are noinline or
// cold, so that the compiler saves no registers for them on that path.
//
// Invariants:
//  1. Backpressure: after a frame that leaves more than `outbox_high` bytes queued, a session is not read from until
//     fewer than `outbox_low` are; input that was read already waits in the backlog. After our Close all is read.
//  2. epoll watches only for events that can be acted on: a paused or half-closed session wakes no one.
//  3. A peer cannot postpone a deadline by sending or reading a few bytes at a time (deadlines.h).
#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>

#include "protocol/frame/connection.h"
#include "server/net/timers.h"
#include "server/net/transport.h"
#include "server/session/backlog.h"
#include "server/session/connection_count.h"
#include "server/session/deadlines.h"
#include "server/session/endpoint.h"
#include "server/session/opening.h"
#include "server/session/session_context.h"
#include "server/session/session_id.h"

namespace ws {

class Session final : public TimerNode {
 public:
  enum class State : std::uint8_t { kHead, kOpen, kFlushing, kDraining, kEnded };
  enum class SendResult : std::uint8_t {
    kQueued,    ///< it will be sent, or is
    kOverHigh,  ///< the same, and more than `limits.outbox_high` bytes are queued: better wait
    kRefused,   ///< it is not open, or the connection was lost during this call
  };

  /// `address`: what ConnectionCount::enter returned for it.
  Session(SessionContext& context, Fd fd, EventLoop::Token token, ConnectionCount::Address address);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- For endpoints.

  [[nodiscard]] SessionId id() const { return SessionId(token().generation); }
  /// Sends one message, its payload the `parts` in order. Text must be UTF-8.
  [[gnu::noinline]] SendResult send(Opcode opcode,
                                    std::initializer_list<std::span<const std::byte>> parts);
  /// The same for a payload in one part: fewer steps, if it is a short answer to what is being handled.
  SendResult send(Opcode opcode, std::span<const std::byte> payload);
  /// Stops reading from the peer until `release`.
  void hold();
  void release();
  [[nodiscard]] bool is_held() const { return is_held_; }
  /// Starts the closing handshake; see Connection::close. Messages that still come are not delivered.
  void close(std::uint16_t code, std::string_view reason);
  /// Fails the connection: a Close with the error's code, and input is ignored from then on.
  void fail(Error error);
  [[nodiscard]] bool is_open() const { return state_ == State::kOpen && connection_.is_open(); }

  // --- For rooms.

  /// True if it can be sent frames that the context's pool compresses for many.
  [[nodiscard]] bool takes_shared_deflate() const { return connection_.takes_shared_deflate(); }
  /// Sends ranges of a block of whole frames that several sessions share; compressed ones only if takes_shared_deflate.
  /// If earlier output was still queued and the queue now costs more than `limits.chat_queue` bytes (Outbox::cost), the
  /// session is disconnected with Close 1008 and the result is false.
  bool send_shared(const std::shared_ptr<const Block>& block, std::span<const Range> ranges);
  /// Ends it with a reset, so that a truncated stream cannot look complete.
  [[gnu::cold]] void reset(std::string_view why);
  static constexpr std::uint32_t kNoMember = UINT32_MAX;
  std::uint32_t member = kNoMember;  ///< its index in the room that it is in

  // --- For the server.

  /// Watches the socket; an error if the kernel will not.
  std::error_code start();
  /// Answers without having read a request (the server is full), and ends.
  void refuse(Error error);
  /// Returns false if there was nothing to do.
  bool on_ready(std::uint32_t events);
  void on_timer();
  /// Writes what is corked, then calls `update` unless is_quiet. After send, close and fail the output stays corked until
  /// the loop iteration ends or another session takes the cork.
  [[gnu::always_inline]] void uncork() {
    flush();
    if (!is_quiet())
      update();
  }
  /// Handling this session threw `what`: answers 500 before the 101, sends Close 1011 while it is open, and later only
  /// logs it. May throw: the caller then ends the session.
  void on_exception(std::string_view what);
  /// Ends it. It is erased at the end of the loop iteration.
  [[gnu::cold]] void end(std::error_code error = {}, std::string_view why = {});
  /// Tells the endpoint that TCP ended, if it was not told of an end before.
  void report_end(const EndedSession& ended);

  [[nodiscard]] EventLoop::Token token() const { return transport_.token(); }
  [[nodiscard]] State state() const { return state_; }
  /// For the log.
  [[nodiscard]] std::string_view state_name() const;
  /// The 101 was sent, and it has not ended.
  [[nodiscard]] bool is_upgraded() const { return route_ != kNoRoute && state_ != State::kEnded; }
  /// The path of its route; "-" if it has none.
  [[nodiscard]] std::string_view path() const;
  [[nodiscard]] ConnectionCount::Address address() const { return address_; }
  /// Bytes in the backlog that wait to be sent; corked bytes are not counted.
  [[nodiscard]] std::size_t queued() const {
    return backlog_ == nullptr ? 0 : backlog_->output.queued();
  }

 private:
  static constexpr std::uint16_t kNoRoute = UINT16_MAX;

  // --- Input
  bool read();
  [[gnu::noinline]] void read_head(std::span<std::byte> bytes);
  void refuse_with(const Answer& answer);
  [[gnu::always_inline]] void handle_input(std::span<std::byte> in);
  [[gnu::always_inline]] bool handle_frames(std::span<std::byte>& in);
  [[gnu::noinline]] void watch_message(std::size_t received, bool is_new);
  void deliver(const Event& message, Endpoint& to);
  [[gnu::noinline]] void handle_event(Event event);
  [[gnu::noinline]] void handle_fin();
  [[gnu::noinline]] bool resume();

  // --- Output
  /// Makes this session the cork's owner: what it sends gathers there. The owner before is uncorked first.
  [[gnu::noinline]] void take_cork();
  SendResult after_send();
  void flush() {
    if (context_.cork.owner() == this)
      flush_cork();
  }
  void flush_cork();
  [[gnu::noinline]] void queue_unsent(const Output& out, IoResult sent);
  [[gnu::noinline]] void flush_backlog();
  Backlog& backlog();
  void watch_output(std::size_t sent);
  void disconnect_slow_reader();

  // --- The end
  /// Enters kFlushing. To be called before tell_closed: the endpoint may then send to other sessions, which uncorks this
  /// one, and it must be known that no more output follows.
  void start_flushing();
  void half_close_if_flushed();
  void tell_closed(const Ending& ending);

  // --- What may happen next
  /// The common case: nothing is queued, the epoll interest is unchanged, and no deadline runs but keep-alive's.
  [[nodiscard]] bool is_quiet() const {
    return state_ == State::kOpen && backlog_ == nullptr && !is_paused_ &&
           transport_.interest() == EPOLLIN && deadlines_.is_quiet();
  }
  [[gnu::noinline]] void update();
  [[nodiscard]] bool may_read() const;
  void arm();
  [[nodiscard]] std::int64_t now() const { return context_.loop.now(); }
  [[nodiscard]] const Limits& limits() const { return context_.settings.limits; }
  [[nodiscard]] Endpoint& endpoint() const { return *context_.router.endpoint(route_); }

  ConnectionCount::Address address_;  // declared first: fills the padding after `member`
  SessionContext& context_;
  Connection connection_;
  std::unique_ptr<Backlog> backlog_;   ///< null while nothing waits
  std::unique_ptr<PartialHead> head_;  ///< null unless a request head is coming in several reads
  [[no_unique_address]] Deadlines deadlines_;
  State state_ = State::kHead;
  bool is_paused_ : 1 = false;  ///< not read from, for backpressure or by `hold`
  bool is_held_ : 1 = false;    ///< paused by its endpoint
  bool is_fin_received_ : 1 = false;
  bool is_told_closed_ : 1 = false;  ///< its endpoint knows that it has ended
  [[no_unique_address]] Transport transport_;
  std::uint16_t route_ = kNoRoute;  ///< index into the router's routes; kNoRoute until the 101
};

// An idle connection costs this, 8 bytes of malloc's and 24 of the table's. glibc's blocks grow by 16 bytes.
static_assert(sizeof(Session) <= 136);

}  // namespace ws
