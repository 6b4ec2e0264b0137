#include "server/main/worker.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <utility>

#include "server/log/log.h"

namespace ws {
namespace {

constexpr int kAcceptsAtOnce = 64;
constexpr std::int64_t kListenPauseMs = 100;
constexpr std::int64_t kTrimDelayMs = 1000;

bool is_out_of_resources(std::error_code error) {
  return error == std::errc::too_many_files_open || error == std::errc::not_enough_memory ||
         error == std::errc::too_many_files_open_in_system || error == std::errc::no_buffer_space;
}

Fd open_spare() {
  return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace

Worker::Worker(ServerState& shared, const ServerOptions& options)
    : shared_(shared),
      is_first_(shared.workers.empty()),
      stop_ms_(options.limits.stop_ms),
      router_(options.allowed_origins, options.subprotocols),
      context_(options.limits, router_, shared.budgets, options.deflate),
      table_(static_cast<std::uint32_t>(shared.workers.size() + 1), options.threads),
      chat_(shared.chat, context_, table_),
      tls_buffers_(options.tls.has_value() ? std::make_unique<TlsBuffers>() : nullptr),
      spare_(open_spare()) {
  if (options.wire_log != WireDetail::kOff)
    wire_log_ = std::make_unique<WireLog>(options.wire_log == WireDetail::kHex);
  context_.tap = wire_log_.get();
}

Worker::~Worker() {
  context_.loop.timers().cancel(listen_again_);
  context_.loop.timers().cancel(stop_deadline_);
  context_.loop.timers().cancel(trim_timer_);
}

void Worker::add_echo_and_chat() {
  router_.add("/echo", echo_);
  router_.add("/chat", chat_);
  router_.add("/echo/raw", raw_echo_);
}

std::error_code Worker::listen(SocketAddress& address, PortSharing sharing, bool is_tls) {
  if (context_.loop.error())
    return context_.loop.error();
  std::error_code error;
  Fd listener = listen_on(address, error, sharing);
  if (error)
    return error;
  address = local_address(listener);
  const auto index = static_cast<std::uint32_t>(listeners_.size());
  listeners_.push_back({std::move(listener), is_tls});
  return context_.loop.add(listeners_.back().fd, EPOLLIN, {EventLoop::kListenerSlot, index});
}

std::error_code Worker::handle_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP})
    ::sigaddset(&signals, signal);
  signals_ = Fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_.is_open())
    return {errno, std::system_category()};
  return context_.loop.add(signals_, EPOLLIN, {EventLoop::kSignalSlot, 0});
}

void Worker::keep_to(int processor) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(processor), &one);
  if (::sched_setaffinity(0, sizeof one, &one) == 0) {
    for (const Listener& listener : listeners_)
      prefer_processor(listener.fd, processor);
    return;
  }
  log(LogLevel::kWarn, {"Cannot pin a loop to processor ", std::to_string(processor), ": ",
                        std::error_code(errno, std::system_category()).message()});
}

void Worker::run() {
  context_.loop.run(*this);
  context_.failures.report();
  if (wire_log_ != nullptr)
    wire_log_->end();  // now, because the log is stopped before the worker is destroyed
}

void Worker::ask(unsigned what) {
  asked_ |= what;
  context_.loop.wake();
}

// --- The loop's calls

bool Worker::on_ready(EventLoop::Token token, std::uint32_t events) {
  if (token.slot >= EventLoop::kFirstReserved) {
    if (token.slot == EventLoop::kListenerSlot)
      return accept_waiting(token.generation);
    on_signal();
    return true;
  }
  Session* const session = table_.find(token);
  if (session == nullptr)
    return true;  // stale token: its session has ended
  return guarded(*session, [&] { return session->on_ready(events); });
}

void Worker::on_timer(TimerNode& node) {
  if (&node == &listen_again_)
    return listen_again();
  if (&node == &trim_timer_)
    return trim_heap();
  if (&node == &context_.failures_end)
    return context_.failures.report();
  if (&node == &stop_deadline_) {
    if (table_.size() > 0) {
      log(LogLevel::kWarn, {"Stop timeout: ", std::to_string(table_.size()),
                            " sessions closed without a closing handshake"});
    }
    return context_.loop.stop();
  }
  auto& session = static_cast<Session&>(node);
  guarded(session, [&] { session.on_timer(); });
}

void Worker::end_after_exception(Session& session, std::string_view why) {
  try {
    session.on_exception(why);
  } catch (...) {
    session.end();  // this needs no memory
  }
}

template <typename Act>
auto Worker::guarded(Session& session, Act act) -> decltype(act()) {
  try {
    return act();
  } catch (const std::exception& exception) {
    end_after_exception(session, exception.what());
  } catch (...) {
    end_after_exception(session, "unknown exception (not a std::exception)");
  }
  return decltype(act())();
}

