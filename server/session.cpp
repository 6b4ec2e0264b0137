#include "server/session.h"

#include <algorithm>
#include <cassert>
#include <ctime>
#include <new>

#include "server/log.h"
#include "server/socket.h"
#include "server/wire_log.h"

namespace ws {
namespace {

/// One read takes at most this, so that no peer keeps the loop from the others.
constexpr std::size_t kReceiveBuffer = 512 * 1024;
/// Nor do its messages, which may inflate to a thousand times what was read: what lies behind so many bytes of them
/// waits for the next turn.
constexpr std::size_t kMostInOneTurn = 4 * kReceiveBuffer;
/// What is gathered leaves when it is this much, or when the read is handled.
constexpr std::size_t kFlushAt = 64 * 1024;
constexpr std::size_t kMaxPieces = 64;
/// What an answer may add to the payload that it answers, and a failing Close behind it.
constexpr std::size_t kAnswerOverhead = 512;

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

using Pieces = std::array<iovec, kMaxPieces>;

iovec to_iovec(std::span<const std::byte> piece) {
  return {const_cast<std::byte*>(piece.data()), piece.size()};  // sendmsg only reads it
}

std::span<const std::byte> as_bytes(const iovec& piece) {
  return {static_cast<const std::byte*>(piece.iov_base), piece.iov_len};
}

/// Fills `pieces` with what `out` holds; what is more than fits stays. Returns how many there are.
std::size_t to_pieces(const Output& out, Pieces& pieces) {
  std::size_t count = 0;
  out.for_each_piece([&](std::span<const std::byte> piece) {
    if (count == pieces.size())
      return;
    pieces[count++] = to_iovec(piece);
  });
  return count;
}

}  // namespace

SessionContext::SessionContext(const Limits& limits, const Router& router_to_use, Memory& memory,
                               const DeflateSettings& deflate_settings)
    : budget(memory.budget),
      deflate(deflate_settings, &memory.windows),
      settings{.role = Role::kServer, .limits = limits, .budget = &budget, .deflate = &deflate},
      router(router_to_use),
      receive_buffer(kReceiveBuffer) {}

SessionId::SessionId(std::uint32_t serial) {
  for (std::size_t i = 0; i < digits_.size(); ++i) {
    digits_[i] = "0123456789abcdef"[serial >> (28 - 4 * i) & 0xFU];
  }
}

Session::Session(SessionContext& context, Fd fd, EventLoop::Token token, AddressCount* address)
    : context_(context),
      connection_(context.settings),
      address_(address),
      fd_(std::move(fd)),
      slot_(token.slot),
      serial_(token.generation) {
  if (context_.wire_log != nullptr)
    context_.wire_log->opened(serial_, SocketAddress::peer(fd_), SocketAddress::local(fd_));
}

Session::~Session() {
  context_.loop.timers().cancel(*this);
  if (context_.gatherer == this) {
    context_.gatherer = nullptr;
    context_.gathered.clear();
  }
  if (context_.wire_log != nullptr)
    context_.wire_log->closed(serial_);
}

std::error_code Session::start() {
  interest_ = EPOLLIN;
  deadline_ = now() + limits().handshake_ms;
  arm();
  return context_.loop.add(fd_, interest_, token());
}

std::string_view Session::path() const {
  return route_ == nullptr ? std::string_view("-") : std::string_view(route_->path);
}

// --- The socket. Nothing else reads, writes or ends it, so that the wire log misses nothing.

IoResult Session::read_socket() {
  const IoResult result = receive(fd_, context_.receive_buffer);
  if (context_.wire_log != nullptr) [[unlikely]] {
    context_.wire_log->received(serial_, std::span(context_.receive_buffer).first(result.size()));
    if (result.status() == IoResult::Status::kEnd)
      context_.wire_log->finished(serial_, Sender::kClient);
  }
  return result;
}

IoResult Session::write_socket(std::span<const iovec> pieces) {
  const IoResult result =
      pieces.size() == 1 ? send_bytes(fd_, as_bytes(pieces.front())) : send_pieces(fd_, pieces);
  if (context_.wire_log != nullptr)
    context_.wire_log->sent(serial_, pieces, result.size());
  return result;
}

/// What was gathered, as far as one call takes it: mostly it is one piece.
IoResult Session::write_gathered() {
  const Output& out = context_.gathered;
  if (out.lends() || context_.wire_log != nullptr)
    return write_pieces(out);
  return send_bytes(fd_, out.block());
}

IoResult Session::write_pieces(const Output& out) {
  Pieces pieces;
  return write_socket(std::span(pieces).first(to_pieces(out, pieces)));
}

void Session::finish_socket() {
  finish_writing(fd_);
  if (context_.wire_log != nullptr)
    context_.wire_log->finished(serial_, Sender::kServer);
}

// --- Readiness

// region session-on-ready
bool Session::on_ready(std::uint32_t events) {
  if (state_ == State::kDead)
    return true;  // it died earlier in this turn
  bool did_something = false;
  if ((events & EPOLLOUT) != 0) {
    did_something = queued() > 0;
    flush_outbox();
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && may_read()) {
    did_something |= read();
  } else if (events == 0) {
    did_something = resume();
  } else if ((events & (EPOLLHUP | EPOLLERR)) != 0) {
    // epoll reports these unasked. To a session that does not read they mean that the peer has reset the
    // connection: there is nothing to wait for, and waiting would spin.
    die(pending_error(fd_));
    did_something = true;
  }
  settle();
  return did_something;
}
// endregion

bool Session::may_read() const {
  if (state_ > State::kOpen)
    return state_ != State::kDead && !is_end_seen_;
  return !is_paused_ && (outbox_ == nullptr || outbox_->input().empty());
}

// region session-read
bool Session::read() {
  const IoResult result = read_socket();
  switch (result.status()) {
    case IoResult::Status::kWouldBlock:
      return false;
    case IoResult::Status::kError:
      die(result.error());
      return true;
    case IoResult::Status::kEnd:
      take_end();
      return true;
    case IoResult::Status::kDone:
      break;
  }
  const auto bytes = std::span(context_.receive_buffer).first(result.size());
  if (limits().ping_ms != 0)
    heard_at_ = now();
  if (state_ == State::kHead) {
    take_head(bytes);
  } else if (state_ == State::kOpen) {
    take_input(bytes);
  }  // else: discarded, so that close() will not find it unread [6455-7.1.1-DRAIN]
  return true;
}
// endregion

/// The peer's FIN: it will send nothing more, and may still read.
void Session::take_end() {
  is_end_seen_ = true;
  if (state_ == State::kOpen) {
    start_flushing();
    tell_closed({close_code::kAbnormal, "the connection ended without a Close", false});
  } else if (state_ != State::kFlushing) {
    die();
  }
}

// --- The request head

// region session-take-head
void Session::take_head(std::span<std::byte> bytes) {
  // A head in one read is parsed where it lies; one that is cut is gathered.
  std::unique_ptr<HttpStage> stage = std::move(http_);
  HttpRequest* request = &context_.request;
  if (stage == nullptr) {
    request->reset();
  } else {
    if (!stage->bytes.reserve(bytes.size()))
      return write_refusal(refusal(Error::kUnavailable));
    stage->bytes.append(bytes);
    bytes = stage->bytes.bytes();
    request = &stage->request;
  }
  switch (request->parse(as_text(bytes), limits())) {
    case HttpHead::Status::kError:
      return write_refusal(refusal(request->error()));
    case HttpHead::Status::kComplete:
      return answer(*request, bytes.subspan(request->size()));
    case HttpHead::Status::kNeedMore:
      break;
  }
  if (stage == nullptr) {
    stage = std::make_unique<HttpStage>(context_.budget);
    if (!stage->bytes.reserve(bytes.size()))
      return write_refusal(refusal(Error::kUnavailable));
    stage->bytes.append(bytes);
  }
  http_ = std::move(stage);
}
// endregion

// region session-answer
void Session::answer(const HttpRequest& request, std::span<std::byte> behind) {
  Answer answer = context_.router.answer(request, !context_.is_stopping);
  if (answer.status != 101)
    return write_refusal(answer);
  const Opening opening{request, answer.upgrade.subprotocol, fd_};
  if (const int status = answer.route->endpoint->admit(opening); status != 101) {
    Answer refused = refusal(status, "this endpoint refuses the connection");
    refused.fields.insert(0, answer.fields);
    return write_refusal(refused);
  }
  if (answer.upgrade.deflate.has_value())
    connection_.use_deflate(answer.upgrade.deflate->parameters);
  write_switching_protocols(answer.upgrade, answer.fields, output());
  route_ = answer.route;
  state_ = State::kOpen;
  deadline_ = Timers::kNever;
  arm();  // pings may be due before the head was
  route_->endpoint->opened(*this, opening);
  // A client is to wait for the 101 (§4.1). Frames of one that did not are here already.
  take_input(behind);
}
// endregion

// [6455-7.2.2-ABORT] an answer that says why, and the end
void Session::write_refusal(const Answer& answer) {
  write_answer(answer, std::time(nullptr), output());
  start_flushing();
}

void Session::refuse(Error error) {
  write_refusal(refusal(error));
  settle();
}

// --- Messages

inline void Session::take_input(std::span<std::byte> in) {
  const std::size_t size = in.size();
  pump(in);
  watch_message(size - in.size());
  if (!in.empty())
    outbox().hold_input(in);
}

/// The stalled-write rule, turned round: a message that has begun holds memory, so it must go on. By the end
/// of a window it must have ended, or brought `outbox_low` bytes. [6455-10.4-SLOW]
void Session::watch_message(std::size_t received) {
  if (!connection_.is_mid_message()) {
    message_deadline_ = 0;
  } else if (message_deadline_ == 0) {
    message_deadline_ = now() + limits().read_ms;
    message_wanted_ =
        static_cast<std::uint32_t>(std::min<std::size_t>(limits().outbox_low, UINT32_MAX));
  } else {
    message_wanted_ -= static_cast<std::uint32_t>(std::min<std::size_t>(message_wanted_, received));
  }
}

void Session::judge_message() {
  // Where we do not read, the stalled-write rule judges that peer.
  if (message_wanted_ > 0 && may_read())
    return fail(Error::kMessageTimeout);
  message_deadline_ = 0;
  watch_message(0);
}

/// Goes on with input that had to wait. It lies in memory, so that no event of epoll's announces it.
bool Session::resume() {
  if (is_paused_ || outbox_ == nullptr || outbox_->input().empty())
    return false;
  if (state_ != State::kOpen)
    return false;
  std::span<std::byte> in = outbox_->input();
  const std::size_t size = in.size();
  pump(in);
  watch_message(size - in.size());
  outbox_->consume_input(size - in.size());
  return true;
}

// region session-deliver
inline void Session::deliver(const Event& message) {
  if (!connection_.is_open())
    return;  // we have said goodbye
  message_deadline_ = 0;
  // [6455-10.4-BUDGET] whoever reads slowly is not served when the memory for all is spent
  if (queued() > 0 &&
      context_.budget.room() < context_.gathered.size() + message.payload.size() + kAnswerOverhead)
    return fail(Error::kOverBudget);
  route_->endpoint->message(
      *this, message.type == Event::Type::kText ? Opcode::kText : Opcode::kBinary, message.payload);
}
// endregion

// region session-pump
/// From bytes to events to the endpoint, until the bytes are used up, the peer is done, it is another's turn, or
/// too much waits to be sent: then `in` keeps the rest.
inline void Session::pump(std::span<std::byte>& in) {
  std::size_t delivered = 0;
  while (!in.empty() && state_ == State::kOpen && !is_paused_) {
    if (delivered > kMostInOneTurn) {
      context_.loop.make_ready(token());
      break;
    }
    const Event event = connection_.next(in, output());
    delivered += event.payload.size();
    if (event.type == Event::Type::kText || event.type == Event::Type::kBinary) {
      deliver(event);
    } else {
      take_event(event);
      if (context_.gathered.size() >= kFlushAt)  // many pongs
        flush();
    }
    if (outbox_ != nullptr) {
      flush();
      is_paused_ = connection_.is_open() && (is_held_ || queued() > limits().outbox_high);
    }
  }
  connection_.release();
  if (state_ != State::kOpen)
    in = {};
}
// endregion

// region session-take-event
void Session::take_event(Event event) {
  const std::string_view text = as_text(event.payload);
  switch (event.type) {
    case Event::Type::kPong:
      if (!awaits_pong_)
        return;
      awaits_pong_ = false;
      if (connection_.is_open()) {
        deadline_ = Timers::kNever;
        arm();  // silence may end sooner than the wait for the pong
      }
      return;
    case Event::Type::kClose:
      start_flushing();
      return tell_closed({event.code, text, false});
    case Event::Type::kFailed: {
      const ErrorInfo& info = describe(event.error);
      // [6455-7.1.7-LOG]
      log(LogLevel::kDebug, {"Session ", id().text(), " failed: ", info.text, " [", info.tag, "]"});
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
// endregion

// region session-send
Session::SendResult Session::send(Opcode opcode,
                                  std::initializer_list<std::span<const std::byte>> parts) {
  if (!is_open())
    return SendResult::kRefused;
  connection_.send(opcode, parts, output());
  return after_send();
}

Session::SendResult Session::send(Opcode opcode, std::span<const std::byte> payload) {
  // Mostly it is the answer to what is being handled.
  if (context_.gatherer != this || state_ != State::kOpen ||
      !connection_.send_short(opcode, payload, context_.gathered)) [[unlikely]]
    return send(opcode, {payload});
  return after_send();
}

inline Session::SendResult Session::after_send() {
  // What is lent lies in bytes that the next read overwrites.
  if (context_.gathered.lends() || context_.gathered.size() >= kFlushAt) {
    flush();
    if (state_ == State::kDead)
      return SendResult::kRefused;
  }
  return queued() > limits().outbox_high ? SendResult::kOverHigh : SendResult::kQueued;
}
// endregion

void Session::close(std::uint16_t code, std::string_view reason) {
  if (!is_open())
    return;
  connection_.close(code, reason, output());
  deadline_ = now() + limits().close_ms;
  awaits_pong_ = false;
  // From now on nothing that comes is answered, so that reading on is safe, and it finds the peer's Close.
  is_paused_ = false;
  is_held_ = false;
  if (outbox_ != nullptr && !outbox_->input().empty())
    context_.loop.make_ready(token());
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
  if (!is_paused_ && outbox_ != nullptr && !outbox_->input().empty())
    context_.loop.make_ready(token());
  settle();
}

void Session::fail(Error error) {
  if (state_ == State::kOpen)
    take_event(connection_.fail(error, output()));
}

// --- Output

/// Whoever had it before is served first.
void Session::claim_output() {
  if (context_.gatherer != nullptr)
    context_.gatherer->settle();
  context_.gatherer = this;
}

Outbox& Session::outbox() {
  if (outbox_ == nullptr)
    outbox_ = std::make_unique<Outbox>(context_.budget);
  return *outbox_;
}

// region session-flush
void Session::flush_gathered() {
  context_.gatherer = nullptr;
  Output& out = context_.gathered;
  const std::size_t size = out.size();
  if (size == 0)
    return;
  const IoResult result = queued() == 0 ? write_gathered() : IoResult(-EAGAIN);
  if (!result.is_all_of(size)) [[unlikely]]
    queue_rest(out, result);
  out.clear();
}

void Session::queue_rest(const Output& out, IoResult sent) {
  if (sent.status() == IoResult::Status::kError)
    return die(sent.error());
  try {
    // Without memory for the rest a frame would stay cut in the middle: nothing can be said after it.
    if (!outbox().append(out, sent.size()))
      return reset("the server's buffers are full");
  } catch (const std::bad_alloc&) {
    return reset("out of memory");
  }
  watch_progress();
  context_.gatherer = this;  // whoever called: it is yet to ask for EPOLLOUT
}
// endregion

void Session::flush_outbox() {
  if (queued() == 0)
    return;
  Pieces pieces;
  const IoResult result = write_socket(std::span(pieces).first(outbox_->pieces(pieces)));
  if (result.status() == IoResult::Status::kError)
    return die(result.error());
  outbox_->consume(result.size());
  watch_progress();
  if (is_paused_ && !is_held_ && queued() < limits().outbox_low) {
    is_paused_ = false;
    if (!outbox_->input().empty())
      context_.loop.make_ready(token());
  }
}

/// Starts the next window of the stalled-write rule: by its end `outbox_low` bytes, or all, must have left.
void Session::watch_progress() {
  if (outbox_ == nullptr)
    return;
  if (queued() == 0) {
    outbox_->deadline = 0;
    return;
  }
  if (outbox_->deadline != 0)
    return;
  outbox_->deadline = now() + limits().write_ms;
  outbox_->wanted = limits().outbox_low;
}

// region session-send-shared
bool Session::send_shared(const std::shared_ptr<const Block>& block,
                          std::span<const Range> ranges) {
  flush();  // what this session was told before goes first
  if (!is_open())
    return true;
  if (takes_shared_deflate())
    connection_.forget_sent_context();
  const bool was_behind = queued() > 0;
  std::size_t sent = 0;
  if (!was_behind) {
    Pieces pieces;
    std::size_t count = 0;
    for (const Range& range : ranges.first(std::min(ranges.size(), pieces.size()))) {
      pieces[count++] = to_iovec(block->bytes().subspan(range.begin, range.end - range.begin));
    }
    const IoResult result = write_socket(std::span(pieces).first(count));
    if (result.status() == IoResult::Status::kError)
      die(result.error());
    sent = result.size();
  }
  for (const Range& range : ranges) {
    if (state_ == State::kDead)
      break;
    const std::size_t part = std::min(sent, range.end - range.begin);
    sent -= part;
    if (part == range.end - range.begin)
      continue;
    if (!outbox().append(block, range, part))
      reset("the server's buffers are full");
  }
  // One large message is no reason to part from a reader that was up to date.
  const bool is_too_slow = was_behind && outbox_->cost() > limits().chat_queue && is_open();
  if (is_too_slow)
    put_out();
  watch_progress();
  settle();
  return !is_too_slow;
}
// endregion

// region session-put-out
/// It loses what is queued whole, finishes the frame it is in [6455-5.5.1-DELAY], and gets a Close and a
/// deadline: one slow reader neither stops the others nor grows without bound.
void Session::put_out() {
  log(LogLevel::kWarn,
      {"Session ", id().text(), " put out: ", std::to_string(outbox_->cost()), " bytes behind"});
  outbox_->drop_broadcasts();
  close(close_code::kPolicyViolation, "too slow: messages were dropped");
}
// endregion

// --- The end

void Session::start_flushing() {
  state_ = State::kFlushing;
  deadline_ = Timers::kNever;
  http_.reset();
}

// region session-end-writing
/// Ends TCP first, as a server should: FIN behind the last byte, then reading until the peer's.
/// [6455-7.1.1-FIRST]
void Session::end_writing_if_flushed() {
  if (state_ != State::kFlushing || queued() > 0)
    return;
  if (is_end_seen_)
    return die();
  finish_socket();
  state_ = State::kDraining;
  deadline_ = now() + limits().drain_ms;
}
// endregion

// [6455-7.1.1-RESET]
void Session::reset(std::string_view why) {
  if (state_ == State::kDead)
    return;
  make_reset_on_close(fd_);
  if (context_.wire_log != nullptr)
    context_.wire_log->reset(serial_);
  die({}, why);
  log(LogLevel::kWarn, {"Session ", id().text(), " reset: ", why});
}

void Session::die(std::error_code error, std::string_view why) {
  if (state_ == State::kDead)
    return;
  state_ = State::kDead;
  if (error && context_.wire_log != nullptr)
    context_.wire_log->lost(serial_, error);
  context_.dead.push_back({token(), error, why});
  context_.loop.timers().cancel(*this);
}

void Session::bury(const Dead& dead) {
  std::string message;
  std::string_view why = dead.why;
  if (dead.error) {
    try {
      why = message = dead.error.message();
    } catch (const std::bad_alloc&) {
      why = "out of memory";  // the endpoint must hear of the end: the session is about to go
    }
  }
  tell_closed({close_code::kAbnormal, why, !why.empty()});
}

void Session::tell_closed(const Ending& ending) {
  if (route_ == nullptr || is_told_closed_)
    return;
  is_told_closed_ = true;
  route_->endpoint->closed(*this, ending);
}

void Session::on_exception(std::string_view what) {
  log(LogLevel::kError, {"Session ", id().text(), ": ", what});
  if (state_ == State::kHead) {
    output().clear();  // it may end in half a head; frames are whole
    write_refusal(refusal(500, "internal error"));
  } else if (state_ == State::kOpen) {
    // [6455-7.4.1-1011]
    connection_.close(close_code::kInternalError, "internal error", output());
    start_flushing();
    tell_closed({close_code::kInternalError, what, true});
  }
  settle();
}

// --- Deadlines

std::int64_t Session::next_deadline() const {
  std::int64_t next = deadline_;
  if (outbox_ != nullptr && outbox_->deadline != 0)
    next = std::min(next, outbox_->deadline);
  if (message_deadline_ != 0 && is_open())
    next = std::min(next, message_deadline_);
  if (limits().ping_ms != 0 && is_open() && !awaits_pong_) {
    next = std::min(next, heard_at_ + limits().ping_ms);
  }
  return next;
}

/// Lazily: a node that is set too early fires once for nothing, which is cheaper than to move it with
/// every message.
void Session::arm() {
  Timers& timers = context_.loop.timers();
  const std::int64_t next = next_deadline();
  if (next != Timers::kNever && (!is_set() || Timers::deadline(*this) > next))
    timers.set(*this, next);
}

// region session-on-timer
void Session::on_timer() {
  if (state_ == State::kDead)
    return;
  if (outbox_ != nullptr && outbox_->deadline != 0 && outbox_->deadline <= now()) {
    if (outbox_->wanted > 0)
      return reset("it does not read");
    outbox_->deadline = 0;
    watch_progress();
  }
  if (message_deadline_ != 0 && message_deadline_ <= now() && is_open())
    judge_message();
  if (deadline_ <= now()) {
    deadline_ = Timers::kNever;
    on_deadline();
  } else if (next_deadline() <= now()) {  // silence [6455-5.5.2-PING]
    connection_.send_control(Opcode::kPing, {}, output());
    awaits_pong_ = true;
    deadline_ = now() + limits().pong_ms;
  }
  flush();
  settle_changes();  // sets the timer again, in any case
}

void Session::on_deadline() {
  switch (state_) {
    case State::kHead:
      return write_refusal(refusal(Error::kHeadTimeout));
    case State::kDraining:
      return die();
    case State::kOpen:
      break;
    case State::kFlushing:
    case State::kDead:
      return;
  }
  if (connection_.awaits_close()) {
    if (queued() > 0)
      return reset("it does not read its Close");
    start_flushing();
    return tell_closed({close_code::kAbnormal, "the Close was not answered", false});
  }
  // Our ping may be stuck behind what is queued, and the pong behind input that we do not read: the
  // stalled-write rule judges that peer.
  if (!may_read() || queued() > 0) {
    deadline_ = now() + limits().pong_ms;
  } else if (awaits_pong_) {
    reset("no pong");
  }
}
// endregion

// region session-settle
/// What every call ends with, once what was said has left: epoll is asked for what can be acted on and no more,
/// the timer is set.
void Session::settle_changes() {
  end_writing_if_flushed();
  if (state_ == State::kDead)
    return;
  if (outbox_ != nullptr && outbox_->is_idle())
    outbox_.reset();
  std::uint8_t interest = 0;
  if (may_read())
    interest |= EPOLLIN;
  if (queued() > 0)
    interest |= EPOLLOUT;
  if (interest != interest_) {
    interest_ = interest;
    if (const auto error = context_.loop.change(fd_, interest, token()))
      die(error);
  }
  arm();
}
// endregion

}  // namespace ws
