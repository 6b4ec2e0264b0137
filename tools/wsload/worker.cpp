#include "tools/wsload/worker.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>
#include <utility>

#include "protocol/frame/close.h"
#include "protocol/http/http_message.h"
#include "protocol/inspect/escape.h"
#include "protocol/text.h"
#include "server/net/socket.h"

namespace ws::load {
namespace {

/// Connections that a thread opens at the same time.
constexpr std::size_t kOpeningAtOnce = 128;
constexpr Nanoseconds kMillisecond = kSecond / 1000;
/// Time for the server's Close and FIN after our Close.
constexpr Nanoseconds kCloseTimeout = 2 * kSecond;
/// The longest wait for events: a failure in another thread is noticed within this time.
constexpr Nanoseconds kLongestWait = kSecond / 10;
/// Unsent bytes of pongs above which a server that sends pings but does not read fails its connection.
constexpr std::size_t kMaxUnsent = std::size_t{4} * 1024 * 1024;
constexpr std::size_t kBufferSize = std::size_t{256} * 1024;
constexpr std::uint32_t kWakeSlot = UINT32_MAX;
constexpr int kMaxEvents = 256;

Nanoseconds read_clock(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return Nanoseconds{time.tv_sec} * kSecond + time.tv_nsec;
}

Nanoseconds in_nanoseconds(double seconds) {
  return static_cast<Nanoseconds>(seconds * static_cast<double>(kSecond));
}

[[noreturn]] void fail_system(const char* call) {
  throw Failure(ExitCode::kLost, call + because(errno));
}

/// Pseudo-random numbers for nonces, and for the masking keys of frames that are not part of the load.
std::uint32_t next_number() {
  thread_local std::uint32_t state = static_cast<std::uint32_t>(monotonic_now());
  state = state * 1'664'525U + 1'013'904'223U;
  return state;
}
MaskingKey next_masking_key() {
  return std::bit_cast<MaskingKey>(next_number());
}

void add_to_epoll(const Fd& epoll, int operation, const Fd& fd, std::uint32_t events,
                  std::uint32_t slot) {
  epoll_event event{};
  event.events = events;
  event.data.u32 = slot;
  if (::epoll_ctl(epoll.get(), operation, fd.get(), &event) != 0)
    fail_system("epoll_ctl");
}

/// Binds the socket to source address 127.0.0.1 + `number`.
void bind_source(const Fd& fd, std::size_t number) {
  const int on = 1;
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<std::uint32_t>(number));
  // Let connect() choose the port: then source ports must be unique only per server, not for all connections.
  ::setsockopt(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0)
    fail_system("cannot bind a source address");
}

std::string describe_bytes(Event::Type type) {
  switch (type) {
    case Event::Type::kText:
      return "text";
    case Event::Type::kBinary:
      return "binary";
    default:
      return "a pong";
  }
}

}  // namespace

Nanoseconds monotonic_now() {
  return read_clock(CLOCK_MONOTONIC);
}

// --- Stage

unsigned Stage::be_ready() {
  const std::lock_guard lock(mutex_);
  ++ready_;
  changed_.notify_all();
  return round_;
}

bool Stage::is_awaited(unsigned round) {
  const std::lock_guard lock(mutex_);
  return is_to_come(round);
}

std::optional<Stage::Times> Stage::await_start(unsigned round) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this, round] { return !is_to_come(round); });
  return round_ == round || failure_ ? std::nullopt : std::optional(times_);
}

void Stage::set_open(unsigned thread, std::size_t open) {
  const std::lock_guard lock(mutex_);
  open_of_threads_[thread] = open;
}

Layout Stage::layout() {
  const std::lock_guard lock(mutex_);
  return Layout(open_of_threads_);
}

void Stage::start(const Times& times) {
  const std::lock_guard lock(mutex_);
  times_ = times;
  ready_ = 0;
  ++round_;
  changed_.notify_all();
}

void Stage::throw_failure() {
  const std::lock_guard lock(mutex_);
  if (failure_)
    throw Failure(*failure_);
}

void Stage::let_close() {
  const std::lock_guard lock(mutex_);
  may_close_ = true;
  changed_.notify_all();
}

