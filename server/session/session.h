// One TCP connection from accept to close: reads input, passes messages to the endpoint, and sends the answers.
//
//      kHead ──101──▶ kOpen ──Close frames exchanged, failed, or EOF──▶ kFlushing ──▶ kDraining ──▶ kEnded
//        ├──any other answer──────────────────────────────────────────────▲ │ (peer's FIN received) ──▲
//        └──EOF inside the head──▶ kEnded          from each: a reset or an error of the socket ──▶ kEnded
//
//      kHead      receives the request head and answers it: with 101, or with a refusal
//      kOpen      messages go to the endpoint; ends with the closing handshake (RFC 6455 §7.1)
//      kFlushing  input is ignored; queued output is still sent
//      kDraining  our FIN is sent, and input is discarded until the peer's FIN: close() with unread bytes would
//                 send RST, and the peer might drop our last frame before its application has read it. §7.1.1
//      kEnded     erased at the end of the loop iteration; until then it stays in the table
//
// A session uses these parts. Each is in a separate file and does not call the session: transport (the socket), opening
// (the request head), deadlines, cork (collects the answers to one read), backlog (unsent output, and input that is
// handled later).
//
// handle_input, handle_frames and uncork are the fast path for short messages and are always inlined. Functions for
// rare cases are noinline or cold, so that the fast path saves no registers for them.
//
// Invariants:
//  1. Backpressure: if more than `outbox_high` bytes are queued after a frame was handled, the session stops reading
//     until fewer than `outbox_low` bytes are queued. Input that was already read waits in the backlog. After our Close
//     the session always reads.
//  2. The epoll interest contains only events that the session can handle now. For example, input in the socket of a
//     paused session does not wake the loop.
//  3. A peer cannot postpone a deadline by sending or reading a few bytes at a time, except those of keep-alive
//     (deadlines.h).
#pragma once

