#include "server/session/deadlines.h"

#include <algorithm>

namespace ws {

void StallWatch::restart(std::int64_t now, StallRule rule) {
  deadline_ = now + rule.window_ms;
  wanted_ = static_cast<std::uint32_t>(std::min<std::size_t>(rule.bytes, UINT32_MAX));
}

void StallWatch::update(bool is_pending, std::size_t moved, std::int64_t now, StallRule rule) {
  if (!is_pending) {
    stop();
  } else if (!is_running()) {
    restart(now, rule);
  } else {
    wanted_ -= static_cast<std::uint32_t>(std::min<std::size_t>(wanted_, moved));
  }
}

bool StallWatch::is_stalled(std::int64_t now, StallRule rule) {
  if (now < deadline_)
    return false;
  if (wanted_ > 0)
    return true;
  restart(now, rule);
  return false;
}

void Deadlines::opened(std::int64_t now, const Limits& limits) {
  if (limits.ping_ms == 0)
    return await(Wait::kNone, Timers::kNever);
  await(Wait::kSilence, now + limits.ping_ms);
}

bool Deadlines::received_pong(std::int64_t now, const Limits& limits) {
  if (wait_ != Wait::kPong)
    return false;
  await(Wait::kSilence, now + limits.ping_ms);
  return true;
}

void Deadlines::sent_ping(Acknowledged output) {
  acknowledged_ = output.bytes;
  was_all_acknowledged_ = output.is_all;
}

bool Deadlines::has_acknowledged(Acknowledged output, std::int64_t now, const Limits& limits) {
  // If everything was acknowledged before and is again, the peer's TCP may have acknowledged only our ping.
  const bool is_reading =
      output.bytes != acknowledged_ && !(was_all_acknowledged_ && output.is_all);
  sent_ping(output);
  if (is_reading)
    await(Wait::kPong, now + limits.pong_ms);
  return is_reading;
}

void Deadlines::message_continued(std::size_t size, bool is_new, std::int64_t now,
                                  const Limits& limits) {
  if (is_new)
    stalled_read_.stop();
  stalled_read_.update(true, size, now, read_rule(limits));
}

void Deadlines::sent_close(std::int64_t now, const Limits& limits) {
  await(Wait::kClose, now + limits.close_ms);
  stalled_read_.stop();  // no more messages are delivered
}

void Deadlines::flushing() {
  await(Wait::kNone, Timers::kNever);
  stalled_read_.stop();
}

Deadlines::Due Deadlines::due(std::int64_t now, const Limits& limits, Situation situation,
                              StallWatch* stalled_write) {
  if (stalled_write != nullptr && stalled_write->is_stalled(now, write_rule(limits)))
    return Due::kStalledWrite;
  if (now >= stalled_read_.deadline()) {
    // [6455-10.4-SLOW] A partly received message holds memory, so it must make progress. While we do not read, no
    // progress is possible, so the stall watch starts a new window.
    if (!situation.may_read)
      stalled_read_.restart(now, read_rule(limits));
    else if (stalled_read_.is_stalled(now, read_rule(limits)))
      return Due::kStalledRead;
  }
  if (now < deadline_)
    return Due::kNothing;
  switch (wait_) {
    case Wait::kHead:
      return Due::kHead;
    case Wait::kSilence:  // [6455-5.5.2-PING]
      await(Wait::kPong, now + limits.pong_ms);
      return Due::kPing;
    case Wait::kPong:
      // Wait again if our ping may still be queued, or if the pong may be in input that we have not read yet.
      if (situation.may_read && !situation.has_queued)
        return Due::kPong;
      await(Wait::kPong, now + limits.pong_ms);
      return Due::kNothing;
    case Wait::kClose:
      return Due::kClose;
    case Wait::kDrain:
      return Due::kDrain;
    case Wait::kNone:
      break;
  }
  return Due::kNothing;
}

std::int64_t Deadlines::next() const {
  return std::min(deadline_, stalled_read_.deadline());
}

}  // namespace ws
