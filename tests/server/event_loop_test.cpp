// The event loop with real descriptors.
#include "server/net/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace ws {
namespace {

using Lines = std::vector<std::string>;

/// Records the calls of the loop, and runs actions of the test in them.
class Recorder final : public EventLoop::Handler {
 public:
  bool on_ready(EventLoop::Token token, std::uint32_t events) override {
    lines.push_back((events == 0 ? "lay ready " : "ready ") + std::to_string(token.slot) + "." +
                    std::to_string(token.generation));
    return ready ? ready(token, events) : true;
  }
  void on_timer(TimerNode& node) override {
    lines.emplace_back("timer");
    if (timer)
      timer(node);
  }
  void on_iteration_end() override {
    lines.emplace_back("turn end");
    if (turn_end)
      turn_end();
  }
  void on_busy_wait(EventLoop::Token token) override { busy.push_back(token.slot); }

  std::function<bool(EventLoop::Token, std::uint32_t)> ready;
  std::function<void(TimerNode&)> timer;
  std::function<void()> turn_end;
  Lines lines;
  std::vector<std::uint32_t> busy;
};

struct Pipe {
  Pipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), 0);
    out = Fd(ends[0]);
    in = Fd(ends[1]);
  }
  void fill() const { EXPECT_EQ(::write(in.get(), "x", 1), 1); }
  void drain() const {
    char c = 0;
    EXPECT_EQ(::read(out.get(), &c, 1), 1);
  }
  Fd out;
  Fd in;
};

struct Node : TimerNode {};

TEST(EventLoop, RunsTheStepsOfAnIterationInOrder) {
  EventLoop loop;
  ASSERT_FALSE(loop.error());
  Recorder recorder;
  const Pipe pipe;
  pipe.fill();
  Node node;
  EXPECT_FALSE(loop.add(pipe.out, EPOLLIN, {7, 3}));
  loop.make_ready({8, 4});
  loop.timers().set(node, loop.now());
  recorder.turn_end = [&] { loop.stop(); };
  loop.run(recorder);
  EXPECT_EQ(recorder.lines, (Lines{"ready 7.3", "lay ready 8.4", "timer", "turn end"}));
}

TEST(EventLoop, ReportsADescriptorAgainWhileItHasUnreadData) {
  EventLoop loop;
  Recorder recorder;
  const Pipe pipe;
  pipe.fill();
  pipe.fill();
  EXPECT_FALSE(loop.add(pipe.out, EPOLLIN, {1, 1}));
  int turns = 0;
  recorder.ready = [&](EventLoop::Token, std::uint32_t events) {
    EXPECT_EQ(events, static_cast<std::uint32_t>(EPOLLIN));
    pipe.drain();
    return true;
  };
  recorder.turn_end = [&] {
    if (++turns == 2)
      loop.stop();
  };
  loop.run(recorder);
  EXPECT_EQ(recorder.lines, (Lines{"ready 1.1", "turn end", "ready 1.1", "turn end"}));
}

TEST(EventLoop, ReportsTheTokenThatADescriptorWasAddedWith) {
  EventLoop loop;
  Recorder recorder;
  Pipe gone;
  gone.fill();
  EXPECT_FALSE(loop.add(gone.out, EPOLLIN, {5, 1}));
  gone.out.reset();  // closing removes the watch
  const Pipe next;
  next.fill();
  EXPECT_FALSE(loop.add(next.out, EPOLLIN, {5, 2}));
  recorder.turn_end = [&] { loop.stop(); };
  loop.run(recorder);
  EXPECT_EQ(recorder.lines, (Lines{"ready 5.2", "turn end"}));
}

TEST(EventLoop, ReportsTheOldGenerationForADescriptorClosedInTheSameBatch) {
  EventLoop loop;
  Recorder recorder;
  std::array<Pipe, 2> pipes;
  for (std::uint32_t slot = 0; slot < 2; ++slot) {
    pipes[slot].fill();
    EXPECT_FALSE(loop.add(pipes[slot].out, EPOLLIN, {slot, 1}));
  }
  const Pipe next;
  next.fill();
  std::vector<EventLoop::Token> told;
  recorder.ready = [&](EventLoop::Token token, std::uint32_t) {
    told.push_back(token);
    if (told.size() == 1) {  // the first event replaces the descriptor of the other
      const std::uint32_t other = 1 - token.slot;
      pipes[token.slot].drain();
      pipes[other].out.reset();
      EXPECT_FALSE(loop.add(next.out, EPOLLIN, {other, 2}));
    }
    return true;
  };
  int turns = 0;
  recorder.turn_end = [&] {
    if (++turns == 2)
      loop.stop();
  };
  loop.run(recorder);
  ASSERT_EQ(told.size(), 3U);
  EXPECT_EQ(told[1].slot, 1 - told[0].slot);
  EXPECT_EQ(told[1].generation, 1U) << "stale: epoll reported it before it was closed";
  EXPECT_EQ(told[2].slot, told[1].slot);
  EXPECT_EQ(told[2].generation, 2U);
}

TEST(EventLoop, DoesNotWaitWhileTheReadyListIsNotEmpty) {
  EventLoop loop;
  Recorder recorder;
  Node far;
  loop.timers().set(far, loop.now() + 3'600'000);
  int left = 3;
  loop.make_ready({1, 1});
  recorder.ready = [&](EventLoop::Token token, std::uint32_t) {
    if (--left > 0) {
      loop.make_ready(token);  // for the next iteration, not for this one
    } else {
      loop.stop();
    }
    return true;
  };
  loop.run(recorder);
  EXPECT_EQ(recorder.lines, (Lines{"lay ready 1.1", "turn end", "lay ready 1.1", "turn end",
                                   "lay ready 1.1", "turn end"}));
  loop.timers().cancel(far);
}

