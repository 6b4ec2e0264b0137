// Output goes to the cork and from there to the socket; bytes that the socket does not accept go to the backlog.
//
//      send ──▶ cork ──flush_cork──▶ Transport::write ──▶ socket
//                        └─ unsent bytes ─▶ backlog ──flush_backlog, on EPOLLOUT──▶ Transport::write
#include <algorithm>
#include <cerrno>
#include <new>
#include <string>

#include "server/log/log.h"
#include "server/session/session.h"

namespace ws {
namespace {

constexpr std::int64_t kNoBuffersPauseMs = 20;

}  // namespace

void Session::acquire_cork() {
  Session* const owner = context_.cork.owner();
  if (owner != nullptr && owner != this)
    owner->uncork();
  context_.cork.set_owner(this);
}

Session::SendResult Session::send(Opcode opcode,
                                  std::initializer_list<std::span<const std::byte>> parts) {
  if (!is_open())
    return SendResult::kRefused;
  acquire_cork();
  connection_.send(opcode, parts, context_.cork.output);
  return after_send();
}

Session::SendResult Session::send(Opcode opcode, std::span<const std::byte> payload) {
  // Common case: a short answer to the message that is being handled.
  if (context_.cork.owner() != this || state_ != State::kOpen ||
      !connection_.try_send_small(opcode, payload, context_.cork.output)) [[unlikely]]
    return send(opcode, {payload});
  return after_send();
}

inline Session::SendResult Session::after_send() {
  if (context_.cork.is_full()) {
    flush();
    if (state_ == State::kEnded)
      return SendResult::kRefused;
  }
  return queued() > limits().outbox_high ? SendResult::kOverHigh : SendResult::kQueued;
}

/// Writes the cork with one call and queues the bytes that the socket does not accept. [6455-6.1-TRANSMIT]
void Session::flush_cork() {
  Cork& cork = context_.cork;
  cork.set_owner(nullptr);
  const std::size_t size = cork.output.size();
  if (size == 0)
    return;
  const IoResult result =
      queued() == 0 ? transport_.write(cork.output, context_.tap) : IoResult(-EAGAIN);
  if (!result.is_all_of(size)) [[unlikely]]
    queue_unsent(cork.output, result);
  cork.output.clear();
}

void Session::queue_unsent(const Output& out, IoResult sent) {
  try {
    check_written(sent);
    if (state_ == State::kEnded)
      return;
    // If the unsent bytes cannot be queued, a frame may stay incomplete, and no other frame can follow it.
    if (!backlog().output.append(out, sent.size()))
      return reset("the memory limit for all sessions is reached; raise --max-buffered");
  } catch (const std::bad_alloc&) {
    return reset("out of memory");
  }
  watch_output(0);
  context_.cork.set_owner(this);  // `uncork` at the end of the iteration adds EPOLLOUT
}

Backlog& Session::backlog() {
  if (backlog_ == nullptr)
    backlog_ = std::make_unique<Backlog>(context_.budget);
  return *backlog_;
}

/// Ends the session if a write failed. After ENOBUFS, schedules another write: the socket stays writable, so with
/// EPOLLOUT the loop would spin.
void Session::check_written(IoResult result) {
  if (result.status() == IoResult::Status::kError)
    return end(result.error());
  if (result.is_out_of_buffers()) [[unlikely]]
    backlog().retry_at = now() + kNoBuffersPauseMs;
}

void Session::flush_backlog() {
  if (backlog_ != nullptr)
    backlog_->retry_at = Timers::kNever;
  if (queued() == 0) {
    if (transport_.has_unsent())
      check_written(transport_.flush(context_.tap));
    return;
  }
  Pieces pieces;
  const std::size_t count = backlog_->output.pieces(pieces);
  const IoResult result = transport_.write(std::span(pieces).first(count), context_.tap);
  check_written(result);
  if (state_ == State::kEnded)
    return;
  backlog_->output.consume(result.size());
  watch_output(result.size());
  if (is_paused_ && !is_held_ && queued() < limits().outbox_low) {
    is_paused_ = false;
    if (!backlog_->input.empty())
      context_.loop.make_ready(token());
  }
}

/// Updates the stall watch of the output. Call it after queued bytes were sent (`sent`: how many), and after bytes were
/// added to the queue (`sent`: 0).
void Session::watch_output(std::size_t sent) {
  if (backlog_ != nullptr)
    backlog_->stalled_write.update(queued() > 0, sent, now(), Deadlines::write_rule(limits()));
}

bool Session::send_shared(const std::shared_ptr<const Block>& block,
                          std::span<const Range> ranges) {
  flush();  // earlier output of this session goes first
  if (!is_open())
    return true;
  if (accepts_shared_deflate())
    connection_.forget_sent_context();
  const bool was_queued = queued() > 0;
  std::size_t sent = 0;
  if (!was_queued) {
    Pieces pieces;
    std::size_t count = 0;
    for (const Range& range : ranges.first(std::min(ranges.size(), pieces.size())))
      pieces[count++] = to_iovec(block->bytes().subspan(range.begin, range.size()));
    const IoResult result = transport_.write(std::span(pieces).first(count), context_.tap);
    check_written(result);
    sent = result.size();
  }
  for (const Range& range : ranges) {
    if (state_ == State::kEnded)
      break;
    const std::size_t part = std::min(sent, range.size());
    sent -= part;
    if (part < range.size() && !backlog().output.append(block, range, part))
      reset("the memory limit for all sessions is reached; raise --max-buffered");
  }
  // One large message is no reason to disconnect a reader that had nothing queued.
  const bool is_too_slow = was_queued && backlog_->output.cost() > limits().chat_queue && is_open();
  if (is_too_slow)
    disconnect_slow_reader();
  watch_output(0);
  uncork();
  return !is_too_slow;
}

/// Drops the queued broadcasts, except a frame that was sent in part [6455-5.5.1-DELAY], and sends a Close with a
/// deadline, so that a slow reader does not delay other members or use unlimited memory.
void Session::disconnect_slow_reader() {
  log(LogLevel::kWarn,
      {"Session ", id().text(), " disconnected: the peer reads too slowly (queued ",
       std::to_string(backlog_->output.cost()), " bytes)"});
  backlog_->output.drop_broadcasts(transport_.is_byte_held_back() ? 1 : 0);
  if (queued() == 0)
    backlog_->retry_at = Timers::kNever;
  close(close_code::kPolicyViolation, "too slow: messages were dropped");
}

}  // namespace ws
