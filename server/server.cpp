#include "server/server.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <memory>
#include <utility>

#include "server/log.h"

namespace ws {
namespace {

constexpr EventLoop::Token kListener{UINT32_MAX - 1, 0};
constexpr EventLoop::Token kSignals{UINT32_MAX - 2, 0};

constexpr int kAcceptsATurn = 64;
/// Descriptors that are not for sessions: the loop's own, the log's, and some that a library may want.
constexpr std::size_t kDescriptorReserve = 64;
/// So many connections over the limit are answered 503 at a time; what comes above is just closed.
constexpr std::size_t kRefusalsAtATime = 32;
/// ... and so many of one address, which must not take those of all others.
constexpr std::size_t kRefusalsOfAnAddress = 4;
constexpr std::int64_t kListenPauseMs = 100;
/// So many sessions, or bytes that they hold, are a wave whose memory is worth looking for when it has passed.
constexpr std::size_t kManySessions = 1024;
constexpr std::size_t kManyBytes = std::size_t{256} * 1024;
constexpr std::int64_t kGiveBackMs = 1000;

std::size_t sessions_that_descriptors_allow() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto descriptors = static_cast<std::size_t>(limit.rlim_cur);
  return descriptors > 2 * kDescriptorReserve ? descriptors - kDescriptorReserve : descriptors / 2;
}

bool is_spent(std::error_code error) {
  return error == std::errc::too_many_files_open || error == std::errc::not_enough_memory ||
         error == std::errc::too_many_files_open_in_system || error == std::errc::no_buffer_space;
}

Fd open_spare() {
  return Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

std::string_view name_of(Session::State state) {
  switch (state) {
    case Session::State::kHead:
      return "head";
    case Session::State::kOpen:
      return "open";
    case Session::State::kFlushing:
      return "flushing";
    case Session::State::kDraining:
      return "draining";
    case Session::State::kDead:
      return "dead";
  }
  return "";
}

}  // namespace

Server::Server(ServerOptions options)
    : options_(std::move(options)),
      max_sessions_(options_.limits.connections != 0 ? options_.limits.connections
                                                     : sessions_that_descriptors_allow()),
      router_(options_.allowed_origins, options_.subprotocols, options_.deflate),
      context_(options_.limits, router_, options_.deflate),
      chat_(context_.budget, &context_.deflate),
      spare_(open_spare()) {
  if (options_.wire_log != WireDetail::kOff)
    wire_log_ = std::make_unique<WireLog>(options_.wire_log == WireDetail::kHex);
  context_.wire_log = wire_log_.get();
  router_.add("/echo", echo_);
  router_.add("/chat", chat_);
  router_.add("/echo/raw", raw_echo_);
}

Server::~Server() {
  context_.loop.timers().cancel(listen_again_);
  context_.loop.timers().cancel(stop_deadline_);
  context_.loop.timers().cancel(give_back_);
}

std::error_code Server::listen() {
  if (!context_.loop.is_open())
    return {errno, std::system_category()};
  std::error_code error;
  listener_ = listen_on(options_.address, error);
  if (error)
    return error;
  options_.address = SocketAddress::local(listener_);
  return context_.loop.add(listener_, EPOLLIN, kListener);
}

std::error_code Server::handle_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1})
    ::sigaddset(&signals, signal);
  signals_ = Fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals_.is_open())
    return {errno, std::system_category()};
  return context_.loop.add(signals_, EPOLLIN, kSignals);
}

int Server::run() {
  context_.loop.run(*this);
  if (wire_log_ != nullptr)
    wire_log_->end();  // before whoever called ends the log, and then us
  return exit_status_;
}

void Server::stop() {
  is_stop_asked_ = true;
  context_.loop.wake();
}

// --- The loop's calls

bool Server::on_ready(EventLoop::Token token, std::uint32_t events) {
  if (token.slot >= kSignals.slot) {
    if (token.slot == kListener.slot)
      return accept_waiting();
    on_signal();
    return true;
  }
  Session* const session = table_.find(token);
  if (session == nullptr)
    return true;  // stale: it was put on the ready list, and died
  return guarded(*session, [&] { return session->on_ready(events); });
}