#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
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
    kQueued,    ///< accepted: sent, or still queued
    kOverHigh,  ///< accepted, but more than `limits.outbox_high` bytes are queued: pause sending
    kRefused,   ///< the session was not open, or ended during this call
  };

  /// `address`: from ConnectionCount::enter. `tls`: null for a plain socket.
  Session(SessionContext& context, Fd fd, EventLoop::Token token, ConnectionCount::Address address,
          std::unique_ptr<TlsConnection> tls = nullptr);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // --- For endpoints.

  [[nodiscard]] SessionId id() const { return SessionId(token().generation); }
  /// Sends one message. Its payload is the concatenated `parts`. Text must be UTF-8.
  [[gnu::noinline]] SendResult send(Opcode opcode,
                                    std::initializer_list<std::span<const std::byte>> parts);
  /// Sends one message. Faster than the overload above for a short answer to the message that is being handled.
  SendResult send(Opcode opcode, std::span<const std::byte> payload);
  /// Stops reading from the peer until `release`.
  void hold();
  void release();
  [[nodiscard]] bool is_held() const { return is_held_; }
  /// Starts the closing handshake; see Connection::close. Messages that are received later are not delivered.
  void close(std::uint16_t code, std::string_view reason);
  /// Fails the connection: sends a Close with the code of `error` and ignores further input.
  void fail(Error error);
  [[nodiscard]] bool is_open() const { return state_ == State::kOpen && connection_.is_open(); }

  // --- For rooms.

  /// True if the peer can decompress frames that the loop's deflate pool compressed once for several sessions.
  [[nodiscard]] bool accepts_shared_deflate() const { return connection_.accepts_shared_deflate(); }
  /// Sends `ranges` of `block`: whole frames, which may be compressed only if accepts_shared_deflate.
  /// Disconnects the session with Close 1008 and returns false if output was queued before this call and the queue now
  /// costs more than `limits.chat_queue` bytes (Outbox::cost).
  bool send_shared(const std::shared_ptr<const Block>& block, std::span<const Range> ranges);
  /// Ends the session with a TCP reset, so that a truncated stream cannot look complete.
  [[gnu::cold]] void reset(std::string_view why);
  static constexpr std::uint32_t kNoMember = UINT32_MAX;
  std::uint32_t member = kNoMember;  ///< index of this session in its room

  // --- For the server.

  /// Watches the socket and starts the deadline of the request head. Returns an error if epoll cannot watch the socket.
  std::error_code start();
  /// Sends the HTTP answer for `error` and ends the session, without waiting for a complete request. Used if the server
  /// is full or stopping.
  void refuse(Error error);
  /// Handles the epoll `events`, or the input in the backlog if `events` is 0. Returns false if it did nothing.
  bool on_ready(std::uint32_t events);
  void on_timer();
  /// Flushes the cork if this session owns it, and calls `update` unless is_quiet. The output of send, close and fail
  /// may stay in the cork until this call, which comes at the end of the loop iteration at the latest.
  [[gnu::always_inline]] void uncork() {
    flush();
    if (!is_quiet())
      update();
  }
  /// Call it after a function of this session threw an exception. Logs `what`, the text of the exception. In kHead also
  /// answers 500; in kOpen also sends Close 1011. If on_exception itself throws, the caller must end the session.
  void on_exception(std::string_view what);
  /// Ends the session. It is erased at the end of the loop iteration.
  [[gnu::cold]] void end(std::error_code error = {}, std::string_view why = {});
  /// Calls `closed` of the endpoint, unless it was called before.
  void report_end(const EndedSession& ended);

  [[nodiscard]] EventLoop::Token token() const { return transport_.token(); }
  [[nodiscard]] State state() const { return state_; }
  /// For the log.
  [[nodiscard]] std::string_view state_name() const;
  /// True if the 101 was sent and the session has not ended.
  [[nodiscard]] bool is_upgraded() const { return route_ != kNoRoute && state_ != State::kEnded; }
  /// The path of the session's route; "-" if the session has no route.
  [[nodiscard]] std::string_view path() const;
  [[nodiscard]] ConnectionCount::Address address() const { return address_; }
  /// Bytes of output in the backlog; corked bytes are not counted.
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
  [[gnu::noinline]] void watch_message(bool is_new);
  void deliver(const Event& message, Endpoint& to);
  [[gnu::noinline]] void handle_event(Event event);
  [[gnu::cold]] void log_failure(const ErrorInfo& error);
  [[gnu::cold]] bool may_log_failure();
  [[gnu::noinline]] void handle_fin();
  [[gnu::cold]] void handle_read_error(std::error_code error);
  [[gnu::noinline]] bool resume();

  // --- Output
  /// Makes this session the owner of the cork, after uncorking the previous owner.
  [[gnu::noinline]] void acquire_cork();
  SendResult after_send();
  void flush() {
    if (context_.cork.owner() == this)
      flush_cork();
  }
  void flush_cork();
  [[gnu::noinline]] void queue_unsent(const Output& out, IoResult sent);
  [[gnu::noinline]] void flush_backlog();
  Backlog& backlog();
  void check_written(IoResult result);
  void watch_output(std::size_t sent);
  void disconnect_slow_reader();

  /// Enters kFlushing. Call it before tell_closed: if `closed` of the endpoint sends to another session, this session
  /// is uncorked, and its `update` must already see kFlushing.
  void start_flushing();
  void half_close_if_flushed();
  void tell_closed(const Ending& ending);
  [[gnu::cold]] void log_early_end(std::error_code error, std::string_view why) const;
  [[nodiscard]] std::string peer_name() const noexcept;

  // --- Epoll interest and timer
  /// Common case: nothing is queued, the epoll interest is unchanged, and no deadline runs except that of keep-alive.
  [[nodiscard]] bool is_quiet() const {
    return state_ == State::kOpen && backlog_ == nullptr && !is_paused_ &&
           transport_.interest() == EPOLLIN && deadlines_.is_quiet() && !transport_.has_unsent();
  }
  [[gnu::noinline]] void update();
  [[nodiscard]] bool may_read() const;
  void arm();
  [[nodiscard]] std::int64_t now() const { return context_.loop.now(); }
  [[nodiscard]] const Limits& limits() const { return context_.settings.limits; }
  [[nodiscard]] Endpoint& endpoint() const { return *context_.router.endpoint(route_); }

  ConnectionCount::Address address_;  // declared first: fills the padding after the public `member`
  SessionContext& context_;
  Connection connection_;
  std::unique_ptr<Backlog> backlog_;  ///< null while nothing waits
  [[no_unique_address]] Deadlines deadlines_;
  State state_ = State::kHead;
  bool is_paused_ : 1 = false;  ///< reading is paused, by backpressure or `hold`
  bool is_held_ : 1 = false;    ///< `hold` was called, but not `release`
  bool is_fin_received_ : 1 = false;
  bool is_told_closed_ : 1 = false;  ///< `closed` of the endpoint was called
  [[no_unique_address]] Transport transport_;
  std::uint16_t route_ = kNoRoute;  ///< index into the router's routes; kNoRoute until the 101
};

// Limits the memory of an idle connection: this object with 8 bytes of malloc overhead (glibc rounds the sum up to a
// multiple of 16), and 24 bytes in the session table.
static_assert(sizeof(Session) <= 144);

}  // namespace ws
