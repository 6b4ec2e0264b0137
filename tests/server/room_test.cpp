// Which member receives which messages: rooms with sessions on socket pairs, without an event loop.
#include "server/app/room.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frame/close.h"
#include "server/app/chat.h"
#include "server/http/router.h"
#include "server/net/transport.h"
#include "server/session/session.h"
#include "server/session/session_table.h"
#include "tests/support/client.h"
#include "tests/support/hall.h"
#include "tests/support/zlib.h"

namespace ws {
namespace {

using test::Hall;

std::string frame(std::string_view text) {
  return std::string("\x81") + static_cast<char>(text.size()) + std::string(text);
}

class RoomTest : public testing::Test {
 protected:
  struct Member {
    Session* session;
    Fd peer;
  };
  /// One loop's part of the room; the loop does not run.
  struct Part {
    Part(RoomParts& parts, Budgets& budgets, const Limits& limits, const DeflateSettings& deflate)
        : router({}, {}),
          context(limits, router, budgets, deflate),
          table(static_cast<std::uint32_t>(parts.parts.size() + 1), 10),
          room(parts, context, table) {
      router.add("/hall", hall);
    }
    Router router;
    SessionContext context;
    SessionTable table;
    Room room;
    Hall hall{room};
  };

  explicit RoomTest(const Limits& limits_to_use = {}, const DeflateSettings& deflate_to_use = {})
      : limits(limits_to_use), deflate(deflate_to_use) {}
  Part& add_part() {
    return *parts.emplace_back(std::make_unique<Part>(shared, budgets, limits, deflate));
  }