void Server::on_timer(TimerNode& node) {
  if (&node == &listen_again_)
    return listen_again();
  if (&node == &give_back_)
    return give_back();
  if (&node == &stop_deadline_) {
    log(LogLevel::kWarn,
        {"Stopping took too long: ", std::to_string(table_.size()), " sessions dropped"});
    return context_.loop.stop();
  }
  auto& session = static_cast<Session&>(node);
  guarded(session, [&] { session.on_timer(); });
}

void Server::end(Session& session, std::string_view why) {
  try {
    session.on_exception(why);
  } catch (...) {
    session.die();  // which needs no memory
  }
}

template <typename Act>
auto Server::guarded(Session& session, Act act) -> decltype(act()) {
  try {
    return act();
  } catch (const std::exception& exception) {
    end(session, exception.what());
  } catch (...) {
    end(session, "an exception of no known type");
  }
  return decltype(act())();
}

// region server-turn-end
void Server::on_turn_end() {
  // Rooms first: a session that died in this turn has its last words in them. What the endpoints say when
  // they hear of the dead leaves in the same turn.
  do {
    for (const Route& route : router_.routes())
      route.endpoint->turn_ended();
    if (context_.gatherer != nullptr)
      context_.gatherer->settle();
    bury_the_dead();
  } while (context_.gatherer != nullptr || !context_.dead.empty());
  watch_memory();
  if (is_stop_asked_.exchange(false))
    start_stopping();
  if (context_.is_stopping)
    stop_if_done();
}

void Server::bury_the_dead() {
  // An endpoint that hears of one death may cause another: the list may grow meanwhile.
  for (std::size_t i = 0; i < context_.dead.size(); ++i) {
    const Dead one = context_.dead[i];
    Session* const session = table_.find(one.token);
    guarded(*session, [&] { session->bury(one); });
    const AddressCount* const address = session->address();
    table_.erase(one.token);
    if (address != nullptr && address->second == 0)
      addresses_.erase(addresses_.find(address->first));
  }
  context_.dead.clear();
}
// endregion

// region server-give-back
/// free() returns to the system what lies at the end of the heap, and no more: one block that stays, and was
/// first needed when there was much, would keep all below it. So once a wave has passed the whole heap is looked
/// through; at most once a second, since under load waves pass all the time.
void Server::watch_memory() {
  most_sessions_ = std::max(most_sessions_, table_.size());
  most_held_ = std::max(most_held_, context_.budget.used());
  const bool has_passed =
      (most_sessions_ >= kManySessions && table_.size() <= most_sessions_ / 2) ||
      (most_held_ >= kManyBytes && context_.budget.used() <= most_held_ / 2);
  if (has_passed && !give_back_.is_set())
    context_.loop.timers().set(give_back_, context_.loop.now() + kGiveBackMs);
}

void Server::give_back() {
  most_sessions_ = table_.size();
  most_held_ = context_.budget.used();
  ::malloc_trim(0);
}
// endregion

void Server::on_busy_wait(EventLoop::Token token) {
  const Session* const session = table_.find(token);
  log(LogLevel::kError,
      {"Busy wait: called a thousand times for nothing, ",
       session == nullptr ? std::string_view("not by a session") : session->id().text()});
}

// --- Accepting

// region server-accept
bool Server::accept_waiting() {
  for (int i = 0; i < kAcceptsATurn; ++i) {
    SocketAddress peer;
    std::error_code error;
    Fd fd = accept_connection(listener_, peer, error);
    if (fd.is_open()) {
      admit(std::move(fd), peer);
      continue;
    }
    if (error == std::errc::operation_would_block)
      return i > 0;
    // Other errors are those of a connection that ended in the queue: accept(2).
    if (is_spent(error)) {
      on_descriptors_spent(error);
      return true;
    }
  }
  return true;
}

