#include "tools/wsload/echo.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "tools/wsload/report.h"

namespace ws::load {

EchoWorker::EchoWorker(const Plan& plan, const Messages& messages, Stage& stage, unsigned number)
    : Worker(plan, messages, stage, number),
      ring_(plan.is_open_loop() ? 0 : std::bit_ceil(plan.outstanding)),
      sent_at_(links().size() * ring_) {}

void EchoWorker::begin() {
  scheduled_ = 0;
  for (Link& link : links())  // all messages of earlier rounds were answered
    restart(link);
  if (plan().is_open_loop()) {
    const double threads = layout().busy_threads();
    schedule_ =
        Schedule(times().start, plan().rate / threads, layout().busy_before(number()) / threads);
    return;
  }
  for (Link& link : links())
    refill(link, times().start);
}

Nanoseconds EchoWorker::turn(Nanoseconds now) {
  if (!plan().is_open_loop() || links().empty())
    return INT64_MAX;
  const std::uint64_t quota = this->quota();
  const std::uint64_t before = scheduled_;
  Nanoseconds next = schedule_.at(scheduled_);
  for (; next <= now && next < times().end && scheduled_ < quota; next = schedule_.at(scheduled_)) {
    ++links()[scheduled_ % links().size()].due;
    ++scheduled_;
    ++pending_;
    if (next >= times().begin)
      lateness_to_record().record(now - next);
  }
  // Messages that became due together leave in one write.
  const std::uint64_t count = std::min<std::uint64_t>(scheduled_ - before, links().size());
  for (std::uint64_t i = 0; i < count; ++i)
    send(links()[(before + i) % links().size()]);
  return scheduled_ < quota && next < times().end ? next : INT64_MAX;
}

std::uint64_t EchoWorker::quota() const {
  if (links().empty())
    return 0;
  return plan().messages == 0
             ? UINT64_MAX
             : share(plan().messages, layout().busy_before(number()), layout().busy_threads());
}

bool EchoWorker::is_done(Nanoseconds now) {
  if (pending_ != 0 || (plan().messages == 0 && now < times().end))
    return false;
  // Open loop: also send the messages that became due while this thread did not run.
  return !plan().is_open_loop() || scheduled_ == quota() || schedule_.at(scheduled_) >= times().end;
}

/// Sends what is due. In a closed loop, answers make new messages due.
void EchoWorker::refill(Link& link, Nanoseconds now) {
  if (!plan().is_open_loop() && now < times().end) {
    std::uint64_t target = link.answered + plan().outstanding;
    if (plan().messages != 0)
      target = std::min(target, share(plan().messages, link.number, plan().connections));
    pending_ += target - link.due;
    for (; link.due < target; ++link.due)
      sent_at_[link.slot * ring_ + (link.due & (ring_ - 1))] = now;
  }
  send(link);
}

void EchoWorker::send(Link& link) {
  const std::uint64_t count =
      link.answered + std::min(link.due - link.answered, plan().outstanding);
  const Messages::Stream stream = messages().stream(0);
  send_stream(link, stream, stream.position(first(link) + count));
}

void EchoWorker::take(Link& link, std::span<std::byte> in, Nanoseconds now) {
  if (link.talk == nullptr)
    in = in.subspan(handle_expected(link, in, now));
  if (!in.empty())
    handle_parsed(link, in, now);
  refill(link, now);
}

/// Fast path: compares `in` with the expected answers. Returns the number of bytes before the first difference.
std::size_t EchoWorker::handle_expected(Link& link, std::span<const std::byte> in,
                                        Nanoseconds now) {
  const Messages::Bytes answers = messages().answers(0);
  const std::uint64_t size = messages().answer_size();
  std::size_t taken = 0;
  while (taken < in.size()) {
    const std::uint64_t at = answer_number(link) * size + link.position;
    const std::size_t run = std::min<std::size_t>(in.size() - taken, answers.size() - at);
    if (std::memcmp(in.data() + taken, answers.data() + at, run) != 0)
      break;
    taken += run;
    link.position += run;
    const std::uint64_t whole = link.position / size;
    link.position -= whole * size;
    count(link, whole, now);
  }
  return taken;
}

/// General path: parses frames until a message ends. Needed for pings, for answers that the server fragments, and to
/// report a wrong answer.
void EchoWorker::handle_parsed(Link& link, std::span<std::byte> in, Nanoseconds now) {
  if (plan().is_tcp)
    fail(link, ExitCode::kWrongAnswer, "the echoed bytes differ from those that were sent");
  if (link.talk == nullptr) {
    begin_talk(link);
    const Messages::Bytes known = messages().answer(answer_number(link)).first(link.position);
    std::vector<std::byte> received(known.begin(), known.end());
    std::span<std::byte> rest(received);
    next_event(link, rest);
  }
  for (;;) {
    const Event event = next_event(link, in);
    if (event.type == Event::Type::kNeedMore)
      break;
    const bool is_unasked = event.type == Event::Type::kPing ||
                            (event.type == Event::Type::kPong && plan().mode != Mode::kIdle);
    if (is_unasked)
      continue;
    check_answer(link, event, messages().answer_payload(answer_number(link)));
    link.position = 0;
    count(link, 1, now);
  }
  if (!link.talk->connection.is_mid_message() && link.talk->out.empty()) {
    end_talk(link);
    link.position = 0;
  }
}

void EchoWorker::count(Link& link, std::uint64_t answers, Nanoseconds now) {
  if (link.answered + answers > link.due)
    fail(link, ExitCode::kWrongAnswer, "received a reply that matches no request");
  for (const std::uint64_t end = link.answered + answers; link.answered < end; ++link.answered)
    record(due_at(link, link.answered), now);
  pending_ -= answers;
  add_answers(answers);
}

Nanoseconds EchoWorker::due_at(const Link& link, std::uint64_t index) const {
  return plan().is_open_loop() ? schedule_.at(index * links().size() + link.slot)
                               : sent_at_[link.slot * ring_ + (index & (ring_ - 1))];
}

bool EchoWorker::give_up(Nanoseconds now) {
  for (Link& link : links()) {
    if (link.answered == link.due)
      continue;
    if (!plan().is_open_loop()) {
      fail(link, ExitCode::kLost,
           counted(link.due - link.answered, "unanswered message") + " after --timeout");
    }
    // Their latency is at least the time waited.
    for (std::uint64_t index = link.answered; index < link.due; ++index)
      record(due_at(link, index), now);
  }
  set_unanswered(pending_);
  return true;
}

}  // namespace ws::load
