#include "server/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <array>
#include <cerrno>

namespace ws {
namespace {

constexpr EventLoop::Token kWakeToken{UINT32_MAX, UINT32_MAX};

std::int64_t monotonic_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

std::uint64_t pack(EventLoop::Token token) {
  return std::uint64_t{token.slot} << 32U | token.generation;
}
EventLoop::Token unpack(std::uint64_t data) {
  return {static_cast<std::uint32_t>(data >> 32U), static_cast<std::uint32_t>(data)};
}

std::error_code control(const Fd& epoll, int operation, const Fd& fd, std::uint32_t events,
                        EventLoop::Token token) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = pack(token);
  if (::epoll_ctl(epoll.get(), operation, fd.get(), &event) == 0)
    return {};
  return {errno, std::system_category()};  // ENOSPC, ENOMEM: the kernel's limit on watches
}

}  // namespace

EventLoop::EventLoop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      now_(monotonic_ms()),
      timers_(now_) {
  if (epoll_.is_open() && wake_.is_open())
    error_ = add(wake_, EPOLLIN, kWakeToken);
  else
    error_ = {errno, std::system_category()};
}

std::error_code EventLoop::add(const Fd& fd, std::uint32_t events, Token token) {
  return control(epoll_, EPOLL_CTL_ADD, fd, events, token);
}

std::error_code EventLoop::change(const Fd& fd, std::uint32_t events, Token token) {
  return control(epoll_, EPOLL_CTL_MOD, fd, events, token);
}

void EventLoop::wake() {
  const std::uint64_t one = 1;
  // EAGAIN: the counter is full, so the loop has been told often enough.
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

// region event-loop-run
void EventLoop::run(Handler& handler) {
  std::array<epoll_event, kMaxEvents> events;
  while (!is_stopped_) {
    // 1. Wait: until something is ready or the next timer is due; not at all if work lies ready here.
    const int timeout = ready_.empty() ? timers_.wait_ms(now_) : 0;
    int count = ::epoll_wait(epoll_.get(), events.data(), kMaxEvents, timeout);
    if (count < 0)
      count = 0;  // EINTR: a signal came; its descriptor will say so

    // 2. Read the clock, once: all that happens in one turn happens at one time.
    now_ = monotonic_ms();

    // 3. Dispatch: first what epoll found, then what lay ready in memory before this turn.
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      dispatch(handler, unpack(event.data.u64), event.events);
    }
    dispatching_.swap(ready_);
    for (const Token token : dispatching_)
      dispatch(handler, token, 0);
    dispatching_.clear();

    // 4. Timers that are due.
    timers_.advance(now_, [&](TimerNode& node) { handler.on_timer(node); });

    // 5. End the turn: what was gathered leaves, the dead are buried.
    handler.on_turn_end();
  }
}
// endregion

void EventLoop::dispatch(Handler& handler, Token token, std::uint32_t events) {
  if (token.slot == kWakeToken.slot) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof count);
    return;
  }
  if (handler.on_ready(token, events)) {
    idle_calls_ = 0;
  } else if (++idle_calls_ == kBusyWait) {
    idle_calls_ = 0;
    handler.on_busy_wait(token);
  }
}

}  // namespace ws
