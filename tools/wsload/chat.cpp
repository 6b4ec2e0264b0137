#include "tools/wsload/chat.h"

#include <algorithm>
#include <cstring>

namespace ws::load {

ChatBoard::ChatBoard(const Plan& plan, const Messages& messages)
    : said(plan.mode == Mode::kChat ? messages.count() : 0), workers(plan.threads) {}

ChatWorker::ChatWorker(const Plan& plan, const Messages& messages, Stage& stage, ChatBoard& board,
                       unsigned number)
    : Worker(plan, messages, stage, number), board_(board) {
  board.workers[number] = this;
  std::vector<std::size_t> members(plan.threads);
  for (unsigned thread = 0; thread < plan.threads; ++thread)
    members[thread] = links_of(plan, thread);
  prepare(Layout(std::move(members)));
}

void ChatWorker::prepare(Layout members) {
  members_ = std::move(members);
  places_ = members_.first(plan().speakers);
  speakers_ = static_cast<std::size_t>(std::ranges::count(
      places_, number(), [](const Layout::Place& place) { return place.thread; }));
  said_.assign(speakers_, 0);
  listeners_.assign(links().size(), Listener{});
  for (Listener& listener : listeners_)
    listener.next.resize(plan().speakers);
  left_.assign(plan().speakers * messages().cycle(), 0);
  for (std::uint64_t message = 0; message < left_.size(); ++message)
    left_[message] = listeners(number(), message / messages().cycle());
}

/// Number of listeners in `thread` that receive the messages of `speaker`.
unsigned ChatWorker::listeners(unsigned thread, std::size_t speaker) const {
  const auto all = static_cast<unsigned>(members_.of(thread));
  return places_[speaker].thread == thread && !plan().hears_itself ? all - 1 : all;
}

std::uint64_t ChatWorker::quota(const Link& link) const {
  return plan().messages == 0 ? UINT64_MAX : share(plan().messages, link.number, plan().speakers);
}

void ChatWorker::begin() {
  if (members_.total() != layout().total())  // not all have opened
    prepare(layout());
  if (plan().is_open_loop()) {
    const double rate = plan().rate * static_cast<double>(std::max<std::size_t>(speakers_, 1)) /
                        static_cast<double>(plan().speakers);
    schedule_ = Schedule(times().start, rate, static_cast<double>(number()) / plan().threads);
    return;
  }
  for (std::size_t slot = 0; slot < speakers_; ++slot)
    refill(links()[slot], times().start);
}

void ChatWorker::read_mail() {
  mail_.clear();
  {
    const std::lock_guard lock(mutex_);
    mail_.swap(mailbox_);
  }
  for (const std::size_t speaker : mail_)
    all_heard(speaker);
}

Nanoseconds ChatWorker::turn(Nanoseconds now) {
  read_mail();
  // Not earlier, so that all new messages of a speaker leave in one write.
  for (const std::size_t speaker : answered_)
    refill(link_of(speaker), now);
  answered_.clear();

  Nanoseconds next = INT64_MAX;
  if (plan().is_open_loop() && speakers_ != 0) {
    const std::uint64_t before = scheduled_;
    for (next = schedule_.at(scheduled_); next <= now && next < times().end;
         next = schedule_.at(scheduled_)) {
      Link& link = links()[scheduled_ % speakers_];
      if (link.due == quota(link))
        break;
      ++link.due;
      ++scheduled_;
      board_.pending.fetch_add(1);
      if (next >= times().begin)
        lateness_to_record().record(now - next);
    }
    const std::uint64_t count = std::min<std::uint64_t>(scheduled_ - before, speakers_);
    for (std::uint64_t i = 0; i < count; ++i)
      refill(links()[(before + i) % speakers_], now);
  }
  if (!is_silent_) {
    is_silent_ = now >= times().end;
    if (plan().messages != 0) {
      is_silent_ = is_silent_ || std::ranges::all_of(
                                     std::span(links()).first(speakers_),
                                     [this](const Link& link) { return link.due == quota(link); });
    }
    if (is_silent_)
      board_.silent.fetch_add(1);
  }
  if (is_silent_)
    return now + kSecond / 1000;  // poll until the other threads have finished
  return std::min(next, times().end);
}

bool ChatWorker::is_done(Nanoseconds /*now*/) {
  return board_.silent.load() == plan().threads && board_.pending.load() == 0;
}

/// Sends the messages that are due and that --outstanding allows. In a closed loop, answers make new messages due.
void ChatWorker::refill(Link& link, Nanoseconds now) {
  if (!plan().is_open_loop() && now < times().end) {
    const std::uint64_t target = std::min(link.answered + plan().outstanding, quota(link));
    board_.pending.fetch_add(static_cast<std::int64_t>(target - link.due));
    link.due = target;
  }
  std::uint64_t& said = said_[link.slot];
  for (; said < std::min(link.due, link.answered + plan().outstanding); ++said) {
    ChatBoard::Said& message =
        board_.said[link.number * messages().cycle() + said % messages().cycle()];
    unsigned threads = 0;
    for (unsigned thread = 0; thread < plan().threads; ++thread)
      threads += listeners(thread, link.number) != 0 ? 1U : 0U;
    message.threads_left.store(threads);
    message.at.store(plan().is_open_loop() ? schedule_.at(said * speakers_ + link.slot) : now);
  }
  send(link);
}

void ChatWorker::send(Link& link) {
  const std::uint64_t said = link.slot < speakers_ ? said_[link.slot] : 0;
  const Messages::Stream stream = this->stream(link);
  send_stream(link, stream, stream.position(said));
}

Messages::Stream ChatWorker::stream(const Link& link) const {
  return messages().stream(link.slot < speakers_ ? link.number : 0);
}

void ChatWorker::take(Link& link, std::span<std::byte> in, Nanoseconds now) {
  if (link.talk == nullptr && handle_expected(link, in, now))
    return;
  handle_parsed(link, in, now);
}

/// Fast path: compares `in` with the expected messages. Returns true if all bytes match; otherwise `in` begins at the
/// first message or byte that does not.
bool ChatWorker::handle_expected(Link& link, std::span<std::byte>& in, Nanoseconds now) {
  const std::uint64_t size = messages().answer_size();
  const std::uint64_t tag_begin = messages().tag_begin();
  const std::uint64_t tag_end = tag_begin + Messages::kTagSize;
  std::uint64_t& number = listeners_[link.slot].number;
  while (!in.empty()) {
    // Common case: the message is complete. Its tag selects the message to compare with.
    if (link.position == 0 && in.size() >= size) {
      std::uint64_t tag = 0;
      for (std::uint64_t i = tag_begin; i < tag_end; ++i)
        tag = tag << 6U | (std::to_integer<unsigned>(in[i]) - '0') % 64;
      if (tag >= left_.size() || std::memcmp(in.data(), messages().answer(tag).data(), size) != 0) {
        return false;
      }
      in = in.subspan(size);
      deliver(link, tag, now);
      continue;
    }
    if (link.position >= tag_begin && link.position < tag_end) {
      const auto digit = Messages::digit(in.front());
      if (!digit)
        return false;
      const std::uint64_t tag = (link.position == tag_begin ? 0 : number << 6U) + *digit;
      if (link.position + 1 == tag_end && tag >= left_.size())
        return false;
      number = tag;
      in = in.subspan(1);
      ++link.position;
    } else {
      // Before the tag all messages are equal.
      const bool is_before = link.position < tag_begin;
      const Messages::Bytes wanted = messages().answer(is_before ? 0 : number);
      const std::size_t run =
          std::min<std::size_t>(in.size(), (is_before ? tag_begin : size) - link.position);
      if (std::memcmp(in.data(), wanted.data() + link.position, run) != 0)
        return false;
      in = in.subspan(run);
      link.position += run;
    }
    if (link.position == size) {
      link.position = 0;
      deliver(link, number, now);
    }
  }
  return true;
}

void ChatWorker::handle_parsed(Link& link, std::span<std::byte> in, Nanoseconds now) {
  const std::uint64_t tag_in_payload = plan().prefix.size();
  if (link.talk == nullptr) {
    // Restore the bytes of this message that were compared already; they may end inside the tag.
    const std::uint64_t tag_begin = messages().tag_begin();
    const std::uint64_t number = listeners_[link.slot].number;
    const bool is_known = link.position >= tag_begin + Messages::kTagSize;
    const Messages::Bytes known = messages().answer(is_known ? number : 0).first(link.position);
    std::vector<std::byte> received(known.begin(), known.end());
    for (std::uint64_t i = tag_begin; !is_known && i < link.position; ++i)
      received[i] = Messages::to_digit(number >> 6 * (link.position - 1 - i));
    begin_talk(link);
    std::span<std::byte> rest(received);
    next_event(link, rest);
  }
  for (;;) {
    const Event event = next_event(link, in);
    if (event.type == Event::Type::kNeedMore)
      break;
    if (event.type == Event::Type::kPing || event.type == Event::Type::kPong)
      continue;
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < Messages::kTagSize && tag_in_payload + i < event.payload.size();
         ++i)
      number = number << 6U | Messages::digit(event.payload[tag_in_payload + i]).value_or(63);
    number = std::min<std::uint64_t>(number, left_.size() - 1);
    check_answer(link, event, messages().answer_payload(number));
    deliver(link, number, now);
  }
  send(link);  // sends queued pongs
  if (!link.talk->connection.is_mid_message() && link.talk->out.empty()) {
    end_talk(link);
    link.position = 0;
  }
}