void Stage::fail(const Failure& failure) {
  const std::lock_guard lock(mutex_);
  if (!failure_)
    failure_ = failure;
  has_failed_.store(true, std::memory_order_relaxed);
  changed_.notify_all();
}

// --- Worker

Worker::Worker(const Plan& plan, const Messages& messages, Stage& stage, unsigned number)
    : plan_(plan),
      messages_(messages),
      stage_(stage),
      number_(number),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      deflate_(plan.handshake.deflate, nullptr),
      settings_{.role = Role::kClient,
                .limits = {.message = plan.size + plan.prefix.size() + (std::uint64_t{1} << 20U)},
                .new_masking_key = next_masking_key,
                .deflate = &deflate_},
      handshake_(plan.handshake),
      links_(links_of(plan, number)),
      buffer_(kBufferSize) {
  if (!epoll_.is_open() || !wake_.is_open())
    fail_system("cannot create an epoll instance");
  add_to_epoll(epoll_, EPOLL_CTL_ADD, wake_, EPOLLIN, kWakeSlot);
  for (std::size_t slot = 0; slot < links_.size(); ++slot) {
    links_[slot].slot = static_cast<std::uint32_t>(slot);
    links_[slot].number = slot * plan.threads + number;
  }
}

Worker::~Worker() = default;

void Worker::run() {
  try {
    ::prctl(PR_SET_TIMERSLACK, 1UL);  // nanoseconds; the default is 50,000
    if (plan_.mode != Mode::kConnect)
      open_all();
    stage_.set_open(number_, links_.size());
    while (const auto times = await_round()) {
      adapt_to_open();
      times_ = *times;
      load();
    }
    if (!stage_.has_failed())
      close_all();
  } catch (const Failure& failure) {
    stage_.fail(failure);
  } catch (const std::exception& error) {
    stage_.fail(Failure(ExitCode::kLost, error.what()));
  }
}

void Worker::open_all() {
  std::size_t next = 0;
  while (open_ + not_opened_.total() < links_.size() && !stage_.has_failed()) {
    while (opening_ < kOpeningAtOnce && next < links_.size())
      connect(links_[next++]);
    wait(monotonic_now() + kLongestWait);
    check_deadlines();
  }
  if (not_opened_.total() != 0)
    remove_closed();
}

/// Removes the connections that did not open, and renumbers the slots of the others.
void Worker::remove_closed() {
  std::erase_if(links_, [](const Link& link) { return link.state == State::kClosed; });
  for (std::size_t slot = 0; slot < links_.size(); ++slot) {
    Link& link = links_[slot];
    if (link.slot == slot)
      continue;
    link.slot = static_cast<std::uint32_t>(slot);
    add_to_epoll(epoll_, EPOLL_CTL_MOD, link.fd,
                 link.wants_write ? EPOLLIN | EPOLLOUT : std::uint32_t{EPOLLIN}, link.slot);
  }
}

/// Before the first round: if connections of this or another thread did not open, adapts the plan and the numbers of
/// the connections.
void Worker::adapt_to_open() {
  if (layout_.is_known())
    return;
  layout_ = stage_.layout();
  if (layout_.total() == plan_.connections)
    return;
  plan_.adapt(layout_.total());
  for (Link& link : links_)
    link.number = layout_.number(number_, link.slot);
}

/// Waits for the next round. With --hold, connections are read meanwhile: pings are answered, and a lost connection is
/// a failure at once. Otherwise nothing is read: in a chat, messages from other threads may arrive before our round
/// has started.
std::optional<Stage::Times> Worker::await_round() {
  const unsigned round = stage_.be_ready();
  while (plan_.is_held && stage_.is_awaited(round))
    wait(monotonic_now() + kLongestWait);
  return stage_.await_start(round);
}