TEST(EventLoop, IsWokenFromAnotherThread) {
  EventLoop loop;
  Recorder recorder;
  recorder.turn_end = [&] { loop.stop(); };
  std::thread other([&] { loop.wake(); });
  loop.run(recorder);  // without the wake it would block forever: there is no timer
  other.join();
  EXPECT_EQ(recorder.lines, Lines{"turn end"}) << "one iteration, without an event for the handler";
}

TEST(EventLoop, RunsOneIterationForSeveralWakes) {
  EventLoop loop;
  Recorder recorder;
  Node later;
  loop.timers().set(later, loop.now() + 20);
  recorder.timer = [&](TimerNode&) { loop.stop(); };
  for (int i = 0; i < 5; ++i)
    loop.wake();
  loop.run(recorder);
  EXPECT_LE(recorder.lines.size(), 3U) << "one iteration for all wakes, one for the timer";
  EXPECT_EQ(recorder.lines.back(), "turn end");
}

TEST(EventLoop, FinishesTheIterationInWhichItIsStopped) {
  EventLoop loop;
  Recorder recorder;
  Node node;
  loop.make_ready({1, 1});
  loop.make_ready({2, 1});
  loop.timers().set(node, loop.now());
  recorder.ready = [&](EventLoop::Token, std::uint32_t) {
    loop.stop();
    return true;
  };
  loop.run(recorder);
  EXPECT_EQ(recorder.lines, (Lines{"lay ready 1.1", "lay ready 2.1", "timer", "turn end"}));
}

TEST(EventLoop, ReportsABusyWaitAfter1000CallsWithoutProgress) {
  EventLoop loop;
  Recorder recorder;
  const Pipe pipe;
  pipe.fill();  // the pipe is never read
  EXPECT_FALSE(loop.add(pipe.out, EPOLLIN, {9, 1}));
  int calls = 0;
  recorder.ready = [&](EventLoop::Token, std::uint32_t) {
    ++calls;
    return calls == 500;  // one call reports progress
  };
  recorder.turn_end = [&] {
    if (calls == 1499) {
      EXPECT_TRUE(recorder.busy.empty()) << "999 calls in a row";
    }
    if (calls == 1500)
      loop.stop();
  };
  loop.run(recorder);
  EXPECT_EQ(recorder.busy, (std::vector<std::uint32_t>{9}));
}

TEST(EventLoop, ReturnsTheErrorsOfTheKernel) {
  EventLoop loop;
  const Pipe pipe;
  EXPECT_FALSE(loop.add(pipe.out, EPOLLIN, {1, 1}));
  EXPECT_EQ(loop.add(pipe.out, EPOLLIN, {1, 1}), std::errc::file_exists);
  EXPECT_FALSE(loop.change(pipe.out, 0, {1, 1}));
  EXPECT_EQ(loop.change(pipe.in, EPOLLOUT, {2, 1}), std::errc::no_such_file_or_directory);
  EXPECT_EQ(loop.add(Fd(), EPOLLIN, {3, 1}), std::errc::bad_file_descriptor);
}

TEST(EventLoop, RunOnceRunsASingleIteration) {
  EventLoop loop;
  Recorder recorder;
  loop.make_ready({1, 1});
  loop.run_once(recorder);
  EXPECT_EQ(recorder.lines, (Lines{"lay ready 1.1", "turn end"}));
  loop.make_ready({2, 1});
  loop.run_once(recorder);
  EXPECT_EQ(recorder.lines, (Lines{"lay ready 1.1", "turn end", "lay ready 2.1", "turn end"}));
}

/// Replaces the descriptor of the epoll instance by `/dev/null`, so that every epoll_wait fails with EINVAL.
void break_epoll(int epoll) {
  const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::dup3(null.get(), epoll, O_CLOEXEC), epoll);
}

TEST(EventLoop, ThrowsIfEpollWaitFails) {
  const Fd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int epoll = next.get() + 1;  // the lowest free descriptor, which epoll will get
  EventLoop loop;
  ASSERT_FALSE(loop.error());
  break_epoll(epoll);
  Recorder recorder;
  try {
    loop.run(recorder);
    FAIL() << "run() returned";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::invalid_argument);
    EXPECT_TRUE(std::string(error.what()).starts_with("epoll_wait")) << error.what();
  }
  EXPECT_EQ(recorder.lines, Lines{}) << "no event was dispatched";
}

#ifndef NDEBUG
TEST(EventLoopDeathTest, AbortsIfAnotherThreadUsesTheLoop) {
  EventLoop loop;
  Recorder recorder;
  loop.make_ready({1, 1});
  loop.run_once(recorder);
  EXPECT_DEATH(std::thread([&] { loop.make_ready({1, 1}); }).join(), "is_in_own_thread");
}
#endif

TEST(EventLoop, ReportsAHangUpOfADescriptorWatchedForNoEvents) {
  EventLoop loop;
  Recorder recorder;
  Pipe pipe;
  EXPECT_FALSE(loop.add(pipe.out, 0, {1, 1}));
  pipe.in.reset();
  recorder.ready = [&](EventLoop::Token, std::uint32_t events) {
    EXPECT_EQ(events, static_cast<std::uint32_t>(EPOLLHUP));
    return true;
  };
  recorder.turn_end = [&] { loop.stop(); };
  loop.run(recorder);
  EXPECT_EQ(recorder.lines, (Lines{"ready 1.1", "turn end"}));
}

}  // namespace
}  // namespace ws
