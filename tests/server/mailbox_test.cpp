// Mailboxes between loops: which loop is woken, and when; no mail is lost or reordered between threads.
#include "server/net/mailbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <thread>
#include <vector>

namespace ws {
namespace {

/// Runs a loop and counts its iterations, each of which needs a wake. Stops if there is no iteration for `patience`, or
/// for kMoment after the first one.
class Turns final : public EventLoop::Handler {
 public:
  static constexpr std::int64_t kMoment = 50;
  static int of(EventLoop& loop, const std::function<void()>& act = nullptr,
                std::int64_t patience = 10'000) {
    Turns turns(loop, act);
    loop.timers().set(turns.timer_, loop.now() + patience);
    loop.run(turns);
    return turns.count_;
  }
  static bool were_taken(EventLoop& loop) { return of(loop, nullptr, kMoment) > 0; }
  bool on_ready(EventLoop::Token, std::uint32_t) override { return true; }
  void on_timer(TimerNode&) override { loop_.stop(); }
  void on_iteration_end() override {
    if (!timer_.is_set())
      return;
    ++count_;
    if (act_)
      act_();
    loop_.timers().set(timer_, loop_.now() + kMoment);
  }
  void on_busy_wait(EventLoop::Token) override {}

 private:
  struct Timer : TimerNode {};
  Turns(EventLoop& loop, const std::function<void()>& act) : loop_(loop), act_(act) {}
  EventLoop& loop_;
  const std::function<void()>& act_;
  Timer timer_;
  int count_ = 0;
};

std::vector<int> take(Mailbox<int>& mailbox) {
  std::vector<int> all;
  mailbox.take([&](int mail) { all.push_back(mail); });
  return all;
}

TEST(Mailbox, WakesItsReaderAndDeliversMailsInOrder) {
  EventLoop reader;
  Mailbox<int> mailbox(reader, 100'000);
  EXPECT_EQ(take(mailbox), std::vector<int>());
  for (const int mail : {1, 2, 3})
    mailbox.post(mail, 1);
  EXPECT_EQ(Turns::of(reader), 1);
  EXPECT_EQ(take(mailbox), (std::vector{1, 2, 3}));
  EXPECT_EQ(take(mailbox), std::vector<int>());
  mailbox.post(4, 1);
  EXPECT_EQ(take(mailbox), std::vector{4});
}

TEST(Mailbox, WakesItsReaderOnceForSeveralMails) {
  EventLoop reader;
  Mailbox<int> mailbox(reader, 100'000);
  mailbox.post(1, 1);
  EXPECT_EQ(Turns::of(reader, [&] { mailbox.post(2, 1); }), 1);
  EXPECT_EQ(take(mailbox), (std::vector{1, 2}));
}

TEST(Mailbox, ReportsThatItIsFullAndWakesTheWaitingSender) {
  EventLoop reader;
  EventLoop sender;
  Mailbox<int> mailbox(reader, 10'000);
  EXPECT_TRUE(mailbox.has_space(sender));
  mailbox.post(1, 9'999);
  EXPECT_TRUE(mailbox.has_space(sender)) << "not full yet";
  mailbox.post(2, 1'000'000);  // a mail of any cost is accepted if there is space
  EXPECT_FALSE(mailbox.has_space(sender));
  EXPECT_FALSE(mailbox.has_space(sender)) << "also in a second call";
  EXPECT_EQ(take(mailbox), (std::vector{1, 2}));
  EXPECT_EQ(Turns::of(sender), 1);
  EXPECT_TRUE(mailbox.has_space(sender));
}

TEST(Mailbox, DoesNotWakeASenderThatIsNotWaiting) {
  EventLoop reader;
  EventLoop sender;
  Mailbox<int> mailbox(reader, 10'000);
  EXPECT_TRUE(mailbox.has_space(sender));
  mailbox.post(1, 1);
  EXPECT_EQ(take(mailbox), std::vector{1});
  EXPECT_FALSE(Turns::were_taken(sender));
}

TEST(Mailbox, ChargesAMinimumCostForEachMail) {
  EventLoop reader;
  EventLoop sender;
  Mailbox<int> mailbox(reader, 40'960);
  int posted = 0;
  while (mailbox.has_space(sender))
    mailbox.post(++posted, 0);
  EXPECT_EQ(posted, 10);
}

/// Posts numbers while the mailbox has space; otherwise waits to be woken.
class Sender final : public EventLoop::Handler {
 public:
  static constexpr int kMails = 20'000;
  Sender(Mailbox<int>& mailbox, int number)
      : mailbox_(mailbox), next_(number * kMails), end_(next_ + kMails) {}
  void run() {
    loop_.wake();
    loop_.run(*this);
  }
  bool on_ready(EventLoop::Token, std::uint32_t) override { return true; }
  void on_timer(TimerNode&) override {}
  void on_iteration_end() override {
    while (next_ < end_ && mailbox_.has_space(loop_))
      mailbox_.post(next_++, 1);
    if (next_ == end_)
      loop_.stop();
  }
  void on_busy_wait(EventLoop::Token) override {}

 private:
  Mailbox<int>& mailbox_;
  EventLoop loop_;
  int next_;
  int end_;
};

class Reader final : public EventLoop::Handler {
 public:
  static constexpr int kSenders = 3;
  void run() { loop.run(*this); }
  bool on_ready(EventLoop::Token, std::uint32_t) override { return true; }
  void on_timer(TimerNode&) override {}
  void on_iteration_end() override {
    std::size_t count = 0;
    mailbox.take([&](int mail) {
      by_sender.at(static_cast<std::size_t>(mail / Sender::kMails)).push_back(mail);
      ++count;
    });
    most = std::max(most, count);
    taken += count;
    if (taken == std::size_t{kSenders} * Sender::kMails)
      loop.stop();
  }
  void on_busy_wait(EventLoop::Token) override {}

  EventLoop loop;
  Mailbox<int> mailbox{loop, 16 * 4096};
  std::array<std::vector<int>, kSenders> by_sender;
  std::size_t taken = 0;
  std::size_t most = 0;
};

TEST(Mailbox, LosesNoMailBetweenThreadsAndStaysBounded) {
  Reader reader;
  std::vector<std::thread> threads;
  for (int i = 0; i < Reader::kSenders; ++i)
    threads.emplace_back([&reader, i] { Sender(reader.mailbox, i).run(); });
  reader.run();
  for (std::thread& thread : threads)
    thread.join();
  for (std::size_t i = 0; i < reader.by_sender.size(); ++i) {
    const std::vector<int>& mails = reader.by_sender[i];
    ASSERT_EQ(mails.size(), std::size_t{Sender::kMails});
    EXPECT_EQ(mails.front(), static_cast<int>(i) * Sender::kMails);
    EXPECT_TRUE(std::ranges::is_sorted(mails));
  }
  EXPECT_LE(reader.most, 16U + Reader::kSenders - 1);
}

}  // namespace
}  // namespace ws