void Worker::load() {
  latencies_ = Histogram();
  lateness_ = Histogram();
  const Nanoseconds patience = in_nanoseconds(plan_.timeout);
  std::optional<Nanoseconds> cpu_before;
  std::optional<Nanoseconds> cpu_after;
  std::uint64_t seen = progress();
  const Nanoseconds began = monotonic_now();
  Nanoseconds seen_at = began;
  begin();
  while (!stage_.has_failed()) {
    const Nanoseconds now = monotonic_now();
    if (!cpu_before && now >= times_.begin)
      cpu_before = read_clock(CLOCK_THREAD_CPUTIME_ID);
    const bool is_done = this->is_done(now);
    if (!cpu_after && (is_done || now >= times_.end))
      cpu_after = read_clock(CLOCK_THREAD_CPUTIME_ID);
    if (is_done)
      break;
    if (seen != progress()) {
      seen = progress();
      seen_at = now;
    }
    // Closed loop: no progress within --timeout. Both loops: --timeout has passed since the end of the round, or since
    // this thread started, if it started after the end.
    const bool is_silent = now - seen_at > patience && !plan_.is_open_loop();
    const bool is_over = now > times_.end && now - std::max(times_.end, began) > patience;
    if ((is_silent || is_over) && give_up(now))
      break;
    check_deadlines();
    wait(std::min(turn(now), now + kLongestWait));
  }
  if (cpu_before)
    cpu_ = cpu_after.value_or(read_clock(CLOCK_THREAD_CPUTIME_ID)) - *cpu_before;
}

void Worker::close_all() {
  for (Link& link : links_) {
    if (link.state == State::kOpen)
      close(link);
  }
  while (closing_ > 0) {
    wait(monotonic_now() + kLongestWait);
    check_deadlines();
  }
}

void Worker::wait(Nanoseconds until) {
  const Nanoseconds left = std::max<Nanoseconds>(until - monotonic_now(), 0);
  const timespec timeout{.tv_sec = left / kSecond, .tv_nsec = left % kSecond};
  std::array<epoll_event, kMaxEvents> events;
  int count = ::epoll_pwait2(epoll_.get(), events.data(), kMaxEvents, &timeout, nullptr);
  if (count < 0 && errno == ENOSYS) {  // Linux before 5.11, and valgrind: use milliseconds
    const auto rounded_up = static_cast<int>((left + kMillisecond - 1) / kMillisecond);
    count = ::epoll_wait(epoll_.get(), events.data(), kMaxEvents, rounded_up);
  }
  if (count < 0 && errno != EINTR)
    fail_system("epoll_pwait2");
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.u32 == kWakeSlot) {
      std::uint64_t times = 0;
      [[maybe_unused]] const ssize_t size = ::read(wake_.get(), &times, sizeof times);
    } else {
      dispatch(links_[event.data.u32], event.events);
    }
  }
}

void Worker::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t size = ::write(wake_.get(), &one, sizeof one);
}

void Worker::dispatch(Link& link, std::uint32_t events) {
  try {
    handle(link, events);
  } catch (NotOpened& failure) {
    give_up_opening(link, std::move(failure.reason));
  }
}

void Worker::handle(Link& link, std::uint32_t events) {
  if (link.state == State::kConnecting) {
    if (const auto error = pending_error(link.fd)) {
      record_failed_address(link, because(error.value()));
      try_addresses(link);
    } else {
      start_upgrade(link);
    }
    return;
  }
  if ((events & EPOLLOUT) != 0) {
    if (link.state == State::kOpen) {
      send(link);
    } else {
      send_talk(link);
    }
  }
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0 && link.state != State::kClosed)
    read(link);
}

void Worker::read(Link& link) {
  const IoResult result = receive(link.fd, buffer_);
  if (result.status() == IoResult::Status::kWouldBlock)
    return;
  const std::span<std::byte> in = std::span(buffer_).first(result.size());
  const bool is_end = result.status() != IoResult::Status::kDone;
  const std::string how =
      result.status() == IoResult::Status::kError ? because(result.error().value()) : "";
  switch (link.state) {
    case State::kUpgrading:
      if (is_end)
        fail(link, ExitCode::kLost, describe_tcp_end(" during the opening handshake", how));
      return handle_head(link, in);
    case State::kGreeting:
    case State::kOpen:
      if (is_end)
        fail(link, ExitCode::kLost, describe_tcp_end(" without a Close", how));
      return link.state == State::kOpen ? take(link, in, monotonic_now()) : greet(link, in);
    case State::kClosing:
      if (is_end && !link.talk->connection.is_finished())
        fail(link, ExitCode::kLost, describe_tcp_end(" without an answer to our Close", how));
      return is_end ? end(link) : handle_closing(link, in);
    case State::kConnecting:
    case State::kClosed:
      return;
  }
}