void Worker::on_iteration_end() {
  // Flush the rooms first: they may hold the last messages of sessions that have ended. Repeat, because erase_ended
  // calls Endpoint::closed, which may send output.
  Cork& cork = context_.cork;
  do {
    for (const Route& route : router_.routes())
      route.endpoint->iteration_ended();
    if (cork.owner() != nullptr)
      cork.owner()->uncork();
    erase_ended();
  } while (cork.owner() != nullptr || !context_.ended.empty());
  schedule_trim();
  if (asked_ != 0)
    answer(asked_.exchange(0));
  if (context_.is_stopping)
    stop_if_done();
}

void Worker::erase_ended() {
  // The list may grow while it is iterated over: Endpoint::closed may end another session.
  for (std::size_t i = 0; i < context_.ended.size(); ++i) {
    const EndedSession one = context_.ended[i];
    Session* const session = table_.find(one.token);
    guarded(*session, [&] { session->report_end(one); });
    const ConnectionCount::Address address = session->address();
    table_.erase(one.token);
    shared_.connections.leave(address);
  }
  context_.ended.clear();
}

/// Schedules malloc_trim after a peak. free() alone returns only the top of the heap to the system: a block that is in
/// use at the top keeps all free memory below it. malloc_trim scans the heaps of all threads, so one loop runs it for
/// all, at most once a second.
void Worker::schedule_trim() {
  // Call both, because each call also records the current value.
  const bool has_fewer = shared_.connections_peak.has_passed(shared_.connections.size());
  const bool holds_less = shared_.held_peak.has_passed(shared_.budgets.buffered.used());
  if ((has_fewer || holds_less) && !shared_.is_trim_scheduled.exchange(true))
    context_.loop.timers().set(trim_timer_, context_.loop.now() + kTrimDelayMs);
}

void Worker::trim_heap() {
  shared_.connections_peak.restart(shared_.connections.size());
  shared_.held_peak.restart(shared_.budgets.buffered.used());
  ::malloc_trim(0);
  shared_.is_trim_scheduled = false;
}

void Worker::on_busy_wait(EventLoop::Token token) {
  const Session* const session = table_.find(token);
  log(LogLevel::kError,
      {"Busy wait: handling 1000 events in a row had no effect; session of the last event: ",
       session == nullptr ? std::string_view("none") : session->id().text()});
}

// --- Accepting

bool Worker::accept_waiting(std::uint32_t listener) {
  if (listener >= listeners_.size())
    return true;  // stale token: its listener was closed in this iteration
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    SocketAddress peer;
    std::error_code error;
    Fd fd = accept_connection(listeners_[listener].fd, peer, error);
    if (fd.is_open()) {
      admit(std::move(fd), peer, listeners_[listener].is_tls);
      continue;
    }
    if (error == std::errc::operation_would_block)
      return i > 0;
    if (is_out_of_resources(error)) {
      on_out_of_descriptors(listeners_[listener].fd, error);
      return true;
    }
    // Any other error means that the connection ended while it waited in the queue, see accept(2). Accept the next one.
  }
  return true;
}

/// Called if accept() failed because descriptors or memory ran out (EMFILE, ENOMEM, …). The connection still waits, and
/// epoll would report it in every iteration. Closes the spare descriptor, accepts and closes the connection, and opens
/// the spare descriptor again. If one of these steps fails, pauses the listeners for kListenPauseMs.
void Worker::on_out_of_descriptors(const Fd& listener, std::error_code error) {
  spare_.reset();
  SocketAddress peer;
  std::error_code again;
  const bool is_closed = accept_connection(listener, peer, again).is_open();
  spare_ = open_spare();
  if (is_closed && spare_.is_open())
    return;
  log(LogLevel::kWarn, {"Cannot accept connections: ", error.message(), "; trying again in ",
                        std::to_string(kListenPauseMs), " ms"});
  watch_listeners(0);
  context_.loop.timers().set(listen_again_, context_.loop.now() + kListenPauseMs);
}

void Worker::watch_listeners(std::uint32_t events) {
  for (std::uint32_t i = 0; i < listeners_.size(); ++i)
    context_.loop.change(listeners_[i].fd, events, {EventLoop::kListenerSlot, i});
}

void Worker::listen_again() {
  if (!spare_.is_open())
    spare_ = open_spare();  // another loop got the descriptor that we closed
  watch_listeners(EPOLLIN);
}

