// The outbox: order, sharing, limits.
#include "server/session/outbox.h"

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/limits.h"

namespace ws {
namespace {

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// Size of the entry of a queued range: a shared_ptr, three offsets, a flag.
constexpr std::size_t kSegment = 48;

/// A server's text frame with at most 125 bytes.
std::string frame(std::string_view text) {
  return std::string("\x81") + static_cast<char>(text.size()) + std::string(text);
}

class OutboxTest : public testing::Test {
 protected:
  ~OutboxTest() override {
    outbox.reset();
    block.reset();
    EXPECT_EQ(budget.used(), 0U) << "all memory is returned to the budget";
  }

  bool append(std::string_view text, std::size_t sent = 0) {
    Output out;
    out.append(text);
    return outbox->append(out, sent);
  }
  /// Appends frames to the shared block.
  Range say(std::string_view text) {
    const std::size_t begin = block->size();
    EXPECT_TRUE(block->reserve(text.size()));
    block->append(bytes(text));
    return {begin, block->size()};
  }
  /// The queued bytes, in the order in which they are sent.
  [[nodiscard]] std::string content() const {
    std::array<iovec, 100> pieces{};
    const std::size_t count = outbox->pieces(pieces);
    std::string text;
    for (std::size_t i = 0; i < count; ++i) {
      text.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
    }
    return text;
  }
  [[nodiscard]] std::size_t piece_count() const {
    std::array<iovec, 100> pieces{};
    return outbox->pieces(pieces);
  }