void Worker::check_deadlines() {
  if (opening_ == 0 && closing_ == 0)
    return;
  const Nanoseconds now = monotonic_now();
  if (now < next_check_)
    return;
  next_check_ = now + kLongestWait;
  for (Link& link : links_) {
    try {
      check_deadline(link, now);
    } catch (NotOpened& failure) {
      give_up_opening(link, std::move(failure.reason));
    }
  }
}

void Worker::check_deadline(Link& link, Nanoseconds now) {
  const Nanoseconds age = now - link.since;
  if (link.state == State::kClosing && age > kCloseTimeout)
    end(link);
  if (!is_opening(link) || age <= in_nanoseconds(plan_.timeout))
    return;
  if (link.state == State::kConnecting) {
    record_failed_address(link, ": no answer within --timeout");
    return try_addresses(link);
  }
  fail(link, ExitCode::kLost,
       link.state == State::kGreeting
           ? "the server did not answer a ping within --timeout"
           : "the server did not answer the opening handshake within --timeout");
}

// --- opening and closing

bool Worker::is_opening(const Link& link) {
  return link.state == State::kConnecting || link.state == State::kUpgrading ||
         link.state == State::kGreeting;
}

void Worker::connect(Link& link) {
  begin_talk(link);
  link.state = State::kConnecting;
  link.address = preferred_;
  link.tried = 0;
  ++opening_;
  try {
    try_addresses(link);
  } catch (NotOpened& failure) {
    give_up_opening(link, std::move(failure.reason));
  }
}

/// [6455-4.1-CONNECT] Starts to connect to the next address; skips addresses that fail immediately. Throws NotOpened if
/// none is left.
void Worker::try_addresses(Link& link) {
  while (link.tried < plan_.addresses.size()) {
    const SocketAddress& address = plan_.addresses[link.address];
    link.fd = Fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!link.fd.is_open())
      fail_system("cannot create a socket");
    const int on = 1;
    ::setsockopt(link.fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (plan_.sources > 1)
      bind_source(link.fd, link.number % plan_.sources);
    link.since = monotonic_now();
    if (::connect(link.fd.get(), address.data(), address.size()) == 0 || errno == EINPROGRESS) {
      link.wants_write = true;
      add_to_epoll(epoll_, EPOLL_CTL_ADD, link.fd, EPOLLIN | EPOLLOUT, link.slot);
      return;
    }
    record_failed_address(
        link, because(errno) + (errno == EADDRNOTAVAIL ? " (no free port: use --sources to "
                                                         "connect from more addresses)"
                                                       : ""));
  }
  throw NotOpened{"cannot connect to " + link.talk->failures};
}

/// Records why the address failed, and selects the next one. `why` begins with a colon.
void Worker::record_failed_address(Link& link, const std::string& why) {
  std::string& failures = link.talk->failures;
  failures += failures.empty() ? "" : "; ";
  failures += plan_.addresses[link.address].to_string() + why;
  link.fd.reset();
  ++link.tried;
  link.address = static_cast<std::uint8_t>((link.address + 1U) % plan_.addresses.size());
}

void Worker::give_up_opening(Link& link, std::string reason) {
  not_opened_.add(std::move(reason));
  --opening_;
  link.fd.reset();
  link.talk.reset();
  link.state = State::kClosed;
  not_opened(link);
}

void Worker::start_upgrade(Link& link) {
  preferred_ = link.address;
  if (plan_.is_tcp)
    return become_open(link, {});
  for (std::byte& byte : link.talk->nonce)
    byte = static_cast<std::byte>(next_number() >> 24U);
  handshake_.nonce = link.talk->nonce;
  handshake_.write_request(link.talk->out);
  link.state = State::kUpgrading;
  send_talk(link);
}