/// EMFILE and the like: the connection still waits, and epoll would report it for ever. The spare
/// descriptor lets us take it and close it; where that does not help, we look away for a while.
void Server::on_descriptors_spent(std::error_code error) {
  spare_.reset();
  SocketAddress peer;
  std::error_code again;
  const bool is_closed = accept_connection(listener_, peer, again).is_open();
  spare_ = open_spare();
  if (is_closed && spare_.is_open())
    return;
  log(LogLevel::kWarn, {"Cannot accept: ", error.message(), "; trying again in ",
                        std::to_string(kListenPauseMs), " ms"});
  context_.loop.change(listener_, 0, kListener);
  context_.loop.timers().set(listen_again_, context_.loop.now() + kListenPauseMs);
}
// endregion

void Server::listen_again() {
  if (listener_.is_open())
    context_.loop.change(listener_, EPOLLIN, kListener);
}

void Server::admit(Fd fd, const SocketAddress& peer) {
  if (table_.size() >= max_sessions_ + kRefusalsAtATime)
    return;
  const std::size_t most_of_address = options_.limits.connections_per_address;
  try {
    AddressCount* address = nullptr;
    if (most_of_address != 0) {
      address = &*addresses_.try_emplace(std::string(peer.host_bytes()), 0).first;
      if (address->second >= most_of_address + kRefusalsOfAnAddress)
        return;
    }
    const bool is_full = table_.size() >= max_sessions_ ||
                         (address != nullptr && address->second >= most_of_address);
    auto owned = std::make_unique<Session>(context_, std::move(fd), table_.next_token(), address);
    Session& session = *owned;
    // So that no death is lost for want of memory.
    if (context_.dead.capacity() <= table_.size())
      context_.dead.reserve(2 * (table_.size() + 1));
    table_.put(std::move(owned));
    if (const auto error = session.start()) {
      log(LogLevel::kWarn, {"Cannot watch a connection: ", error.message()});
      session.die(error);
    } else if (is_full) {
      session.refuse(Error::kUnavailable);
    }
  } catch (const std::bad_alloc&) {
    log(LogLevel::kWarn, {"Out of memory: a connection was closed"});
  }
}

// --- Stopping

void Server::on_signal() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGUSR1) {
      log_sessions();
    } else if (!context_.is_stopping) {
      log(LogLevel::kInfo, {"Stopping; another signal ends it at once"});
      start_stopping();
    } else {
      exit_status_ = 128 + static_cast<int>(info.ssi_signo);
      context_.loop.stop();
    }
  }
}

// region server-stopping
void Server::start_stopping() {
  if (context_.is_stopping)
    return;
  context_.is_stopping = true;  // requests are answered 503 from now on
  context_.loop.timers().set(stop_deadline_, context_.loop.now() + options_.limits.stop_ms);
  // [6455-7.3-STOP] What was said leaves ahead of the Close. Settling marks sessions dead, and removes none.
  for (const Route& route : router_.routes())
    route.endpoint->turn_ended();
  for (Session* const session : table_.all()) {
    guarded(*session, [&] { session->close(close_code::kGoingAway, "the server is stopping"); });
  }
  context_.loop.wake();  // a turn at least, even if there is nobody to wait for
}

/// The listener stays, to say 503, until the last WebSocket is gone; then refusals are drained to their end.
void Server::stop_if_done() {
  const auto is_left = [&](auto what) { return std::ranges::any_of(table_.all(), what); };
  if (is_left([](const Session* session) { return session->is_upgraded(); }))
    return;
  listener_.reset();
  if (is_left([](const Session* session) { return session->state() != Session::State::kHead; }))
    return;
  context_.loop.stop();
}
// endregion

void Server::log_sessions() const {
  log(LogLevel::kInfo, {"Sessions: ", std::to_string(table_.size()),
                        ", bytes held: ", std::to_string(context_.budget.used())});
  for (const Session* const session : table_.all()) {
    log(LogLevel::kInfo,
        {"Session ", session->id().text(), " ", session->path(), " ", name_of(session->state()),
         " ", std::to_string(session->queued()), " bytes queued"});
  }
}

}  // namespace ws