  Budget budget{100'000};
  std::unique_ptr<Outbox> outbox = std::make_unique<Outbox>(budget);
  std::shared_ptr<Block> block = std::make_shared<Block>(budget);
};

TEST_F(OutboxTest, KeepsTheOrderOfOwnAndSharedBytes) {
  EXPECT_EQ(outbox->queued(), 0U);
  EXPECT_TRUE(append("one"));
  EXPECT_TRUE(append("two"));
  EXPECT_EQ(piece_count(), 1U) << "own bytes are appended to one tail";
  EXPECT_TRUE(outbox->append(block, say("shared"), 0));
  EXPECT_TRUE(append("three"));
  EXPECT_EQ(content(), "onetwosharedthree");
  EXPECT_EQ(outbox->queued(), 17U);
  EXPECT_GT(outbox->queued(), 0U);
}

TEST_F(OutboxTest, QueuesOnlyUnsentBytes) {
  EXPECT_TRUE(append("sent and not", 9));
  EXPECT_TRUE(append("all of it", 9));
  EXPECT_TRUE(outbox->append(block, say("shared"), 2));
  EXPECT_EQ(content(), "notared");
  EXPECT_EQ(outbox->queued(), 7U);
}

TEST_F(OutboxTest, LosesNoBytesInShortWrites) {
  for (std::size_t take = 1; take < 40; ++take) {
    std::string expected;
    for (int i = 0; i < 100; ++i) {
      const std::string own = "own" + std::to_string(i) + ";";
      EXPECT_TRUE(append(own));
      expected += own;
      const std::string shared = "shared" + std::to_string(i) + ";";
      EXPECT_TRUE(outbox->append(block, say(shared), 0));
      expected += shared;
    }
    std::string left;
    while (outbox->queued() > 0) {
      const std::string all = content();
      const std::size_t part = std::min(take, all.size());
      left += all.substr(0, part);
      outbox->consume(part);
      if (left.size() % 7 == 0) {
        EXPECT_TRUE(append("!"));
        expected += "!";
      }
    }
    ASSERT_EQ(left, expected) << take;
    EXPECT_EQ(outbox->queued(), 0U);
  }
}

TEST_F(OutboxTest, FillsNoMorePiecesThanTheCallerProvides) {
  const Range range = say(frame("hello"));
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(outbox->append(block, range, 0));
  std::array<iovec, 3> few{};
  EXPECT_EQ(outbox->pieces(few), 3U);
}

TEST_F(OutboxTest, CopiesASmallRangeInsteadOfSharingItsBlock) {
  const Range small = say("small");
  const Range large = say(std::string(1000, 'x'));
  const std::size_t held = budget.used();
  EXPECT_TRUE(outbox->append(block, large, 0));
  EXPECT_EQ(block.use_count(), 2);
  EXPECT_EQ(budget.used(), held + kSegment) << "shared";
  EXPECT_TRUE(outbox->append(block, small, 0));
  EXPECT_EQ(block.use_count(), 2) << "copied: five bytes must not keep the whole block alive";
  EXPECT_EQ(budget.used(), held + 5 + 2 * kSegment);
  outbox->consume(1000);
  EXPECT_EQ(block.use_count(), 1) << "released as soon as it is sent";
  EXPECT_EQ(content(), "small");
}

TEST_F(OutboxTest, IncludesTheOverheadOfEachRangeInItsCost) {
  const Range range = say("one");
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(outbox->append(block, range, 0));
  EXPECT_EQ(outbox->queued(), 300U);
  EXPECT_GE(outbox->cost(), 300 + 100 * kSegment);
  EXPECT_GE(budget.used(), 100 * kSegment) << "entries of shared ranges are charged";
  const std::size_t cost_of_all = outbox->cost();
  outbox->consume(150);
  EXPECT_EQ(outbox->cost(), cost_of_all / 2) << "segments that were sent cost nothing";
  outbox->consume(147);
  EXPECT_LT(outbox->cost(), 300U) << "one range is left";
}

TEST_F(OutboxTest, SharesARangeOfAtLeastHalfItsBlock) {
  say("1234");
  EXPECT_TRUE(outbox->append(block, {0, 2}, 0));
  EXPECT_EQ(block.use_count(), 2) << "half: shared";
  EXPECT_TRUE(outbox->append(block, {0, 1}, 0));
  EXPECT_EQ(block.use_count(), 2) << "less than half: copied";
}

TEST_F(OutboxTest, StartsANewTailAfterThePreviousTailIsPartlySent) {
  EXPECT_TRUE(append("one"));
  outbox->consume(1);
  EXPECT_TRUE(append("two"));
  EXPECT_EQ(piece_count(), 2U);
  EXPECT_EQ(content(), "netwo");
  outbox->consume(2);
  EXPECT_EQ(budget.used(), 3U + 2 * kSegment) << "sent bytes are freed";
}

TEST_F(OutboxTest, DropsBroadcastsExceptAPartlySentFrame) {
  const std::string a = frame("aaaa");
  const std::string b = frame("bbbb");
  const std::string long_frame = std::string("\x81\x7E\x01\x00", 4) + std::string(256, 'c');
  for (const std::string& shared : {a + b, a + long_frame, long_frame + a}) {
    for (std::size_t sent = 0; sent <= shared.size(); ++sent) {
      Outbox fresh(budget);
      const auto one = std::make_shared<Block>(budget);
      ASSERT_TRUE(one->reserve(shared.size()));
      one->append(bytes(shared));
      Output own;
      own.append("own");
      ASSERT_TRUE(fresh.append(one, {0, shared.size()}, 0));
      ASSERT_TRUE(fresh.append(own, 0));
      ASSERT_TRUE(fresh.append(one, {0, shared.size()}, 0));
      fresh.consume(sent);
      fresh.drop_broadcasts();
      // The end of the frame that contains the last sent byte.
      const std::size_t first = shared.starts_with(a) ? a.size() : long_frame.size();
      const std::size_t end = sent == 0 ? 0 : sent <= first ? first : shared.size();
      EXPECT_EQ(fresh.queued(), end - sent + 3) << sent;
      std::array<iovec, 10> pieces{};
      std::string rest;
      for (std::size_t i = 0, count = fresh.pieces(pieces); i < count; ++i) {
        rest.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
      }
      EXPECT_EQ(rest, shared.substr(sent, end - sent) + "own") << sent;
    }
  }
}

TEST_F(OutboxTest, KeepsAPartlySentFrameInTheMiddleOfABlock) {
  const std::string shared = frame("first") + frame("second") + frame("third");
  const Range all = say(shared);
  const std::size_t begin = frame("first").size();
  const std::string second = frame("second");
  // The last two frames (shared), and the second frame alone (copied, because it is less than half of the block).
  for (const Range range : {Range{begin, all.end}, Range{begin, begin + second.size()}}) {
    for (std::size_t sent = 1; sent < second.size(); ++sent) {
      // The bytes are sent before the range is queued, or afterwards.
      for (const std::size_t before : {std::size_t{0}, sent}) {
        Outbox fresh(budget);
        ASSERT_TRUE(fresh.append(block, range, before));
        fresh.consume(sent - before);
        fresh.drop_broadcasts();
        std::array<iovec, 2> pieces{};
        ASSERT_EQ(fresh.pieces(pieces), 1U);
        EXPECT_EQ(std::string_view(static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len),
                  std::string_view(second).substr(sent));
      }
    }
  }
}

TEST_F(OutboxTest, KeepsABroadcastWhoseFirstByteIsEncrypted) {
  const Range first = say(frame("first"));
  const Range second = say(frame("second"));
  EXPECT_TRUE(outbox->append(block, {first.begin, second.end}, 0));
  outbox->consume(first.size());
  outbox->drop_broadcasts(1);
  EXPECT_EQ(content(), frame("second"));
  outbox->drop_broadcasts();
  EXPECT_EQ(outbox->queued(), 0U);
}

TEST_F(OutboxTest, AcceptsOutputAfterItsBroadcastsWereDropped) {
  EXPECT_TRUE(append("own;"));
  EXPECT_TRUE(outbox->append(block, say(frame("said")), 0));
  outbox->drop_broadcasts();
  EXPECT_TRUE(append("close"));
  EXPECT_EQ(content(), "own;close");
  EXPECT_EQ(outbox->queued(), 9U);
  outbox->consume(9);
  EXPECT_EQ(outbox->queued(), 0U);
  outbox->drop_broadcasts();
  EXPECT_EQ(outbox->queued(), 0U) << "nothing to drop";
}

TEST_F(OutboxTest, RejectsOutputOverTheBudget) {
  const Range shared = say("shared");
  EXPECT_TRUE(append(std::string(60'000, 'x')));
  EXPECT_TRUE(append(std::string(39'994 - 2 * kSegment, 'y')));
  EXPECT_EQ(budget.room(), kSegment);
  EXPECT_FALSE(append(std::string(kSegment + 1, 'z')));
  EXPECT_FALSE(outbox->append(block, {0, 1}, 0)) << "a copy needs more than its entry";
  EXPECT_EQ(budget.room(), 0U);
  EXPECT_TRUE(outbox->append(block, shared, 0)) << "a shared range needs only its entry";
  EXPECT_FALSE(append("z"));
  EXPECT_FALSE(outbox->append(block, shared, 0)) << "not even an entry fits";
  EXPECT_EQ(outbox->queued(), 100'000U - 2 * kSegment) << "rejected output is not queued";
  outbox->consume(99'994 - 2 * kSegment);
  EXPECT_EQ(content(), "shared");
}

TEST_F(OutboxTest, GrowsInFewStepsUntilTheBudgetIsUsed) {
  std::size_t steps = 0;
  std::size_t before = budget.used();
  while (append("0123456789")) {
    if (budget.used() != before)
      ++steps;
    before = budget.used();
  }
  EXPECT_EQ(outbox->queued(), 99'950U) << "ten more bytes and the entry do not fit";
  EXPECT_LT(steps, 40U) << "each step copies all queued bytes";
}

TEST_F(OutboxTest, RecyclesABlockUnlessItIsTooLarge) {
  say(std::string(1000, 'x'));
  block->recycle(2000);
  EXPECT_EQ(block->size(), 0U);
  EXPECT_EQ(budget.used(), 1000U) << "kept for the next iteration";
  say(std::string(3000, 'x'));
  block->recycle(2000);
  EXPECT_EQ(budget.used(), 0U) << "too large to keep";
}

}  // namespace
}  // namespace ws
