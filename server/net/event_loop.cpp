#include "server/net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include <array>
#include <cerrno>

namespace ws {
namespace {

constexpr EventLoop::Token kWakeToken{EventLoop::kWakeSlot, 0};

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
  return {errno, std::system_category()};  // ENOSPC: too many watches; or ENOMEM
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
  assert(is_in_own_thread());
  return control(epoll_, EPOLL_CTL_ADD, fd, events, token);
}

std::error_code EventLoop::change(const Fd& fd, std::uint32_t events, Token token) {
  assert(is_in_own_thread());
  return control(epoll_, EPOLL_CTL_MOD, fd, events, token);
}

void EventLoop::wake() {
  const std::uint64_t one = 1;
  // EAGAIN: the counter is at its maximum, so the loop will wake anyway.
  [[maybe_unused]] const ssize_t n = ::write(wake_.get(), &one, sizeof one);
}

inline void EventLoop::dispatch(Handler& handler, Token token, std::uint32_t events) {
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

void EventLoop::run(Handler& handler) {
  while (!is_stopped_)
    run_once(handler);
}

void EventLoop::run_once(Handler& handler) {
  thread_ = std::this_thread::get_id();

  // 1. Wait for an event or the next timer; do not wait if the ready list is not empty.
  std::array<epoll_event, kMaxEvents> events;
  const int timeout = ready_.empty() ? timers_.wait_ms(now_) : 0;
  int count = ::epoll_wait(epoll_.get(), events.data(), kMaxEvents, timeout);
  if (count < 0) {
    // EINTR: interrupted by a signal; continue without events. Any other error would recur in each iteration, and the
    // loop would spin.
    if (errno != EINTR)
      throw std::system_error(errno, std::system_category(), "epoll_wait");
    count = 0;
  }

  // 2. Read the clock once: everything in one iteration uses the same time.
  now_ = monotonic_ms();

  // 3. Dispatch the events, then the ready list, which includes tokens that these events have just added.
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    dispatch(handler, unpack(event.data.u64), event.events);
  }
  dispatching_.swap(ready_);
  for (const Token token : dispatching_)
    dispatch(handler, token, 0);
  dispatching_.clear();

  // 4. Run the timers that are due.
  timers_.advance(now_, [&](TimerNode& node) { handler.on_timer(node); });

  // 5. End the iteration: flush the cork, erase ended sessions.
  handler.on_iteration_end();
}

}  // namespace ws