void ChatWorker::deliver(Link& link, std::uint64_t message, Nanoseconds now) {
  const std::uint64_t speaker = message / messages().cycle();
  std::uint32_t& next = listeners_[link.slot].next[speaker];
  ChatBoard::Said& said = board_.said[message];
  if (message % messages().cycle() != next || said.threads_left.load() == 0) {
    fail(link, ExitCode::kWrongAnswer,
         "a message of speaker " + std::to_string(speaker + 1) + " arrived twice or out of order");
  }
  next = next + 1 == messages().cycle() ? 0 : next + 1;
  record(said.at.load(), now);
  add_answers(1);
  if (--left_[message] != 0)
    return;
  left_[message] = listeners(number(), speaker);
  if (said.threads_left.fetch_sub(1) != 1)
    return;
  const unsigned owner = places_[speaker].thread;
  if (owner == number()) {
    all_heard(speaker);
    return;
  }
  ChatWorker& other = *board_.workers[owner];
  {
    const std::lock_guard lock(other.mutex_);
    other.mailbox_.push_back(speaker);
  }
  other.wake();
}

void ChatWorker::all_heard(std::size_t speaker) {
  ++link_of(speaker).answered;
  heard_.store(heard_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  board_.pending.fetch_sub(1);
  answered_.push_back(speaker);
}

bool ChatWorker::give_up(Nanoseconds now) {
  read_mail();
  std::uint64_t unheard = 0;
  for (std::size_t slot = 0; slot < speakers_; ++slot) {
    const Link& link = links()[slot];
    if (link.answered == link.due)
      continue;
    if (!plan().is_open_loop()) {
      fail(link, ExitCode::kLost, "not all listeners received its messages within --timeout");
    }
    unheard += link.due - link.answered;
    for (std::uint64_t index = link.answered; index < link.due; ++index)
      record(schedule_.at(index * speakers_ + slot), now);
  }
  set_unanswered(unheard);
  // Closed loop: the thread whose speaker waits for answers reports the failure.
  return plan().is_open_loop();
}

}  // namespace ws::load
