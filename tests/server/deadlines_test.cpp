// Each wait of a session, one millisecond before its deadline and at its deadline.
// All limits differ, so that a deadline computed from the wrong limit fails a test.
#include "server/session/deadlines.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace ws {
namespace {

using Due = Deadlines::Due;
constexpr std::int64_t kStart = 1'000'000;

Limits limits() {
  Limits limits;
  limits.handshake_ms = 101;
  limits.close_ms = 203;
  limits.drain_ms = 307;
  limits.read_ms = 401;
  limits.write_ms = 503;
  limits.ping_ms = 601;
  limits.pong_ms = 701;
  limits.outbox_low = 1000;
  return limits;
}
const Limits kLimits = limits();
constexpr Deadlines::Situation kReading{.may_read = true, .has_queued = false};

/// One wait: how it starts, how long it lasts, and which event is then due.
struct Case {
  std::string name;
  void (*enter)(Deadlines&);
  std::int64_t after;  ///< milliseconds from kStart to the deadline
  Due due;
};
const Case kCases[] = {
    {"head", [](Deadlines& d) { d.accepted(kStart, kLimits); }, 101, Due::kHead},
    {"silence", [](Deadlines& d) { d.opened(kStart, kLimits); }, 601, Due::kPing},
    {"close", [](Deadlines& d) { d.sent_close(kStart, kLimits); }, 203, Due::kClose},
    {"drain", [](Deadlines& d) { d.sent_fin(kStart, kLimits); }, 307, Due::kDrain},
    {"pong",
     [](Deadlines& d) {
       d.opened(kStart - 601, kLimits);
       EXPECT_EQ(d.due(kStart, kLimits, kReading, nullptr), Due::kPing);
     },
     701, Due::kPong},
    {"half a message", [](Deadlines& d) { d.message_continued(10, true, kStart, kLimits); }, 401,
     Due::kStalledRead},
};

TEST(Deadlines, AreDueAtTheirTimeAndNotOneMillisecondEarlier) {
  for (const Case& c : kCases) {
    Deadlines deadlines;
    c.enter(deadlines);
    EXPECT_EQ(deadlines.next(), kStart + c.after) << c.name;
    EXPECT_EQ(deadlines.due(kStart + c.after - 1, kLimits, kReading, nullptr), Due::kNothing)
        << c.name;
    EXPECT_EQ(deadlines.due(kStart + c.after, kLimits, kReading, nullptr), c.due) << c.name;
  }
}

TEST(Deadlines, DoNotRunInitiallyOrWhileFlushing) {
  Deadlines deadlines;
  EXPECT_EQ(deadlines.next(), Timers::kNever);
  for (const Case& c : kCases) {
    c.enter(deadlines);
    deadlines.flushing();
    EXPECT_EQ(deadlines.next(), Timers::kNever) << c.name;
    EXPECT_TRUE(deadlines.is_quiet()) << c.name;
    EXPECT_EQ(deadlines.due(kStart + 1'000'000, kLimits, kReading, nullptr), Due::kNothing)
        << c.name;
  }
}

// [6455-10.4-SLOW] A peer that sends single bytes extends only the timeouts of keep-alive.
TEST(Deadlines, AreNotExtendedBySingleBytesExceptForKeepAlive) {
  for (const Case& c : kCases) {
    Deadlines deadlines;
    c.enter(deadlines);
    const bool is_message = c.due == Due::kStalledRead;
    for (std::int64_t ms = 1; ms < c.after; ++ms) {
      deadlines.received(kStart + ms, kLimits);
      if (is_message)
        deadlines.message_continued(1, false, kStart + ms, kLimits);
    }
    const bool is_keep_alive = c.due == Due::kPing || c.due == Due::kPong;
    const Due expected = is_keep_alive ? Due::kNothing : c.due;
    EXPECT_EQ(deadlines.due(kStart + c.after, kLimits, kReading, nullptr), expected) << c.name;
  }
}

TEST(Deadlines, RestartTheSilenceTimeoutWithEachByte) {
  Deadlines deadlines;
  deadlines.opened(kStart, kLimits);
  deadlines.received(kStart + 600, kLimits);
  EXPECT_EQ(deadlines.next(), kStart + 1201);
  EXPECT_EQ(deadlines.due(kStart + 1200, kLimits, kReading, nullptr), Due::kNothing);
  EXPECT_EQ(deadlines.due(kStart + 1201, kLimits, kReading, nullptr), Due::kPing);
}

TEST(Deadlines, HaveNoSilenceTimeoutWithoutKeepAlive) {
  Limits without = kLimits;
  without.ping_ms = 0;
  Deadlines deadlines;
  deadlines.accepted(kStart, without);
  deadlines.opened(kStart, without);
  EXPECT_EQ(deadlines.next(), Timers::kNever);
  deadlines.received(kStart, without);
  EXPECT_EQ(deadlines.next(), Timers::kNever);
}

TEST(Deadlines, StartTheSilenceTimeoutWhenThePongArrives) {
  Deadlines deadlines;
  deadlines.opened(kStart, kLimits);
  EXPECT_FALSE(deadlines.received_pong(kStart + 1, kLimits)) << "no pong is expected";
  EXPECT_EQ(deadlines.next(), kStart + 601);
  EXPECT_EQ(deadlines.due(kStart + 601, kLimits, kReading, nullptr), Due::kPing);
  EXPECT_EQ(deadlines.next(), kStart + 601 + 701);
  EXPECT_TRUE(deadlines.received_pong(kStart + 700, kLimits));
  EXPECT_EQ(deadlines.next(), kStart + 700 + 601);
  EXPECT_FALSE(deadlines.received_pong(kStart + 701, kLimits)) << "a second pong";
}

TEST(Deadlines, RestartThePongTimeoutWhileNotReadingOrOutputIsQueued) {
  const Deadlines::Situation kHeldUp[] = {{.may_read = false, .has_queued = false},
                                          {.may_read = true, .has_queued = true},
                                          {.may_read = false, .has_queued = true}};
  for (const auto& situation : kHeldUp) {
    Deadlines deadlines;
    deadlines.opened(kStart - 601, kLimits);
    EXPECT_EQ(deadlines.due(kStart, kLimits, situation, nullptr), Due::kPing);
    for (int window = 1; window <= 3; ++window) {
      EXPECT_EQ(deadlines.due(kStart + 701 * window, kLimits, situation, nullptr), Due::kNothing);
      EXPECT_EQ(deadlines.next(), kStart + 701 * (window + 1));
    }
    EXPECT_EQ(deadlines.due(kStart + 2804, kLimits, kReading, nullptr), Due::kPong);
  }
}

TEST(Deadlines, StopTheReadTimeoutWhenTheMessageEnds) {
  Deadlines deadlines;
  deadlines.message_continued(10, true, kStart, kLimits);
  EXPECT_FALSE(deadlines.is_quiet());
  deadlines.message_ended();
  EXPECT_TRUE(deadlines.is_quiet());
  EXPECT_EQ(deadlines.due(kStart + 401, kLimits, kReading, nullptr), Due::kNothing);
}

TEST(Deadlines, RestartTheReadTimeoutForANewMessage) {
  Deadlines deadlines;
  deadlines.message_continued(10, true, kStart, kLimits);
  deadlines.message_continued(10, true, kStart + 400, kLimits);
  EXPECT_EQ(deadlines.due(kStart + 800, kLimits, kReading, nullptr), Due::kNothing);
  EXPECT_EQ(deadlines.due(kStart + 801, kLimits, kReading, nullptr), Due::kStalledRead);
}

TEST(Deadlines, RequireEnoughBytesOfAMessageInEachWindow) {
  Deadlines deadlines;
  deadlines.message_continued(10, true, kStart, kLimits);
  deadlines.message_continued(999, false, kStart + 1, kLimits);
  deadlines.message_continued(1, false, kStart + 400, kLimits);
  EXPECT_EQ(deadlines.due(kStart + 401, kLimits, kReading, nullptr), Due::kNothing);
  EXPECT_EQ(deadlines.next(), kStart + 802) << "a second window, as long as the first";
  deadlines.message_continued(999, false, kStart + 500, kLimits);
  EXPECT_EQ(deadlines.due(kStart + 801, kLimits, kReading, nullptr), Due::kNothing);
  EXPECT_EQ(deadlines.due(kStart + 802, kLimits, kReading, nullptr), Due::kStalledRead)
      << "one byte is missing; bytes of the first window do not count";
}

TEST(Deadlines, RestartTheReadTimeoutWhileWeDoNotRead) {
  Deadlines deadlines;
  deadlines.message_continued(10, true, kStart, kLimits);
  const Deadlines::Situation paused{.may_read = false, .has_queued = true};
  EXPECT_EQ(deadlines.due(kStart + 401, kLimits, paused, nullptr), Due::kNothing);
  EXPECT_EQ(deadlines.due(kStart + 801, kLimits, kReading, nullptr), Due::kNothing);
  EXPECT_EQ(deadlines.due(kStart + 802, kLimits, kReading, nullptr), Due::kStalledRead)
      << "a whole window after the pause";
}

TEST(Deadlines, ReplaceTheReadTimeoutByTheCloseTimeoutAfterOurClose) {
  Deadlines deadlines;
  deadlines.message_continued(10, true, kStart, kLimits);
  deadlines.sent_close(kStart + 300, kLimits);
  EXPECT_EQ(deadlines.due(kStart + 502, kLimits, kReading, nullptr), Due::kNothing);
  EXPECT_EQ(deadlines.due(kStart + 503, kLimits, kReading, nullptr), Due::kClose);
}

TEST(Deadlines, RunTheReadTimeoutInParallelToTheSilenceTimeout) {
  Deadlines deadlines;
  deadlines.opened(kStart, kLimits);
  EXPECT_TRUE(deadlines.is_quiet());
  deadlines.message_continued(10, true, kStart + 300, kLimits);
  EXPECT_EQ(deadlines.next(), kStart + 601) << "the earlier of the two deadlines";
  EXPECT_EQ(deadlines.due(kStart + 601, kLimits, kReading, nullptr), Due::kPing);
  EXPECT_EQ(deadlines.next(), kStart + 701);
  EXPECT_EQ(deadlines.due(kStart + 701, kLimits, kReading, nullptr), Due::kStalledRead);
}

TEST(Deadlines, AreQuietOnlyDuringKeepAlive) {
  for (const Case& c : kCases) {
    Deadlines deadlines;
    c.enter(deadlines);
    EXPECT_EQ(deadlines.is_quiet(), c.due == Due::kPing || c.due == Due::kPong) << c.name;
  }
}

// [6455-5.4-CONTROL] The pong of a peer that is sending a frame must wait for the end of the frame.
TEST(KeepAlive, RestartsThePongTimeoutWithEachByte) {
  Deadlines deadlines;
  deadlines.opened(kStart - 601, kLimits);
  EXPECT_EQ(deadlines.due(kStart, kLimits, kReading, nullptr), Due::kPing);
  for (int i = 1; i <= 5; ++i) {
    const std::int64_t now = kStart + std::int64_t{700} * i;
    EXPECT_EQ(deadlines.due(now, kLimits, kReading, nullptr), Due::kNothing) << i;
    deadlines.received(now, kLimits);
    EXPECT_EQ(deadlines.next(), now + 701) << "the pong timeout, not the time until a ping";
  }
  EXPECT_EQ(deadlines.due(kStart + 3500 + 700, kLimits, kReading, nullptr), Due::kNothing);
  EXPECT_EQ(deadlines.due(kStart + 3500 + 701, kLimits, kReading, nullptr), Due::kPong);
}

/// The peer's acknowledgements when the ping is sent and at each pong timeout, and whether the peer counts as alive.
struct Reader {
  std::string name;
  Acknowledged at_ping;
  struct Timeout {
    Acknowledged output;
    bool is_alive;
  };
  std::vector<Timeout> timeouts;
};
const Reader kReaders[] = {
    {"vanished before the ping", {100, true}, {{{100, false}, false}}},
    {"acknowledged only the ping", {100, true}, {{{102, true}, false}}},
    {"vanished while output was queued", {100, false}, {{{100, false}, false}}},
    {"reads slowly", {100, false}, {{{101, false}, true}, {{102, false}, true}}},
    {"reads slowly, then vanishes", {100, false}, {{{101, false}, true}, {{101, false}, false}}},
    {"has read all, then is silent", {100, false}, {{{900, true}, true}, {{900, true}, false}}},
    {"acknowledges all again and again", {100, false}, {{{900, true}, true}, {{950, true}, false}}},
    {"got more output after the ping", {100, true}, {{{102, false}, true}, {{102, false}, false}}},
    {"after 4 GiB", {UINT32_MAX, false}, {{{0, false}, true}, {{0, false}, false}}},
};

TEST(KeepAlive, CountsAPeerAsAliveWhileItsTcpAcknowledgesOutput) {
  for (const Reader& reader : kReaders) {
    Deadlines deadlines;
    deadlines.opened(kStart - 601, kLimits);
    EXPECT_EQ(deadlines.due(kStart, kLimits, kReading, nullptr), Due::kPing);
    deadlines.sent_ping(reader.at_ping);
    std::int64_t now = kStart;
    for (const Reader::Timeout& timeout : reader.timeouts) {
      now += 701;
      EXPECT_EQ(deadlines.due(now - 1, kLimits, kReading, nullptr), Due::kNothing) << reader.name;
      EXPECT_EQ(deadlines.due(now, kLimits, kReading, nullptr), Due::kPong) << reader.name;
      EXPECT_EQ(deadlines.has_acknowledged(timeout.output, now, kLimits), timeout.is_alive)
          << reader.name;
    }
  }
}

TEST(KeepAlive, SendsTheNextPingAfterThePongOfASlowReader) {
  Deadlines deadlines;
  deadlines.opened(kStart - 601, kLimits);
  EXPECT_EQ(deadlines.due(kStart, kLimits, kReading, nullptr), Due::kPing);
  deadlines.sent_ping({100, false});
  EXPECT_EQ(deadlines.due(kStart + 701, kLimits, kReading, nullptr), Due::kPong);
  EXPECT_TRUE(deadlines.has_acknowledged({200, false}, kStart + 701, kLimits));
  EXPECT_EQ(deadlines.due(kStart + 701, kLimits, kReading, nullptr), Due::kNothing);
  EXPECT_TRUE(deadlines.received_pong(kStart + 800, kLimits));
  EXPECT_EQ(deadlines.next(), kStart + 800 + 601);
}

// --- Queued output

TEST(StalledWrite, IsDueAfterAWindowWithTooFewBytesSent) {
  const StallRule rule = Deadlines::write_rule(kLimits);
  for (const std::size_t sent : {0U, 999U, 1000U, 5000U}) {
    Deadlines deadlines;
    StallWatch watch;
    watch.update(true, 0, kStart, rule);
    watch.update(true, sent, kStart + 502, rule);
    EXPECT_EQ(deadlines.due(kStart + 502, kLimits, kReading, &watch), Due::kNothing) << sent;
    const Due expected = sent < 1000 ? Due::kStalledWrite : Due::kNothing;
    EXPECT_EQ(deadlines.due(kStart + 503, kLimits, kReading, &watch), expected) << sent;
  }
}

TEST(StalledWrite, IsDueAfterASecondWindowWithTooFewBytesSent) {
  const StallRule rule = Deadlines::write_rule(kLimits);
  Deadlines deadlines;
  StallWatch watch;
  watch.update(true, 0, kStart, rule);
  watch.update(true, 4000, kStart + 1, rule);
  EXPECT_EQ(deadlines.due(kStart + 503, kLimits, kReading, &watch), Due::kNothing);
  EXPECT_EQ(watch.deadline(), kStart + 1006);
  watch.update(true, 999, kStart + 600, rule);
  EXPECT_EQ(deadlines.due(kStart + 1005, kLimits, kReading, &watch), Due::kNothing);
  EXPECT_EQ(deadlines.due(kStart + 1006, kLimits, kReading, &watch), Due::kStalledWrite);
}

TEST(StalledWrite, IsDueInEveryWaitUntilTheQueueIsEmpty) {
  const StallRule rule = Deadlines::write_rule(kLimits);
  for (const Case& c : kCases) {
    Deadlines deadlines;
    StallWatch watch;
    watch.update(true, 0, kStart - 503, rule);
    c.enter(deadlines);
    EXPECT_EQ(deadlines.due(kStart, kLimits, {.may_read = true, .has_queued = true}, &watch),
              Due::kStalledWrite)
        << c.name;
    watch.update(false, 10, kStart, rule);
    EXPECT_FALSE(watch.is_running());
    EXPECT_EQ(deadlines.due(kStart, kLimits, kReading, &watch), Due::kNothing) << c.name;
  }
}

TEST(StallWatch, IsNotExtendedByUpdatesWithoutProgress) {
  const StallRule rule{.window_ms = 50, .bytes = 100};
  StallWatch watch;
  EXPECT_FALSE(watch.is_running());
  EXPECT_FALSE(watch.is_stalled(kStart, rule)) << "the watch is not running";
  for (std::int64_t ms = 0; ms < 50; ++ms)
    watch.update(true, 0, kStart + ms, rule);
  EXPECT_EQ(watch.deadline(), kStart + 50);
  EXPECT_TRUE(watch.is_stalled(kStart + 50, rule));
}

}  // namespace
}  // namespace ws