void Worker::admit(Fd fd, const SocketAddress& peer, bool is_tls) {
  ConnectionCount::Entry entry{ConnectionCount::Verdict::kTooMany};
  const EventLoop::Token token = table_.next_token();
  try {
    entry = shared_.connections.enter(peer.host_bytes());
    if (entry.verdict == ConnectionCount::Verdict::kTooMany)
      return;
    // Reserve now, so that ending a session needs no memory.
    if (context_.ended.capacity() <= table_.size())
      context_.ended.reserve(2 * (table_.size() + 1));
    auto tls = is_tls ? std::make_unique<TlsConnection>(*shared_.tls(), *tls_buffers_) : nullptr;
    table_.put(
        std::make_unique<Session>(context_, std::move(fd), token, entry.address, std::move(tls)));
  } catch (const std::bad_alloc&) {
    log(LogLevel::kWarn,
        {"Out of memory: a new connection was closed; lower --max-connections or --max-buffered"});
    if (entry.verdict != ConnectionCount::Verdict::kTooMany)
      shared_.connections.leave(entry.address);
    return;
  }
  Session& session = *table_.find(token);
  if (const auto error = session.start()) {
    log(LogLevel::kWarn, {"Session ", session.id().text(),
                          " closed: epoll cannot watch its socket: ", error.message()});
    session.end(error);
  } else if (entry.verdict == ConnectionCount::Verdict::kFull) {
    guarded(session, [&] { session.refuse(Error::kUnavailable); });
  }
}

// --- Stopping

void Worker::on_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGUSR1) {
      shared_.ask_all(kLogSessions);  // each loop erases its ended sessions before it logs
    } else if (info.ssi_signo == SIGHUP) {
      shared_.reload_tls();
    } else if (!context_.is_stopping) {
      log(LogLevel::kInfo, {"Shutting down; send the signal again to exit immediately"});
      start_stopping();
    } else {
      shared_.exit_status = 128 + static_cast<int>(info.ssi_signo);
      shared_.ask_all(kEnd);
    }
  }
}

void Worker::answer(unsigned asked) {
  if ((asked & kStop) != 0)
    start_stopping();
  if ((asked & kLogSessions) != 0)
    log_sessions();
  if ((asked & kEnd) != 0)
    context_.loop.stop();
}

void Worker::start_stopping() {
  if (context_.is_stopping)
    return;
  context_.is_stopping = true;  // requests are answered 503 from now on
  context_.loop.timers().set(stop_deadline_, context_.loop.now() + stop_ms_);
  // [6455-7.3-STOP] Send the rooms' messages before the Close. Sessions that end here stay in the table until the
  // iteration ends, so table_.all() does not change while they are closed.
  for (const Route& route : router_.routes())
    route.endpoint->iteration_ended();
  for (Session* const session : table_.all()) {
    guarded(*session, [&] { session->close(close_code::kGoingAway, "the server is stopping"); });
  }
  // The first loop is the home of the rooms. It stops the other loops after the rooms have sent their last batches.
  if (is_first_)
    shared_.ask_others(kStop);
  context_.loop.wake();  // run one more iteration, even if there are no sessions
}

/// Keeps the listeners open, to answer 503, until no loop has a WebSocket. Then closes the listeners and waits for the
/// remaining sessions, which are being refused.
void Worker::stop_if_done() {
  const auto is_upgraded = [](const Session* session) { return session->is_upgraded(); };
  if (!is_without_websockets_ && std::ranges::none_of(table_.all(), is_upgraded)) {
    is_without_websockets_ = true;
    if (--shared_.loops_with_websockets == 0)
      shared_.ask_all(kNothing);  // makes all loops call stop_if_done again
  }
  if (shared_.loops_with_websockets != 0)
    return;
  if (!listeners_.empty())
    return close_listeners();
  if (table_.size() == 0)
    context_.loop.stop();
}

/// First accepts the waiting connections, because closing a listener resets them. Then closes the listeners and refuses
/// the sessions that have not sent a complete request.
void Worker::close_listeners() {
  for (std::uint32_t listener = 0; listener < listeners_.size(); ++listener) {
    for (int i = 0; i < SOMAXCONN / kAcceptsAtOnce && accept_waiting(listener); ++i)
      continue;
  }
  listeners_.clear();
  for (Session* const session : table_.all()) {
    if (session->state() == Session::State::kHead)
      guarded(*session, [&] { session->refuse(Error::kUnavailable); });
  }
  context_.loop.wake();  // run one more iteration, to erase the sessions that ended here
}

void Worker::log_sessions() const {
  log(LogLevel::kInfo, {"Sessions: ", std::to_string(table_.size()),
                        ", bytes held: ", std::to_string(shared_.budgets.buffered.used())});
  for (const Session* const session : table_.all()) {
    log(LogLevel::kInfo,
        {"Session ", session->id().text(), " ", session->path(), " ", session->state_name(), " ",
         std::to_string(session->queued()), " bytes queued"});
  }
}

}  // namespace ws