  /// `extensions`: the offered extensions; may be empty.
  Member& join(const std::string& extensions = "", std::string_view path = "/hall") {
    return join(*parts.front(), extensions, SOCK_STREAM, path);
  }
  Member& join(Part& part, const std::string& extensions = "", int type = SOCK_STREAM,
               std::string_view path = "/hall") {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends.data()), 0);
    members.push_back(std::make_unique<Member>());
    Member& member = *members.back();
    member.peer = Fd(ends[1]);
    const EventLoop::Token token = part.table.next_token();
    part.table.put(
        std::make_unique<Session>(part.context, Fd(ends[0]), token, ConnectionCount::kNotCounted));
    member.session = part.table.find(token);
    EXPECT_FALSE(member.session->start());
    write(member,
          test::upgrade_request(
              path, extensions.empty() ? "" : "Sec-WebSocket-Extensions: " + extensions + "\r\n"));
    EXPECT_TRUE(member.session->on_ready(kReadable));
    EXPECT_TRUE(read(member).starts_with("HTTP/1.1 101 "));
    return member;
  }
  static void write(Member& member, std::string_view bytes) {
    EXPECT_EQ(::send(member.peer.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  /// Reads all bytes that the member's peer has been sent.
  static std::string read(Member& member) {
    std::string bytes;
    std::array<char, 65536> part;
    for (ssize_t n; (n = ::recv(member.peer.get(), part.data(), part.size(), 0)) > 0;) {
      bytes.append(part.data(), static_cast<std::size_t>(n));
    }
    return bytes;
  }
  /// Reads until the session has sent all queued bytes.
  static std::string drain(Member& member) {
    std::string all = read(member);
    while (member.session->queued() > 0) {
      member.session->on_ready(kWritable);
      all += read(member);
    }
    return all;
  }
  bool say(Member& speaker, std::string_view text) { return say(room, speaker, text); }
  static bool say(Room& room, Member& speaker, std::string_view text) {
    return room.broadcast(*speaker.session, Opcode::kText, {std::as_bytes(std::span(text))});
  }

  static constexpr std::uint32_t kReadable = 1;  // EPOLLIN
  static constexpr std::uint32_t kWritable = 4;  // EPOLLOUT

  Limits limits;
  DeflateSettings deflate;
  Budgets budgets{limits};
  RoomParts shared;
  std::vector<std::unique_ptr<Part>> parts;
  std::vector<std::unique_ptr<Member>> members;
  Room& room{add_part().room};  ///< the home
};

TEST_F(RoomTest, SendsEachMemberTheMessagesOfTheOthersInOrder) {
  Member& a = join();
  Member& b = join();
  Member& c = join();
  for (const auto& [speaker, text] : std::vector<std::pair<Member*, std::string_view>>{
           {&a, "a1"}, {&a, "a2"}, {&b, "b1"}, {&a, "a3"}, {&b, ""}}) {
    EXPECT_TRUE(say(*speaker, text));
  }
  EXPECT_EQ(read(c), "") << "nothing is sent before the iteration ends";
  room.end_iteration();
  EXPECT_EQ(read(a), frame("b1") + frame(""));
  EXPECT_EQ(read(b), frame("a1") + frame("a2") + frame("a3"));
  EXPECT_EQ(read(c), frame("a1") + frame("a2") + frame("b1") + frame("a3") + frame(""));
  room.end_iteration();
  EXPECT_EQ(read(c), "") << "each message is sent once";
}

/// Records the number of pieces of each write.
class PieceTap final : public Tap {
 public:
  void opened(std::uint32_t, const SocketAddress&, const SocketAddress&) noexcept override {}
  void closed(std::uint32_t) noexcept override {}
  void received(std::uint32_t, std::span<const std::byte>) noexcept override {}
  void sent(std::uint32_t session, std::span<const iovec> pieces, std::size_t) noexcept override {
    writes[session].push_back(pieces.size());
  }
  void received_fin(std::uint32_t) noexcept override {}
  void sent_fin(std::uint32_t) noexcept override {}
  void reset(std::uint32_t) noexcept override {}
  void lost(std::uint32_t, std::error_code) noexcept override {}

  std::map<std::uint32_t, std::vector<std::size_t>> writes;
};

TEST_F(RoomTest, MergesTheMessagesBetweenTwoMessagesOfTheReceiver) {
  Member& a = join();
  Member& b = join();
  Member& c = join();
  PieceTap tap;
  parts.front()->context.tap = &tap;
  for (Member* const speaker : {&a, &a, &b, &a, &b, &b})
    EXPECT_TRUE(say(*speaker, "x"));
  room.end_iteration();
  const auto writes_to = [&](const Member& member) {
    return tap.writes[member.session->token().generation];
  };
  using Writes = std::vector<std::size_t>;
  EXPECT_EQ(writes_to(a), Writes{2}) << "one of b, then two of b";
  EXPECT_EQ(writes_to(b), Writes{2}) << "two of a, then one of a";
  EXPECT_EQ(writes_to(c), Writes{1}) << "all six are adjacent";
  parts.front()->context.tap = nullptr;
}

/// An endpoint that joins no room.
class Lobby final : public Endpoint {
 public:
  void message(Session&, Opcode, std::span<std::byte>) override {}
};

// A session that failed before it joined is closed, too.
TEST_F(RoomTest, ChatCountsOnlyMembersThatJoined) {
  Lobby lobby;
  parts.front()->router.add("/lobby", lobby);
  Member& member = join("", "/lobby");
  ChatParts of_all_loops;
  Chat chat(of_all_loops, parts.front()->context, parts.front()->table);
  const Ending ending{close_code::kAbnormal, "", false};
  chat.closed(*member.session, ending);
  EXPECT_EQ(of_all_loops.total, 0U);
  const HttpRequest request;
  chat.opened(*member.session, Opening{request, {}, member.peer});
  EXPECT_EQ(of_all_loops.total, 1U);
  chat.closed(*member.session, ending);
  chat.closed(*member.session, ending);
  EXPECT_EQ(of_all_loops.total, 0U);
}

TEST_F(RoomTest, SendsANewMemberOnlyMessagesFromAfterItsJoin) {
  Member& a = join();
  EXPECT_TRUE(say(a, "before"));
  Member& b = join();
  EXPECT_TRUE(say(a, "after"));
  EXPECT_TRUE(say(b, "hello"));
  room.end_iteration();
  EXPECT_EQ(read(b), frame("after"));
  EXPECT_EQ(read(a), frame("hello"));
}

TEST_F(RoomTest, DeliversAllMessagesWhenAMemberLeaves) {
  Member& a = join();
  Member& b = join();
  Member& c = join();
  EXPECT_TRUE(say(a, "a1"));
  EXPECT_TRUE(say(c, "c1"));
  room.leave(*a.session);  // the last member moves to its index
  EXPECT_EQ(room.size(), 2U);
  EXPECT_TRUE(say(c, "c2"));
  room.end_iteration();
  EXPECT_EQ(read(a), "");
  EXPECT_EQ(read(b), frame("a1") + frame("c1") + frame("c2"))
      << "messages of a are still delivered";
  EXPECT_EQ(read(c), frame("a1"));
}

TEST_F(RoomTest, IgnoresTheLeaveOfASessionThatIsNotAMember) {
  Member& a = join();
  Member& b = join();
  // If memory runs out in `join`, `leave` is called for a session that is not a member.
  Member& c = join();
  room.leave(*c.session);
  room.leave(*c.session);
  EXPECT_EQ(room.size(), 2U);
  EXPECT_TRUE(say(b, "b1"));
  room.end_iteration();
  EXPECT_EQ(read(a), frame("b1"));
  EXPECT_EQ(read(c), "");
}

TEST_F(RoomTest, SendsDirectMessagesBeforeThoseOfTheRoom) {
  Member& a = join();
  Member& b = join();
  constexpr std::string_view kOwn = "own";
  b.session->send(Opcode::kText, {std::as_bytes(std::span(kOwn))});
  EXPECT_TRUE(say(a, "room"));
  room.end_iteration();
  EXPECT_EQ(read(b), frame("own") + frame("room"));
}

TEST_F(RoomTest, SendsALargeBatchBeforeTheIterationEnds) {
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
};

TEST_F(SmallQueue, DisconnectsASlowReaderAndServesTheOthers) {
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
    room.end_iteration();
    quick_heard += drain(quick);
  }
  EXPECT_EQ(quick_heard.size(), said * one.size());
  // The slow reader receives whole frames and the Close; the partly sent frame was completed.
  const std::string heard = drain(slow);
  const std::string close = "\x88\x21\x03\xF0too slow: messages were dropped";
  ASSERT_TRUE(heard.ends_with(close)) << heard.size();
  EXPECT_EQ((heard.size() - close.size()) % one.size(), 0U);
  EXPECT_LT(heard.size(), said * one.size()) << "frames that were not partly sent are dropped";
}

TEST_F(SmallQueue, KeepsAMemberWhoseQueueWasEmptyBeforeALargeMessage) {
  Member& a = join();
  Member& b = join();
  const std::string large(2'000'000, 'x');
  ASSERT_TRUE(say(a, large));
  room.end_iteration();
  EXPECT_TRUE(b.session->is_open());
  EXPECT_EQ(drain(b).size(), large.size() + 10);
}

class SmallBudget : public RoomTest {
 protected:
  SmallBudget() : RoomTest({.buffered = 10'000}) {}
};

TEST_F(SmallBudget, RejectsAMessageOverTheBudget) {
  Member& a = join();
  Member& b = join();
  EXPECT_FALSE(say(a, std::string(10'000, 'x')));
  EXPECT_TRUE(say(a, "small"));
  room.end_iteration();
  EXPECT_EQ(read(b), frame("small"));
}

// ------------------------------------------------------------------ Two editions

const std::string kLine =
    "what is said here is said again, and then said again, as such things are";

/// Decodes the frames of a member with compression. Keeps the window from message to message.
class Reader {
 public:
  /// The decompressed payloads of the frames in `bytes`. Those of compressed frames get the prefix "*".
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

TEST_F(Editions, ReachEachMemberInItsNegotiatedEncoding) {
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
    room.end_iteration();
    EXPECT_EQ(read(plain), frame(kLine + "!") + frame("short"));
    EXPECT_EQ(read(small), frame(kLine) + frame(kLine + "!"));
    EXPECT_EQ(keeper_reads.frames(read(keeper)), (Lines{"*" + kLine, "short"}));
    EXPECT_EQ(forgetful_reads.frames(read(forgetful)),
              (Lines{"*" + kLine, "*" + kLine + "!", "short"}));
  }
}

TEST_F(Editions, ABroadcastResetsTheCompressionContextOfASession) {
  Member& a = join();
  Member& keeper = join("permessage-deflate");
  Reader reads;
  const auto send = [&keeper](const std::string& text) {
    keeper.session->send(Opcode::kText, {std::as_bytes(std::span(text))});
    keeper.session->uncork();
  };
  for (int i = 0; i < 3; ++i) {
    send(kLine);
    send(kLine);
    EXPECT_TRUE(say(a, kOther));
    send(kLine);  // is sent before the broadcast, which waits for the end of the iteration
    room.end_iteration();
    send(kLine);
    EXPECT_EQ(reads.frames(read(keeper)),
              (Lines{"*" + kLine, "*" + kLine, "*" + kLine, "*" + kOther, "*" + kLine}));
  }
}

TEST_F(Editions, AreCorrectWhenMembersJoinOrLeaveWithinAnIteration) {
  Member& a = join();
  EXPECT_TRUE(say(a, kLine)) << "no member accepts compression yet";
  Member& early = join("permessage-deflate");
  EXPECT_TRUE(say(a, kLine + "0"));
  room.end_iteration();
  EXPECT_EQ(read(early), frame(kLine + "0")) << "this batch has no compressed edition";
  room.leave(*early.session);
  Member& first = join("permessage-deflate");
  EXPECT_TRUE(say(a, kLine + "1"));
  Member& second = join("permessage-deflate");
  EXPECT_TRUE(say(first, kLine + "2"));
  room.leave(*first.session);
  EXPECT_TRUE(say(a, kLine + "3"));
  room.end_iteration();
  EXPECT_EQ(read(a), frame(kLine + "2"));
  EXPECT_EQ(read(first), "");
  EXPECT_EQ(Reader().frames(read(second)), (Lines{"*" + kLine + "2", "*" + kLine + "3"}));
  room.leave(*second.session);
  const std::size_t held = budgets.buffered.used();
  std::mt19937 engine(1);
  std::string noise;  // cannot be compressed
  while (noise.size() < 20'000)
    noise += static_cast<char>(engine() & 0xFFU);
  EXPECT_TRUE(say(a, noise));
  EXPECT_LT(budgets.buffered.used() - held, 30'000U)
      << "without a receiver there is no compressed edition";
}

TEST_F(Editions, AreStillCompressedAfterAPlainMemberLeft) {
  Member& a = join();
  Member& plain = join();
  Member& keeper =
      join("permessage-deflate");  // the last member takes the place of the one that leaves
  room.leave(*plain.session);
  EXPECT_TRUE(say(a, kLine));
  room.end_iteration();
  EXPECT_EQ(Reader().frames(read(keeper)), (Lines{"*" + kLine}));
}

class NoBudgetForEditions : public RoomTest {
 protected:
  NoBudgetForEditions() : RoomTest({.buffered = 20'000}, {.is_enabled = true}) {}
};

TEST_F(NoBudgetForEditions, SendsPlainFramesIfTheBudgetAllowsNoCompressor) {
  Member& a = join();
  Member& b = join("permessage-deflate");
  EXPECT_TRUE(say(a, kLine));
  room.end_iteration();
  EXPECT_EQ(read(b), frame(kLine));
}

TEST_F(NoBudgetForEditions, ChargesNothingForARejectedMessage) {
  Member& a = join();
  Member& b = join("permessage-deflate");
  EXPECT_FALSE(say(a, std::string(12'000, 'x')));
  EXPECT_EQ(budgets.buffered.used(), 0U);
  EXPECT_TRUE(say(a, kLine));
  EXPECT_FALSE(say(a, std::string(12'000, 'x')));
  room.end_iteration();
  EXPECT_EQ(read(b), frame(kLine)) << "rejecting a message keeps the earlier ones";
}

// ------------------------------------------------------------------ Several parts

class Parts : public RoomTest {
 protected:
  explicit Parts(const Limits& limits_to_use = {.chat_queue = 1 << 30},
                 const DeflateSettings& deflate_to_use = {})
      : RoomTest(limits_to_use, deflate_to_use) {}
  /// Ends three iterations of each loop, so that every message reaches all parts.
  void uncork() {
    for (int i = 0; i < 3; ++i) {
      for (const auto& part : parts)
        part->room.end_iteration();
    }
  }

  /// True if the part's loop was woken. Runs one iteration, which otherwise ends with a timer after 50 ms.
  static bool is_woken(Part& part) {
    struct Probe final : EventLoop::Handler {
      bool on_ready(EventLoop::Token, std::uint32_t) override { return is_woken = false; }
      void on_timer(TimerNode&) override { is_woken = false; }
      void on_iteration_end() override {}
      void on_busy_wait(EventLoop::Token) override {}
      bool is_woken = true;
    };
    struct Timer : TimerNode {};
    Probe handler;
    Timer timer;
    EventLoop& loop = part.context.loop;
    loop.timers().set(timer, loop.now() + 50);  // on the finest wheel: fires in one iteration
    loop.run_once(handler);
    loop.timers().cancel(timer);
    return handler.is_woken;
  }

  Part& home = *parts.front();
  Part& one = add_part();
  Part& two = add_part();
};

TEST_F(Parts, ReceiveAllMessagesInTheOrderOfTheHome) {
  Member& a = join(home);
  Member& b = join(one);
  Member& c = join(two);
  Member& d = join(two);
  EXPECT_TRUE(say(two.room, c, "c1"));
  EXPECT_TRUE(say(one.room, b, "b1"));
  EXPECT_TRUE(say(two.room, d, "d1"));
  EXPECT_TRUE(say(home.room, a, "a1"));
  EXPECT_TRUE(say(two.room, c, "c2"));
  two.room.end_iteration();
  one.room.end_iteration();
  EXPECT_EQ(read(d), "") << "nothing is delivered before the home orders it";
  uncork();
  // First the messages of the home's members, then those in its mailbox, in the order of their arrival.
  EXPECT_EQ(read(a), frame("c1") + frame("d1") + frame("c2") + frame("b1"));
  EXPECT_EQ(read(b), frame("a1") + frame("c1") + frame("d1") + frame("c2"));
  EXPECT_EQ(read(c), frame("a1") + frame("d1") + frame("b1"));
  EXPECT_EQ(read(d), frame("a1") + frame("c1") + frame("c2") + frame("b1"));
  uncork();
  for (Member* const member : {&a, &b, &c, &d})
    EXPECT_EQ(read(*member), "") << "each message is sent once";
}

TEST_F(Parts, SendABatchWithOneWritePerMember) {
  Member& a = join(home);
  Member& b = join(one);
  Member& c = join(two);
  Member& d = join(two, "", SOCK_SEQPACKET);  // one read returns the bytes of one write
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(say(one.room, b, "b"));
    EXPECT_TRUE(say(home.room, a, "a"));
    EXPECT_TRUE(say(two.room, c, "c"));
  }
  one.room.end_iteration();
  two.room.end_iteration();
  uncork();
  std::array<char, 100> packet;
  EXPECT_EQ(::recv(d.peer.get(), packet.data(), packet.size(), 0), 27);
}

TEST_F(Parts, SendANewMemberOnlyMessagesOrderedAfterItsJoin) {
  Member& a = join(home);
  Member& b = join(one);
  EXPECT_TRUE(say(home.room, a, "a1"));
  Member& early = join(two);
  EXPECT_TRUE(say(home.room, a, "a2"));
  home.room.end_iteration();
  EXPECT_EQ(read(b), "") << "the batch is in the mailbox";
  Member& late = join(two);
  EXPECT_TRUE(say(home.room, a, "a3"));
  Member& next = join(one);
  uncork();
  EXPECT_EQ(read(early), frame("a2") + frame("a3"));
  EXPECT_EQ(read(late), frame("a3"));
  EXPECT_EQ(read(next), "");
  EXPECT_TRUE(say(two.room, late, "l"));
  uncork();
  EXPECT_EQ(read(next), frame("l"));
}

TEST_F(Parts, DeliverTheMessageOfAMemberThatLeftAndWhoseSlotIsReused) {
  Member& a = join(home);
  Member& b = join(one);
  Member& c = join(one);
  EXPECT_TRUE(say(one.room, b, "last words"));
  one.room.end_iteration();
  one.room.leave(*b.session);
  one.table.erase(b.session->token());
  Member& d = join(one);  // in the slot of b, and at its index in the room's array
  EXPECT_EQ(d.session->token().slot, 0U);
  uncork();
  EXPECT_EQ(read(a), frame("last words"));
  EXPECT_EQ(read(c), frame("last words"));
  EXPECT_EQ(read(d), frame("last words")) << "d joined before the home ordered the message";
}

TEST_F(Parts, SendNoMemberItsOwnMessagesFromSeveralIterations) {
  Member& a = join(home);
  Member& b = join(one);
  for (const std::string_view text : {"b1", "b2", "b3"}) {
    EXPECT_TRUE(say(one.room, b, text));
    one.room.end_iteration();
  }
  EXPECT_TRUE(say(home.room, a, "a"));
  uncork();
  EXPECT_EQ(read(a), frame("b1") + frame("b2") + frame("b3"));
  EXPECT_EQ(read(b), frame("a"));
}

TEST_F(Parts, HoldSendersWhileTheMailboxOfTheHomeIsFullAndLoseNothing) {
  Member& a = join(home);
  Member& b = join(one);
  Member& c = join(one);
  const std::string text(100'000, 'x');
  std::size_t said = 0;
  while (!b.session->is_held()) {
    ASSERT_LT(said, 20U);
    ASSERT_TRUE(say(one.room, b, text));
    one.room.end_iteration();
    ++said;
  }
  EXPECT_FALSE(c.session->is_held()) << "c has sent nothing";
  EXPECT_TRUE(say(one.room, c, "c"));
  EXPECT_TRUE(c.session->is_held());
  // Input of a held session stays in the kernel's buffer.
  write(c, test::client_frame(0x81, "later"));
  EXPECT_FALSE(c.session->on_ready(kReadable));
  uncork();
  const std::string heard = drain(a);
  EXPECT_FALSE(b.session->is_held());
  EXPECT_FALSE(c.session->is_held());
  EXPECT_EQ(heard.size(), said * (text.size() + 10) + frame("c").size());
  EXPECT_TRUE(heard.ends_with(frame("c")));
}

TEST_F(Parts, HoldSendersOfAllPartsWhileTheMailboxOfOnePartIsFull) {
  Member& a = join(home);
  Member& b = join(one);
  const std::string text(100'000, 'x');
  const auto home_and_one = [&] {
    one.room.end_iteration();
    home.room.end_iteration();
    one.room.end_iteration();
  };
  for (int said = 0; !b.session->is_held(); ++said) {
    ASSERT_LT(said, 60) << "two does not read its mailbox: home must stop, then one";
    ASSERT_TRUE(say(one.room, b, text));
    home_and_one();
  }
  EXPECT_TRUE(say(home.room, a, "a"));
  home_and_one();
  EXPECT_TRUE(say(home.room, a, "a"));
  EXPECT_TRUE(a.session->is_held());
  uncork();
  EXPECT_FALSE(a.session->is_held());
  EXPECT_FALSE(b.session->is_held());
}

TEST_F(Parts, WakeTheLoopOfAHeldSenderWhenTheFullMailboxIsRead) {
  Member& a = join(home);
  while (!a.session->is_held()) {
    ASSERT_TRUE(say(home.room, a, std::string(300'000, 'x')));
    home.room.end_iteration();
    one.room.end_iteration();
  }
  is_woken(home);  // ignores earlier wakes
  EXPECT_FALSE(is_woken(home));
  two.room.end_iteration();
  EXPECT_TRUE(is_woken(home));
}

TEST_F(Parts, ReleaseAHeldSenderWhenItsBatchIsSentWithThatOfAnotherPart) {
  Member& a = join(home);
  Member& b = join(one);
  const std::string text(300'000, 'x');
  while (!a.session->is_held()) {
    ASSERT_TRUE(say(home.room, a, text));
    home.room.end_iteration();
    one.room.end_iteration();
  }
  ASSERT_TRUE(say(one.room, b, text));
  one.room.end_iteration();
  two.room.end_iteration();
  home.room.end_iteration();
  EXPECT_FALSE(a.session->is_held());
  EXPECT_GT(drain(a).size(), text.size());
}

TEST_F(Parts, ReleaseAHeldMemberWhenItIsClosed) {
  join(home);
  Member& b = join(one);
  const std::string text(1'000'000, 'x');
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(say(one.room, b, text));
    one.room.end_iteration();
  }
  ASSERT_TRUE(b.session->is_held());
  b.session->close(1001, "");
  EXPECT_FALSE(b.session->is_held()) << "the peer's Close must be read";
  b.session->uncork();
  b.session->release();
  EXPECT_EQ(read(b), std::string("\x88\x02\x03\xE9", 4));
}

class PartsOfALittle : public Parts {
 protected:
  PartsOfALittle() : Parts({.buffered = 10'000}) {}
};

TEST_F(PartsOfALittle, RejectMessagesOverTheBudgetAndSendBatchesTheyCannotCopy) {
  Member& a = join(home);
  Member& b = join(one);
  Member& c = join(two);
  EXPECT_FALSE(say(one.room, b, std::string(10'001, 'x')));
  // The budget allows both batches, but no copy that combines them.
  const std::string half(4'900, 'x');
  EXPECT_TRUE(say(one.room, b, half));
  one.room.end_iteration();
  EXPECT_TRUE(say(home.room, a, half));
  uncork();
  EXPECT_EQ(read(a).size(), 4'904U);
  EXPECT_EQ(read(b).size(), 4'904U);
  EXPECT_EQ(read(c).size(), 9'808U);
  EXPECT_EQ(budgets.buffered.used(), 0U);
}

class PartsInEditions : public Parts {
 protected:
  PartsInEditions() : Parts({}, {.is_enabled = true, .window_bits = 14}) {}
};

TEST_F(PartsInEditions, ReachEachMemberInItsEncodingFromEveryPart) {
  Member& plain = join(home);
  Member& taker = join(one, "permessage-deflate");
  Member& speaker = join(two);
  Reader reads;
  EXPECT_TRUE(say(home.room, plain, kLine));
  EXPECT_TRUE(say(two.room, speaker, kOther));
  two.room.end_iteration();
  uncork();
  EXPECT_EQ(reads.frames(read(taker)), (Lines{"*" + kLine, "*" + kOther}));
  EXPECT_EQ(read(speaker), frame(kLine));
  EXPECT_EQ(read(plain), frame(kOther));
}

TEST_F(PartsInEditions, DeliverBatchesWithOneAndWithTwoEditions) {
  Member& plain = join(home);
  Member& speaker = join(two);
  EXPECT_TRUE(say(two.room, speaker, kLine));  // in one edition
  two.room.end_iteration();
  Member& taker = join(one, "permessage-deflate");
  EXPECT_TRUE(say(home.room, plain, kOther));  // in two
  uncork();
  EXPECT_EQ(Reader().frames(read(taker)), (Lines{"*" + kOther, kLine}));
  EXPECT_EQ(read(speaker), frame(kOther));
  EXPECT_TRUE(say(two.room, speaker, kLine));  // in two
  two.room.end_iteration();
  one.room.leave(*taker.session);
  EXPECT_TRUE(say(home.room, plain, kOther));  // in one
  uncork();
  EXPECT_EQ(read(speaker), frame(kOther));
  EXPECT_EQ(read(plain), frame(kLine) + frame(kLine));
}

}  // namespace
}  // namespace ws
