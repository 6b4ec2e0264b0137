// Who hears what: rooms of sessions on socket pairs, without a loop.
#include "server/room.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "server/router.h"
#include "server/session.h"
#include "tests/support/client.h"
#include "tests/support/zlib.h"

namespace ws {
namespace {

/// Joins whoever opens it, and otherwise leaves the room to the test.
class Hall final : public Endpoint {
 public:
  explicit Hall(Room& room) : room_(room) {}
  void opened(Session& session, const Opening&) override { room_.join(session); }
  void message(Session&, Opcode, std::span<std::byte>) override {}

 private:
  Room& room_;
};

std::string frame(std::string_view text) {
  return std::string("\x81") + static_cast<char>(text.size()) + std::string(text);
}

class RoomTest : public testing::Test {
 protected:
  struct Member {
    std::unique_ptr<Session> session;
    Fd peer;
  };

  explicit RoomTest(const Limits& limits = {}, const DeflateSettings& deflate = {})
      : router({}, {}, deflate), context(limits, router, deflate) {
    router.add("/hall", hall);
  }

  /// `extensions`: what it offers; empty: none.
  Member& join(const std::string& extensions = "") {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    const auto serial = static_cast<std::uint32_t>(members.size());
    members.push_back(std::make_unique<Member>());
    Member& member = *members.back();
    member.peer = Fd(ends[1]);
    member.session =
        std::make_unique<Session>(context, Fd(ends[0]), EventLoop::Token{serial, 1}, nullptr);
    EXPECT_FALSE(member.session->start());
    write(
        member,
        test::upgrade_request(
            "/hall", extensions.empty() ? "" : "Sec-WebSocket-Extensions: " + extensions + "\r\n"));
    EXPECT_TRUE(member.session->on_ready(kReadable));
    EXPECT_TRUE(read(member).starts_with("HTTP/1.1 101 "));
    return member;
  }
  static void write(Member& member, std::string_view bytes) {
    EXPECT_EQ(::send(member.peer.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  /// All that the member's peer has been sent so far.
  static std::string read(Member& member) {
    std::string bytes;
    std::array<char, 65536> part;
    for (ssize_t n; (n = ::recv(member.peer.get(), part.data(), part.size(), 0)) > 0;) {
      bytes.append(part.data(), static_cast<std::size_t>(n));
    }
    return bytes;
  }
  bool say(Member& speaker, std::string_view text) {
    return room.say(*speaker.session, Opcode::kText, {std::as_bytes(std::span(text))});
  }

  static constexpr std::uint32_t kReadable = 1;  // EPOLLIN
  static constexpr std::uint32_t kWritable = 4;  // EPOLLOUT

  Router router;
  SessionContext context;
  Room room{context.budget, &context.deflate};
  Hall hall{room};
  std::vector<std::unique_ptr<Member>> members;
};

TEST_F(RoomTest, TellsEachWhatTheOthersSaidInOrderAndNothingOfItsOwn) {
  Member& a = join();
  Member& b = join();
  Member& c = join();
  for (const auto& [speaker, text] : std::vector<std::pair<Member*, std::string_view>>{
           {&a, "a1"}, {&a, "a2"}, {&b, "b1"}, {&a, "a3"}, {&b, ""}}) {
    EXPECT_TRUE(say(*speaker, text));
  }
  EXPECT_EQ(read(c), "") << "nothing leaves before the turn ends";
  room.flush();
  EXPECT_EQ(read(a), frame("b1") + frame(""));
  EXPECT_EQ(read(b), frame("a1") + frame("a2") + frame("a3"));
  EXPECT_EQ(read(c), frame("a1") + frame("a2") + frame("b1") + frame("a3") + frame(""));
  room.flush();
  EXPECT_EQ(read(c), "") << "and once";
}

TEST_F(RoomTest, TellsANewcomerWhatIsSaidAfterItJoined) {
  Member& a = join();
  EXPECT_TRUE(say(a, "before"));
  Member& b = join();
  EXPECT_TRUE(say(a, "after"));
  EXPECT_TRUE(say(b, "hello"));
  room.flush();
  EXPECT_EQ(read(b), frame("after"));
  EXPECT_EQ(read(a), frame("hello"));
}

TEST_F(RoomTest, GoesOnWhenSomeoneLeaves) {
  Member& a = join();
  Member& b = join();
  Member& c = join();
  EXPECT_TRUE(say(a, "a1"));
  EXPECT_TRUE(say(c, "c1"));
  room.leave(*a.session);  // the last one takes its place
  EXPECT_EQ(room.size(), 2U);
  EXPECT_TRUE(say(c, "c2"));
  room.flush();
  EXPECT_EQ(read(a), "");
  EXPECT_EQ(read(b), frame("a1") + frame("c1") + frame("c2")) << "what it said is heard";
  EXPECT_EQ(read(c), frame("a1"));
}

TEST_F(RoomTest, LosesNobodyToOneWhoNeverJoined) {
  Member& a = join();
  Member& b = join();
  // Joining may fail for want of memory; the session is then told closed like any other.
  Member& c = join();
  room.leave(*c.session);
  room.leave(*c.session);
  EXPECT_EQ(room.size(), 2U);
  EXPECT_TRUE(say(b, "b1"));
  room.flush();
  EXPECT_EQ(read(a), frame("b1"));
  EXPECT_EQ(read(c), "");
}

TEST_F(RoomTest, SendsEachItsOwnWordsBeforeThoseOfTheRoom) {
  Member& a = join();
  Member& b = join();
  constexpr std::string_view kOwn = "own";
  b.session->send(Opcode::kText, {std::as_bytes(std::span(kOwn))});
  EXPECT_TRUE(say(a, "room"));
  room.flush();
  EXPECT_EQ(read(b), frame("own") + frame("room"));
}

TEST_F(RoomTest, SaysMuchInTheMiddleOfATurn) {
  Member& a = join();
  Member& b = join();
  const std::string text(100'000, 'x');
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(say(a, text));
  EXPECT_GT(read(b).size(), 100'000U);
}

class SmallQueue : public RoomTest {
 protected:
  SmallQueue() : RoomTest({.chat_queue = 1'000'000}) {}
  /// Lets the session send what it has queued while its peer reads, to the end.
  std::string drain(Member& member) {
    std::string all = read(member);
    while (member.session->queued() > 0) {
      member.session->on_ready(kWritable);
      all += read(member);
    }
    return all;
  }
};

TEST_F(SmallQueue, PutsOutWhoIsBehindAndServesTheOthers) {
  Member& a = join();
  Member& slow = join();
  Member& quick = join();
  const std::string text(50'000, 'x');
  const std::string one = std::string("\x81\x7E\xC3\x50", 4) + text;
  std::size_t said = 0;
  std::string quick_heard;
  while (slow.session->is_open() && said < 1000) {
    ASSERT_TRUE(say(a, text));
    ++said;
    room.flush();
    quick_heard += drain(quick);
  }
  EXPECT_EQ(quick_heard.size(), said * one.size());
  // What the kernel had taken, the end of the frame that was begun, and the Close: never half a frame.
  const std::string heard = drain(slow);
  const std::string close = "\x88\x21\x03\xF0too slow: messages were dropped";
  ASSERT_TRUE(heard.ends_with(close)) << heard.size();
  EXPECT_EQ((heard.size() - close.size()) % one.size(), 0U);
  EXPECT_LT(heard.size(), said * one.size()) << "what was queued whole is lost";
}

TEST_F(SmallQueue, KeepsWhoWasUpToDateHoweverLargeTheMessage) {
  Member& a = join();
  Member& b = join();
  const std::string large(2'000'000, 'x');
  ASSERT_TRUE(say(a, large));
  room.flush();
  EXPECT_TRUE(b.session->is_open());
  EXPECT_EQ(drain(b).size(), large.size() + 10);
}

class SmallBudget : public RoomTest {
 protected:
  SmallBudget() : RoomTest({.buffered = 10'000}) {}
};

TEST_F(SmallBudget, SaysNothingThatTheBudgetDoesNotBear) {
  Member& a = join();
  Member& b = join();
  EXPECT_FALSE(say(a, std::string(10'000, 'x')));
  EXPECT_TRUE(say(a, "small"));
  room.flush();
  EXPECT_EQ(read(b), frame("small"));
}

// ------------------------------------------------------------------ in two editions

const std::string kLine =
    "what is said here is said again, and then said again, as such things are";

/// Whoever takes the compressed edition: it keeps its window, as its agreement lets the server do.
class Reader {
 public:
  /// The frames in `bytes`, decompressed; "*" before those that were compressed.
  std::vector<std::string> frames(const std::string& bytes) {
    std::vector<std::string> all;
    for (std::size_t at = 0; at + 2 <= bytes.size();) {
      const bool is_compressed = bytes[at] == '\xC1';
      EXPECT_TRUE(is_compressed || bytes[at] == '\x81');
      std::size_t size = static_cast<unsigned char>(bytes[at + 1]);
      at += 2;
      if (size == 126) {
        size = static_cast<std::size_t>(static_cast<unsigned char>(bytes[at])) * 256 +
               static_cast<unsigned char>(bytes[at + 1]);
        at += 2;
      }
      const std::string payload = bytes.substr(at, size);
      at += size;
      all.push_back(is_compressed ? "*" + inflater_.message(payload) : payload);
    }
    return all;
  }

 private:
  test::PeerInflater inflater_;
};

const std::string kOther =
    "Quite another thing! It has nothing in common with that, and is as long; 0123456789.";

class Editions : public RoomTest {
 protected:
  Editions() : RoomTest({}, {.is_enabled = true, .window_bits = 14}) {}
};

using Lines = std::vector<std::string>;

TEST_F(Editions, ReachEachMemberInTheOneThatItTakes) {
  Member& plain = join();
  Member& keeper = join("permessage-deflate");
  Member& forgetful = join("permessage-deflate; server_no_context_takeover");
  Member& small = join("permessage-deflate; server_max_window_bits=13");
  Reader keeper_reads;
  Reader forgetful_reads;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(say(plain, kLine));
    EXPECT_TRUE(say(keeper, kLine + "!"));
    EXPECT_TRUE(say(small, "short"));
    room.flush();
    EXPECT_EQ(read(plain), frame(kLine + "!") + frame("short"));
    EXPECT_EQ(read(small), frame(kLine) + frame(kLine + "!"));
    EXPECT_EQ(keeper_reads.frames(read(keeper)), (Lines{"*" + kLine, "short"}));
    EXPECT_EQ(forgetful_reads.frames(read(forgetful)),
              (Lines{"*" + kLine, "*" + kLine + "!", "short"}));
  }
}

TEST_F(Editions, ABroadcastEndsTheContextOfWhatASessionIsSentAlone) {
  Member& a = join();
  Member& keeper = join("permessage-deflate");
  Reader reads;
  const auto send = [&keeper](const std::string& text) {
    keeper.session->send(Opcode::kText, {std::as_bytes(std::span(text))});
    keeper.session->settle();
  };
  for (int i = 0; i < 3; ++i) {
    send(kLine);
    send(kLine);
    EXPECT_TRUE(say(a, kOther));
    send(kLine);  // before the broadcast, though said after it
    room.flush();
    send(kLine);
    EXPECT_EQ(reads.frames(read(keeper)),
              (Lines{"*" + kLine, "*" + kLine, "*" + kLine, "*" + kOther, "*" + kLine}));
  }
}

TEST_F(Editions, WhoJoinsOrLeavesInATurnHearsItsPartOfIt) {
  Member& a = join();
  EXPECT_TRUE(say(a, kLine)) << "nobody takes the other edition yet";
  Member& first = join("permessage-deflate");
  EXPECT_TRUE(say(a, kLine + "1"));
  Member& second = join("permessage-deflate");
  EXPECT_TRUE(say(first, kLine + "2"));
  room.leave(*first.session);
  EXPECT_TRUE(say(a, kLine + "3"));
  room.flush();
  EXPECT_EQ(read(a), frame(kLine + "2"));
  EXPECT_EQ(read(first), "");
  EXPECT_EQ(Reader().frames(read(second)), (Lines{"*" + kLine + "2", "*" + kLine + "3"}));
  room.leave(*second.session);
  const std::size_t held = context.budget.used();
  std::mt19937 engine(1);
  std::string noise;  // which no compressor makes smaller
  while (noise.size() < 20'000)
    noise += static_cast<char>(engine() & 0xFFU);
  EXPECT_TRUE(say(a, noise));
  EXPECT_LT(context.budget.used() - held, 30'000U) << "an edition that nobody takes is not made";
}

class NoBudgetForEditions : public RoomTest {
 protected:
  NoBudgetForEditions() : RoomTest({.buffered = 20'000}, {.is_enabled = true}) {}
};

TEST_F(NoBudgetForEditions, WithoutMemoryForACompressorTheyAreAlike) {
  Member& a = join();
  Member& b = join("permessage-deflate");
  EXPECT_TRUE(say(a, kLine));
  room.flush();
  EXPECT_EQ(read(b), frame(kLine));
}

}  // namespace
}  // namespace ws