void Worker::handle_head(Link& link, std::span<std::byte> in) {
  Talk& talk = *link.talk;
  talk.head += as_text(in);
  HttpResponse response;
  HttpResponse::Status status = response.parse(talk.head, settings_.limits);
  // [9110-15.2-INTERIM] read on to the final response
  while (status == HttpResponse::Status::kComplete && response.is_interim()) {
    talk.head.erase(0, response.size());
    response.reset();
    status = response.parse(talk.head, settings_.limits);
  }
  if (status == HttpResponse::Status::kNeedMore)
    return;
  handshake_.nonce = talk.nonce;
  const ClientHandshake::Established established =
      status == HttpResponse::Status::kError ? ClientHandshake::Established{response.error()}
                                             : handshake_.validate_response(response);
  const Error error = established.error;
  if (error == Error::kStatus) {
    fail(link, ExitCode::kRefused,
         "the server refused the opening handshake: " + std::to_string(response.status()) + " " +
             escape_for_terminal(response.reason()));
  }
  if (error != Error::kNone)
    fail(link, ExitCode::kRefused, "wrong answer to the opening handshake: " + cite(error));

  if (plan_.compresses())
    use_deflate(link, established.deflate);

  std::string rest = std::exchange(talk.head, {}).substr(response.size());
  const std::span<std::byte> frames = std::as_writable_bytes(std::span(rest));
  if (plan_.mode == Mode::kConnect)
    return become_open(link, frames);
  link.state = State::kGreeting;
  talk.connection.send_control(Opcode::kPing, {}, talk.out);
  send_talk(link);
  greet(link, frames);
}

/// Sets the parameters of permessage-deflate. Fails the connection if they do not allow the precompressed frames.
void Worker::use_deflate(Link& link, std::optional<DeflateParameters> agreed) {
  if (!agreed)
    fail(link, ExitCode::kRefused, "the server did not agree to permessage-deflate");
  if (agreed->client_max_window_bits < Messages::kWindowBits)
    fail(link, ExitCode::kRefused, "the server agreed to a compression window of only 256 bytes");
  agreed->client_no_context_takeover = true;  // this connection compresses nothing
  link.talk->connection.use_deflate(*agreed);
}

void Worker::greet(Link& link, std::span<std::byte> in) {
  for (;;) {
    const Event event = next_event(link, in);
    if (event.type == Event::Type::kPong)
      return become_open(link, in);
    if (event.type == Event::Type::kNeedMore)
      break;
  }
  send_talk(link);  // sends queued pongs
}

void Worker::become_open(Link& link, std::span<std::byte> in) {
  // The pong to a ping that arrived together with ours may still be queued.
  if (send_talk(link) && !link.talk->connection.is_mid_message())
    end_talk(link);
  link.state = State::kOpen;
  --opening_;
  ++open_;
  stage_.add_open(1);
  opened(link);
  if (!in.empty() && link.state == State::kOpen) {
    take(link, in, monotonic_now());
  } else if (!in.empty() && link.state == State::kClosing) {
    handle_closing(link, in);
  }
}

void Worker::close(Link& link) {
  const bool is_between_frames =
      stream(link).frame_end(link.sent) == link.sent && link.position == 0;
  if (plan_.is_tcp || !is_between_frames)
    return end(link);
  if (link.talk == nullptr)
    begin_talk(link);
  link.state = State::kClosing;
  link.since = monotonic_now();
  ++closing_;
  link.talk->connection.close(close_code::kNormal, {}, link.talk->out);
  send_talk(link);
}

void Worker::handle_closing(Link& link, std::span<std::byte> in) {
  while (!link.talk->connection.is_finished()) {
    if (link.talk->connection.next(in, link.talk->out).type == Event::Type::kNeedMore)
      return;
  }
  // [6455-7.1.1-WAIT] wait until the server ends TCP
}

void Worker::end(Link& link) {
  if (link.state == State::kClosing)
    --closing_;
  --open_;
  link.fd.reset();
  link.talk.reset();
  link.state = State::kClosed;
  closed(link);
}

// --- sending and parsing

void Worker::watch(Link& link, bool wants_write) {
  if (link.wants_write == wants_write)
    return;
  link.wants_write = wants_write;
  const std::uint32_t events = wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
  add_to_epoll(epoll_, EPOLL_CTL_MOD, link.fd, events, link.slot);
}

