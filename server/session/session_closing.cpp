// How a session ends: with the closing handshake and the FINs of both sides, or with a reset. RFC 6455 §7
#include <new>
#include <string>

#include "server/log/log.h"
#include "server/session/session.h"

namespace ws {

void Session::close(std::uint16_t code, std::string_view reason) {
  if (!is_open())
    return;
  acquire_cork();
  connection_.close(code, reason, context_.cork.output);
  deadlines_.sent_close(now(), limits());
  // Continue reading, to find the peer's Close. Input is no longer answered, so reading adds no output.
  is_paused_ = false;
  is_held_ = false;
  if (backlog_ != nullptr && !backlog_->input.empty())
    context_.loop.make_ready(token());
}

void Session::fail(Error error) {
  if (state_ != State::kOpen)
    return;
  acquire_cork();
  handle_event(connection_.fail(error, context_.cork.output));
}

/// [6455-7.1.7-LOG] Logs which rule the peer broke, at a level that is enabled by default.
void Session::log_failure(const ErrorInfo& error) {
  if (!is_logged(LogLevel::kWarn))
    return;
  if (may_log_failure()) {
    log(LogLevel::kWarn, {"Session ", id().text(), " of ", peer_name(), " failed: ", error.text,
                          " [", error.tag, "]"});
  }
}

/// Counts a line about a failed session. Returns true if the line may be logged (log_limit.h).
bool Session::may_log_failure() {
  const bool is_allowed = context_.failures.allows(now());
  if (!is_allowed && !context_.failures_end.is_set())
    context_.loop.timers().set(context_.failures_end, context_.failures.end());
  return is_allowed;
}

/// Logs that a connection ended before its request was complete, or was lost after a refusal: at debug, since health
/// checks cause it all the time.
void Session::log_early_end(std::error_code error, std::string_view why) const {
  const bool is_refused = state_ != State::kHead;
  if (is_refused && !error)
    return;
  if (!is_logged(LogLevel::kDebug))
    return;
  const bool has_request = backlog_ != nullptr && backlog_->head != nullptr;
  try {
    log(LogLevel::kDebug, {"Session ", id().text(), " of ", peer_name(),
                           is_refused    ? " was lost after the answer"
                           : has_request ? " ended within the request"
                                         : " ended without a request",
                           error || !why.empty() ? ": " : "", error ? error.message() : why});
  } catch (const std::bad_alloc&) {
    return;
  }
}

/// The address of the peer, for the log.
std::string Session::peer_name() const noexcept {
  try {
    return peer_address(transport_.fd()).to_string();
  } catch (const std::bad_alloc&) {
    return "unknown";
  }
}

void Session::start_flushing() {
  state_ = State::kFlushing;
  deadlines_.flushing();
  if (backlog_ != nullptr)
    backlog_->head.reset();
}

/// Does nothing unless the session is flushing and all output was sent. If the client's FIN was already received, ends
/// the session. Otherwise sends our FIN [6455-7.1.1-FIRST]; the session then drains until the client's FIN arrives.
void Session::half_close_if_flushed() {
  if (state_ != State::kFlushing || queued() > 0)
    return;
  if (is_fin_received_) {
    if (transport_.is_secure())
      transport_.half_close(context_.tap);  // the peer expects our close_notify
    return end();
  }
  transport_.half_close(context_.tap);
  state_ = State::kDraining;
  deadlines_.sent_fin(now(), limits());
}

// [6455-7.1.1-RESET]
void Session::reset(std::string_view why) {
  if (state_ == State::kEnded)
    return;
  transport_.reset_on_close(context_.tap);
  end({}, why);
  log(LogLevel::kWarn,
      {"Session ", id().text(), " reset: ", why, " (queued ", std::to_string(queued()), " bytes)"});
}

void Session::end(std::error_code error, std::string_view why) {
  if (state_ == State::kEnded)
    return;
  if (route_ == kNoRoute)
    log_early_end(error, why);
  state_ = State::kEnded;
  if (error && context_.tap != nullptr)
    context_.tap->lost(token().generation, error);
  context_.ended.push_back({token(), error, why});
  context_.loop.timers().cancel(*this);
}

void Session::report_end(const EndedSession& ended) {
  std::string message;
  std::string_view why = ended.why;
  if (ended.error) {
    try {
      why = message = ended.error.message();
    } catch (const std::bad_alloc&) {
      why = "out of memory";  // `closed` must be called now: the session is erased next
    }
  }
  tell_closed({close_code::kAbnormal, why, !why.empty()});
}

void Session::tell_closed(const Ending& ending) {
  if (route_ == kNoRoute || is_told_closed_)
    return;
  is_told_closed_ = true;
  endpoint().closed(*this, ending);
}

void Session::on_exception(std::string_view what) {
  log(LogLevel::kError, {"Session ", id().text(), " failed with an exception: ", what});
  if (state_ == State::kHead) {
    acquire_cork();
    context_.cork.output.clear();  // may hold part of an HTTP answer, but no frame
    refuse_with(refusal(500, "internal error"));
  } else if (state_ == State::kOpen) {
    // [6455-7.4.1-1011]
    acquire_cork();
    connection_.close(close_code::kInternalError, "internal error", context_.cork.output);
    start_flushing();
    tell_closed({close_code::kInternalError, what, true});
  }
  uncork();
}

std::string_view Session::state_name() const {
  switch (state_) {
    case State::kHead:
      return "head";
    case State::kOpen:
      return "open";
    case State::kFlushing:
      return "flushing";
    case State::kDraining:
      return "draining";
    case State::kEnded:
      return "ended";
  }
  return "";
}

}  // namespace ws
