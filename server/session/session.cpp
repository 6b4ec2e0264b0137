#include "server/session/session.h"

#include <algorithm>
#include <ctime>
#include <new>
#include <string>
#include <utility>

#include "protocol/text.h"
#include "server/log/log.h"

namespace ws {
namespace {

/// A session that has delivered more bytes of messages than this keeps its remaining input until the loop has handled
/// the other ready sessions. Limiting the size of a read is not enough: its bytes may inflate to a thousand
/// times their size.
constexpr std::size_t kMaxBytesPerIteration = std::size_t{2} * 1024 * 1024;
/// Bytes that the answer to a message, and a Close after the answer, may need in addition to the message's payload.
constexpr std::size_t kAnswerOverhead = 512;

}  // namespace

Session::Session(SessionContext& context, Fd fd, EventLoop::Token token,
                 ConnectionCount::Address address, std::unique_ptr<TlsConnection> tls)
    : address_(address),
      context_(context),
      connection_(context.settings),
      transport_(std::move(fd), token, std::move(tls)) {
  if (Tap* const tap = context_.tap; tap != nullptr) {
    const Fd& socket = transport_.fd();
    tap->opened(token.generation, peer_address(socket), local_address(socket));
  }
}

Session::~Session() {
  context_.loop.timers().cancel(*this);
  if (context_.cork.owner() == this) {
    context_.cork.set_owner(nullptr);
    context_.cork.output.clear();
  }
  if (context_.tap != nullptr)
    context_.tap->closed(token().generation);
}

std::error_code Session::start() {
  deadlines_.accepted(now(), limits());
  arm();
  return transport_.watch(context_.loop, EPOLLIN);
}

std::string_view Session::path() const {
  return route_ == kNoRoute ? std::string_view("-") : context_.router.routes()[route_].path;
}

// --- Readiness

bool Session::on_ready(std::uint32_t events) {
  if (state_ == State::kEnded)
    return true;  // it ended earlier in this iteration
  bool did_something = false;
  if ((events & EPOLLOUT) != 0) {
    did_something = queued() > 0 || transport_.has_unsent();
    flush_backlog();
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && may_read()) {
    did_something |= read();
  } else if (events == 0) {
    did_something = resume();
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    // epoll reports EPOLLHUP and EPOLLERR even without interest in them. For a session that does not read, they mean
    // that the connection was reset. Ignoring them would make the loop spin.
    end(transport_.pending_error());
    did_something = true;
  }
  uncork();
  return did_something;
}

bool Session::may_read() const {
  if (state_ > State::kOpen)
    return state_ != State::kEnded && !is_fin_received_;
  return !is_paused_ && (backlog_ == nullptr || backlog_->input.empty());
}

bool Session::read() {
  const IoResult result = transport_.read(context_.receive_buffer, context_.tap);
  switch (result.status()) {
    case IoResult::Status::kWouldBlock:
      return result.is_interrupted();
    case IoResult::Status::kError:
      handle_read_error(result.error());
      return true;
    case IoResult::Status::kEnd:
      handle_fin();
      return true;
    case IoResult::Status::kDone:
      break;
  }
  const auto bytes = std::span(context_.receive_buffer).first(result.size());
  deadlines_.received(now(), limits());
  if (state_ == State::kHead) {
    read_head(bytes);
  } else if (state_ == State::kOpen) {
    handle_input(bytes);
  }  // else: discard the bytes, because close() with unread input sends RST [6455-7.1.1-DRAIN]
  // close_notify may have arrived in the same read. If input is still in the backlog, wait for the peer's FIN instead.
  if (transport_.is_closed_by_peer() && (backlog_ == nullptr || backlog_->input.empty()))
      [[unlikely]]
    handle_fin();
  if (const std::string_view why = transport_.tls_failure(); !why.empty()) [[unlikely]]
    end({}, why);  // TLS failed after the bytes
  return true;
}

/// Ends the session, but answers 400 in plain text if the peer sent HTTP to the TLS port.
void Session::handle_read_error(std::error_code error) {
  if (const std::string_view why = transport_.tls_failure(); !why.empty())
    return end({}, why);
  if (!transport_.is_peer_without_tls())
    return end(error);
  transport_.drop_tls();
  refuse_with(refusal(400, "this port speaks TLS: use https:// or wss://"));
}

/// Handles the FIN of the peer, which sends nothing more but may still read.
void Session::handle_fin() {
  if (is_fin_received_ || state_ == State::kEnded)
    return;
  is_fin_received_ = true;
  if (state_ == State::kOpen) {
    start_flushing();
    tell_closed({close_code::kAbnormal, "the peer sent FIN without a Close", false});
  } else if (state_ != State::kFlushing) {
    end();
  }
}

// --- The opening handshake

void Session::read_head(std::span<std::byte> bytes) {
  // Keep the head in a local variable: start_flushing frees it, but `result` refers to memory of the head.
  std::unique_ptr<PartialHead> head = backlog_ == nullptr ? nullptr : std::move(backlog_->head);
  OpeningResult result = read_opening(head, bytes, transport_, context_);
  switch (result.status) {
    case OpeningResult::Status::kNeedMore:
      backlog().head = std::move(head);
      return;
    case OpeningResult::Status::kRefused:
      if ((result.answer.status == 414 || result.answer.status == 431) && may_log_failure()) {
        // The body is printable: refusal() escapes the name of a field, and cuts it.
        const std::string_view body = result.answer.body;
        log_printable(LogLevel::kInfo, "Session " + std::string(id().text()) + " refused: " +
                                           std::string(body.substr(0, body.find('\n'))));
      }
      return refuse_with(result.answer);
    case OpeningResult::Status::kAccepted:
      break;
  }
  const Answer& answer = result.answer;
  if (answer.upgrade.deflate.has_value())
    connection_.use_deflate(answer.upgrade.deflate->parameters, std::move(result.windows));
  acquire_cork();
  write_switching_protocols(answer.upgrade, answer.fields, context_.cork.output);
  route_ = static_cast<std::uint16_t>(answer.route - context_.router.routes().data());
  state_ = State::kOpen;
  deadlines_.opened(now(), limits());
  arm();  // the timer is still set to the deadline of the head; the first ping may be due earlier
  endpoint().opened(*this, Opening{*result.request, answer.upgrade.subprotocol, transport_.fd()});
  // A client must wait for the 101 (§4.1), but some clients send frames together with the head.
  handle_input(result.rest);
}

// [6455-7.2.2-ABORT] Sends `answer`, which refuses the request, and ends the session.
void Session::refuse_with(const Answer& answer) {
  if (!transport_.may_write())
    return end({}, "the TLS handshake did not finish");
  acquire_cork();
  write_answer(answer, std::time(nullptr), context_.cork.output);
  start_flushing();
}

void Session::refuse(Error error) {
  refuse_with(refusal(error));
  uncork();
}

// --- Messages

inline void Session::handle_input(std::span<std::byte> in) {
  const bool has_delivered = handle_frames(in);
  if (connection_.is_mid_message())
    watch_message(has_delivered);
  else
    deadlines_.message_ended();
  if (!in.empty())
    backlog().input.hold(in);
}

void Session::watch_message(bool is_new) {
  const std::size_t received = connection_.consume_progress();
  if (is_open())
    deadlines_.message_continued(received, is_new, now(), limits());
}

/// Handles the input in the backlog. epoll reports no event for this input, because it was already read.
bool Session::resume() {
  if (state_ != State::kOpen || is_paused_ || backlog_ == nullptr || backlog_->input.empty())
    return false;
  std::span<std::byte> in = backlog_->input.bytes();
  const std::size_t size = in.size();
  const bool has_delivered = handle_frames(in);
  if (connection_.is_mid_message())
    watch_message(has_delivered);
  else
    deadlines_.message_ended();
  backlog_->input.consume(size - in.size());
  if (backlog_->input.empty() && transport_.is_closed_by_peer())
    handle_fin();
  return true;
}

inline void Session::deliver(const Event& message, Endpoint& to) {
  if (!connection_.is_open())
    return;  // no messages are delivered after our Close
  // [6455-10.4-BUDGET] If output is queued, the answer must be queued, too: fail if the budget may not suffice for it.
  if (queued() > 0 && context_.budget.room() <
                          context_.cork.output.size() + message.payload.size() + kAnswerOverhead)
    return fail(Error::kOverBudget);
  to.message(*this, message.type == Event::Type::kText ? Opcode::kText : Opcode::kBinary,
             message.payload);
}

/// Parses frames until `in` is empty, the session is paused, or more than kMaxBytesPerIteration bytes of messages were
/// delivered. The remaining bytes stay in `in`, or are dropped if the session leaves kOpen. Returns true if a message
/// or a control frame outside a message ended. If so, a message that is now partly received started in this call.
inline bool Session::handle_frames(std::span<std::byte>& in) {
  Endpoint& to = endpoint();
  std::size_t delivered = 0;
  while (!in.empty() && state_ == State::kOpen && !is_paused_) {
    if (delivered > kMaxBytesPerIteration) {
      context_.loop.make_ready(token());
      break;
    }
    if (context_.cork.owner() != this)
      acquire_cork();
    const Event event = connection_.next(in, context_.cork.output);
    if (event.type == Event::Type::kText || event.type == Event::Type::kBinary) {
      delivered += event.payload.size() + 1;
      deliver(event, to);
    } else {
      handle_event(event);
      connection_.release();
      if (!connection_.is_mid_message())
        ++delivered;                // a control frame outside a message
      if (context_.cork.is_full())  // after many pongs
        flush();
    }
    if (backlog_ != nullptr) {
      flush();
      is_paused_ = connection_.is_open() && (is_held_ || queued() > limits().outbox_high);
    }
  }
  connection_.release();
  if (state_ != State::kOpen)
    in = {};
  return delivered != 0;
}

void Session::handle_event(Event event) {
  const std::string_view text = as_text(event.payload);
  switch (event.type) {
    case Event::Type::kPong:
      if (deadlines_.received_pong(now(), limits()))
        arm();  // the timer is still set to the pong's deadline; the next ping may be due earlier
      return;
    case Event::Type::kClose:
      start_flushing();
      return tell_closed({event.code, text, false});
    case Event::Type::kFailed: {
      const ErrorInfo& info = describe(event.error);
      log_failure(info);
      start_flushing();
      return tell_closed({event.code, info.text, true});
    }
    case Event::Type::kText:
    case Event::Type::kBinary:
    case Event::Type::kPing:
    case Event::Type::kNeedMore:
      return;
  }
}

void Session::hold() {
  is_held_ = is_open();
  is_paused_ = is_paused_ || is_held_;
}

void Session::release() {
  if (!is_held_)
    return;
  is_held_ = false;
  is_paused_ = queued() > limits().outbox_high;
  if (!is_paused_ && backlog_ != nullptr && !backlog_->input.empty())
    context_.loop.make_ready(token());
  uncork();
}

// --- Deadlines

void Session::on_timer() {
  if (state_ == State::kEnded)
    return;
  if (backlog_ != nullptr && now() >= backlog_->retry_at) {
    flush_backlog();
    if (state_ == State::kEnded)
      return;
  }
  StallWatch* const stalled_write = backlog_ == nullptr ? nullptr : &backlog_->stalled_write;
  switch (deadlines_.due(now(), limits(), {may_read(), queued() > 0}, stalled_write)) {
    case Deadlines::Due::kNothing:
      break;
    case Deadlines::Due::kHead:
      refuse_with(refusal(Error::kHeadTimeout));
      break;
    case Deadlines::Due::kPing:
      deadlines_.sent_ping(transport_.acknowledged());
      acquire_cork();
      connection_.send_control(Opcode::kPing, {}, context_.cork.output);
      break;
    case Deadlines::Due::kPong:
      if (!deadlines_.has_acknowledged(transport_.acknowledged(), now(), limits()))
        reset("pong timeout: the peer did not answer our ping and sends nothing else");
      break;
    case Deadlines::Due::kClose:
      if (queued() > 0) {
        reset("close timeout: the peer is not reading");
        break;
      }
      start_flushing();
      tell_closed(
          {close_code::kAbnormal, "close timeout: the peer did not answer our Close", false});
      break;
    case Deadlines::Due::kDrain:
      end();
      break;
    case Deadlines::Due::kStalledRead:
      fail(Error::kMessageTimeout);
      break;
    case Deadlines::Due::kStalledWrite:
      reset("write timeout: the peer reads too slowly or not at all");
      break;
  }
  flush();
  update();  // even if is_quiet: the timer has fired and must be armed again
}

/// Called after each event unless is_quiet. Sends FIN if the session is flushing and all output was sent. Frees an
/// empty backlog, updates the epoll interest and arms the timer.
void Session::update() {
  half_close_if_flushed();
  if (state_ == State::kEnded)
    return;
  if (backlog_ != nullptr && backlog_->empty())
    backlog_.reset();
  std::uint8_t interest = 0;
  if (may_read())
    interest |= EPOLLIN;
  if ((queued() > 0 || transport_.has_unsent()) &&
      (backlog_ == nullptr || backlog_->retry_at == Timers::kNever))
    interest |= EPOLLOUT;
  if (interest != transport_.interest()) {
    if (const auto error = transport_.change_interest(context_.loop, interest))
      end(error);
  }
  arm();
}

/// Moves the timer only to an earlier time. If the deadline moves to a later time, the timer fires too early and is set
/// again, which costs less than moving the timer with every message.
void Session::arm() {
  std::int64_t next = deadlines_.next();
  if (backlog_ != nullptr)
    next = std::min({next, backlog_->stalled_write.deadline(), backlog_->retry_at});
  if (next != Timers::kNever && (!is_set() || Timers::deadline(*this) > next))
    context_.loop.timers().set(*this, next);
}

}  // namespace ws