/// Sends the output of `link.talk`. Returns false if the socket is full.
bool Worker::send_talk(Link& link) {
  Talk& talk = *link.talk;
  bool is_full = false;
  talk.out.for_each_piece([&](Output::Bytes piece) {  // one at most: a client lends nothing
    const auto rest = piece.subspan(talk.out_sent);
    const IoResult result = send_bytes(link.fd, rest);
    // On error discard the output: data received before can still be read, and the read reports the error.
    talk.out_sent += result.status() == IoResult::Status::kError ? rest.size() : result.size();
    is_full = talk.out_sent < piece.size();
  });
  watch(link, is_full);
  if (is_full)
    return false;
  talk.out.clear();
  talk.out_sent = 0;
  return true;
}

bool Worker::send_stream(Link& link, const Messages::Stream& stream, std::uint64_t end) {
  if (link.talk != nullptr && !link.talk->out.empty()) {
    if (!send_range(link, stream.cycle(), stream.frame_end(link.sent)) || !send_talk(link))
      return false;
  }
  return send_range(link, stream.cycle(), end);
}

bool Worker::send_range(Link& link, Messages::Bytes cycle, std::uint64_t end) {
  while (link.sent < end) {
    std::array<iovec, 8> pieces;
    std::size_t count = 0;
    std::uint64_t planned = link.sent;
    for (; count < pieces.size() && planned < end; ++count) {
      const std::uint64_t at = planned % cycle.size();
      const std::uint64_t size = std::min(cycle.size() - at, end - planned);
      pieces[count] = {const_cast<std::byte*>(cycle.data() + at), size};
      planned += size;
    }
    const IoResult result = send_pieces(link.fd, std::span(pieces).first(count));
    link.sent += result.size();
    // Also after an error: epoll reports it, and the loop reads the data received before it.
    if (link.sent < planned) {
      watch(link, result.status() != IoResult::Status::kError);
      return false;
    }
  }
  watch(link, false);
  return true;
}

Event Worker::next_event(Link& link, std::span<std::byte>& in) {
  const Event event = link.talk->connection.next(in, link.talk->out);
  const bool is_failure = event.type == Event::Type::kFailed;
  if (is_failure || event.type == Event::Type::kClose) {
    std::string text = is_failure
                           ? "protocol error by the server: " + cite(event.error)
                           : "the server closed the connection: " + describe_close_code(event.code);
    if (!is_failure && !event.payload.empty())
      text += ", \"" + escape_for_terminal(as_text(event.payload)) + "\"";
    fail(link, ExitCode::kOtherCode, text);
  }
  const Talk& talk = *link.talk;
  if (talk.out.size() - talk.out_sent > kMaxUnsent)
    fail(link, ExitCode::kLost, "the server sends pings, but does not read our pongs");
  return event;
}

void Worker::check_answer(const Link& link, const Event& event, Messages::Bytes wanted) const {
  const Opcode opcode = plan_.answer_opcode();
  const Event::Type type = opcode == Opcode::kText     ? Event::Type::kText
                           : opcode == Opcode::kBinary ? Event::Type::kBinary
                                                       : Event::Type::kPong;
  const auto differ = std::ranges::mismatch(event.payload, wanted);
  std::string what;
  if (event.type != type) {
    what = "the answer is " + describe_bytes(event.type) + ", not " + describe_bytes(type);
  } else if (event.payload.size() != wanted.size()) {
    what = "the answer has " + std::to_string(event.payload.size()) + " bytes, not " +
           std::to_string(wanted.size());
  } else if (differ.in2 != wanted.end()) {
    what = "byte " + std::to_string(differ.in2 - wanted.begin()) + " of the answer is 0x" +
           to_hex({&*differ.in1, 1}) + ", not 0x" + to_hex({&*differ.in2, 1});
  } else {
    return;
  }
  fail(link, ExitCode::kWrongAnswer,
       "wrong answer to message " + std::to_string(link.answered + 1) + ": " + what);
}

void Worker::fail(const Link& link, ExitCode code, const std::string& what) {
  if (is_opening(link))
    throw NotOpened{what};
  throw Failure(code, "connection " + std::to_string(link.number + 1) + ": " + what);
}

}  // namespace ws::load
