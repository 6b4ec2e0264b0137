// Sessions that are held, paused, half closed, flushing or closing.
//
// Each test sets its limits so that no other deadline can end its session.
#include "server/session/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/live_server.h"

namespace ws {
namespace {

using test::client_frame;
using test::kCloseFrame;
using test::kPingFrame;
using test::kPongFrame;
using test::kTextFrame;
using test::Lines;
using test::LiveServer;
using test::Obedient;
using test::RawClient;
using namespace std::string_literals;

constexpr std::uint32_t kLong = 3'600'000;  ///< ms: for deadlines that must not expire in a test

/// Waits until the server has handled the earlier input: sends a message in another session and awaits its echo.
bool has_turned(const LiveServer& server) {
  RawClient other = server.open("/echo/raw");
  other.send(client_frame(kTextFrame, "turn"));
  return other.receive(6) == "\x81\x04turn";
}

/// A client whose session has more output queued than its socket accepts.
RawClient overfull(LiveServer& server) {
  RawClient client = server.open();
  client.send(client_frame(kTextFrame, "remember"));
  client.send(client_frame(kTextFrame, "pass on"));
  EXPECT_EQ(server.endpoint.diary.lines(3).back(), "message pass on");
  return client;
}

TEST(HeldSession, DeliversNoInputAfterItsOutputIsFlushed) {
  LiveServer server({.outbox_high = 100'000, .outbox_low = 50'000});
  RawClient client = server.open();
  client.send(client_frame(kTextFrame, "remember"));
  client.send(client_frame(kTextFrame, "flood and hold"));
  EXPECT_EQ(server.endpoint.diary.lines(4).back(), "over high");
  client.send(client_frame(kTextFrame, "later"));
  const std::size_t frames = static_cast<std::size_t>(server.endpoint.flooded) + 1;
  EXPECT_EQ(client.receive(frames * 20'004).size(), frames * 20'004) << "all queued messages";
  EXPECT_TRUE(has_turned(server));
  EXPECT_EQ(server.endpoint.diary.lines(4).size(), 4U) << "the session is still held";
  RawClient other = server.open();
  other.send(client_frame(kTextFrame, "release"));
  const Lines lines = server.endpoint.diary.lines(7);
  ASSERT_EQ(lines.size(), 7U);
  EXPECT_EQ(lines.back(), "message later");
}

TEST(HeldSession, DeliversNoInputOfTheSameReadWhileOutputIsQueued) {
  LiveServer server({.outbox_high = 2 * Obedient::kPassedOn, .write_ms = kLong});
  RawClient client = overfull(server);
  client.send(client_frame(kTextFrame, "hold") + client_frame(kTextFrame, "later"));
  EXPECT_EQ(server.endpoint.diary.lines(4).back(), "message hold");
  EXPECT_TRUE(has_turned(server));
  EXPECT_EQ(server.endpoint.diary.lines(4).size(), 4U) << "the session is held";
  RawClient other = server.open();
  other.send(client_frame(kTextFrame, "release"));
  EXPECT_EQ(server.endpoint.diary.lines(7).back(), "message later");
}

TEST(HeldSession, ReadsThePeersCloseAfterItsOwn) {
  LiveServer server({.close_ms = kLong});
  RawClient client = server.open();
  client.send(client_frame(kTextFrame, "hold and close"));
  EXPECT_EQ(client.receive(7),
            "\x88\x05\x03\xE8"
            "bye");
  client.send(client_frame(kCloseFrame, "\x03\xE8"));
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_TRUE(client.has_ended_well());
  client.close();
  EXPECT_EQ(server.endpoint.diary.lines(3).back(), "closed 1000");
}

TEST(HeldSession, EndsWithAnErrorIfTheClientResets) {
  LiveServer server;
  RawClient client = server.open();
  client.send(client_frame(kTextFrame, "hold"));
  EXPECT_EQ(server.endpoint.diary.lines(2).back(), "message hold");
  client.reset();
  EXPECT_EQ(server.endpoint.diary.lines(3).back(), "closed 1006 error");
}

TEST(Flushing, ContinuesAfterThePeersFin) {
  LiveServer server({.drain_ms = kLong, .write_ms = kLong});
  RawClient client = overfull(server);
  client.finish_writing();
  EXPECT_TRUE(has_turned(server));
  EXPECT_EQ(client.receive_all().size(), Obedient::kPassedOn + 10) << "a reset loses no bytes";
  EXPECT_TRUE(client.has_ended_well());
  EXPECT_EQ(server.endpoint.diary.lines(4).back(), "closed 1006");
}

TEST(Flushing, ContinuesIfAFinFollowsTheClose) {
  LiveServer server({.outbox_high = 2 * Obedient::kPassedOn, .drain_ms = kLong, .write_ms = kLong});
  RawClient client = overfull(server);
  client.send(client_frame(kCloseFrame, "\x03\xE8"));
  EXPECT_EQ(server.endpoint.diary.lines(4).back(), "closed 1000");
  client.finish_writing();
  EXPECT_TRUE(has_turned(server));
  const std::string all = client.receive_all();
  EXPECT_EQ(all.size(), Obedient::kPassedOn + 10 + 4) << "a reset loses no bytes";
  EXPECT_TRUE(all.ends_with("\x88\x02\x03\xE8"));
  EXPECT_TRUE(client.has_ended_well());
}

// [6455-10.4-SLOW] Each message has its own window: time spent on earlier messages does not count.
TEST(ReadTimeout, RestartsForEachMessageSplitAcrossReads) {
  LiveServer server({.outbox_low = 10'000, .read_ms = 1000});
  struct {
    std::string frame;
    std::string answer;
  } const cases[] = {{client_frame(kTextFrame, "halved"), "\x81\x06halved"},
                     {client_frame(kTextFrame, ""), "\x81\x00"s},
                     {client_frame(kPingFrame, "halved"), "\x8A\x06halved"}};
  std::vector<RawClient> clients;
  for (const auto& [frame, answer] : cases) {
    clients.push_back(server.open("/echo/raw"));
    clients.back().send(frame.substr(0, 5));
  }
  for (int i = 0; i < 8; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    for (std::size_t k = 0; k < clients.size(); ++k) {
      const auto& [frame, answer] = cases[k];
      clients[k].send(frame.substr(5) + frame.substr(0, 5));
      EXPECT_EQ(clients[k].receive(answer.size()), answer) << i;
    }
  }
}

// [6455-10.4-SLOW]
TEST(ReadTimeout, IsNotExtendedByPingsBetweenFragments) {
  LiveServer server({.outbox_low = 10'000, .close_ms = kLong, .read_ms = 600});
  RawClient client = server.open("/echo/raw");
  const std::string ping = client_frame(kPingFrame, "");
  client.send(client_frame(0x01, "a") + ping.substr(0, 3));
  std::string received;
  for (int i = 0; i < 8 && !received.starts_with("\x88"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    client.send(ping.substr(3) + ping.substr(0, 3));
    received = client.receive(2);
  }
  EXPECT_EQ(received, "\x88\x20") << "a Close with a reason";
}

TEST(ReadTimeout, ClosesWith1008IfTheSecondWindowHasTooFewBytes) {
  LiveServer server({.outbox_low = 1000, .close_ms = kLong, .read_ms = 150});
  RawClient client = server.open("/echo/raw");
  client.send(client_frame(0x01, "a"));
  client.send(client_frame(0x00, std::string(1000, 'b')));
  EXPECT_EQ(client.receive(4), "\x88\x20\x03\xF0");
}

TEST(StalledWrite, ResetsTheConnectionAfterASecondWindow) {
  LiveServer server({.outbox_low = 100'000, .write_ms = 1000});
  RawClient client = overfull(server);
  EXPECT_EQ(client.receive(3'000'000).size(), 3'000'000U) << "enough for the first window";
  const Lines lines = server.endpoint.diary.lines(4);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines.back(), "closed 1006 error");
  client.receive_all();
  EXPECT_FALSE(client.has_ended_well());
}

TEST(CloseTimeout, ResetsTheConnectionIfThePeerDoesNotReadTheClose) {
  for (const std::size_t outbox_high : {Obedient::kPassedOn / 2, Obedient::kPassedOn * 2}) {
    SCOPED_TRACE(outbox_high);
    LiveServer server({.outbox_high = outbox_high, .close_ms = 100, .write_ms = kLong});
    RawClient client = overfull(server);
    RawClient other = server.open();
    other.send(client_frame(kTextFrame, "dismiss"));
    const Lines lines = server.endpoint.diary.lines(6);
    ASSERT_EQ(lines.size(), 6U);
    EXPECT_EQ(lines.back(), "closed 1006 error");
    client.receive_all();
    EXPECT_FALSE(client.has_ended_well());
  }
}

TEST(Session, ReadsThePeersCloseAfterDataThatFollowsOurClose) {
  LiveServer server(
      {.outbox_high = 100'000, .outbox_low = 50'000, .close_ms = kLong, .write_ms = kLong});
  RawClient client = overfull(server);
  RawClient other = server.open();
  other.send(client_frame(kTextFrame, "dismiss"));
  EXPECT_EQ(server.endpoint.diary.lines(5).back(), "message dismiss");
  client.send(client_frame(kTextFrame, "late"));
  EXPECT_TRUE(has_turned(server));
  client.send(client_frame(kCloseFrame, "\x03\xE8"));
  EXPECT_EQ(server.endpoint.diary.lines(6).back(), "closed 1000");
}

// No message is delivered after our Close, so only the close timeout applies.
TEST(Session, HasNoReadTimeoutForAMessageAfterItsClose) {
  LiveServer server({.close_ms = kLong, .read_ms = 50});
  RawClient client = server.open();
  client.send(client_frame(kTextFrame, "close"));
  EXPECT_EQ(client.receive(7),
            "\x88\x05\x03\xE8"
            "bye");
  constexpr unsigned kFirstFragment = 0x01;
  client.send(client_frame(kFirstFragment, "half"));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  client.send(client_frame(0x80, "rest") + client_frame(kCloseFrame, "\x03\xE8"));
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_TRUE(client.has_ended_well());
  EXPECT_EQ(server.endpoint.diary.lines(4),
            (Lines{"opened /test ", "message close", "send refused", "closed 1000"}));
}

TEST(KeepAlive, PingsBeforeTheHandshakeTimeoutExpires) {
  LiveServer server({.handshake_ms = kLong, .ping_ms = 50, .pong_ms = kLong});
  RawClient client = server.open();
  EXPECT_EQ(client.receive(2), "\x89\x00"s);
}

// [6455-5.5.2-PING] A client cannot send the pong before it has read the ping.
TEST(KeepAlive, DoesNotResetASlowReaderWhosePingIsQueued) {
  LiveServer server({.write_ms = kLong, .ping_ms = 40, .pong_ms = 1000});
  RawClient client = overfull(server);
  std::this_thread::sleep_for(std::chrono::milliseconds(2500));  // more than two waits for a pong
  const std::string all = client.receive(Obedient::kPassedOn + 12);
  client.send(client_frame(kPongFrame, "") + client_frame(kTextFrame, "echo"));
  EXPECT_EQ(all.size(), Obedient::kPassedOn + 12) << "the client is still connected";
  const std::size_t ping = all.find("\x89\x00"s);
  EXPECT_NE(ping, std::string::npos);
  EXPECT_EQ(all.find("\x89\x00"s, ping + 2), std::string::npos)
      << "one ping only, although the pong timeout was restarted";
  EXPECT_TRUE(client.receive_until("echo").ends_with("echo"));
}

TEST(Chat, KeepsASlowReaderWhoseQueueIsBelowTheLimit) {
  LiveServer server({.chat_queue = 64 * 1024 * 1024, .write_ms = kLong});
  RawClient silent = server.open("/chat");
  silent.receive_until("chat!");
  RawClient speaker = server.open("/chat");
  speaker.receive_until("chat!");
  constexpr int kMessages = 160;
  std::string expected;
  for (int i = 0; i < kMessages; ++i) {
    const std::string text =
        std::to_string(1000 + i) + std::string(99'985, '.');  // 100,000 with "Broadcast: "
    speaker.send(client_frame(kTextFrame, text));
    expected += "\x81\x7F\x00\x00\x00\x00\x00\x01\x86\xA0"s + "Broadcast: " + text;
  }
  EXPECT_TRUE(silent.receive(expected.size()) == expected) << "each message, in order";
}

// [7692-6.1-PLAIN] The threshold applies to the message with the prefix `Broadcast: `.
TEST(Chat, CompressesOnlyMessagesOfAtLeastTheThreshold) {
  LiveServer server({}, {}, {.is_enabled = true, .threshold = 100});
  const auto join = [&] {
    RawClient client = server.open("/chat", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    client.receive_until("chat!");
    return client;
  };
  RawClient member = join();
  RawClient speaker = join();
  speaker.send(client_frame(kTextFrame, std::string(88, 'x')));
  EXPECT_EQ(member.receive(2), "\x81\x63") << "99 bytes with `Broadcast: `";
  EXPECT_EQ(member.receive(99), "Broadcast: " + std::string(88, 'x'));
  speaker.send(client_frame(kTextFrame, std::string(89, 'x')));
  EXPECT_EQ(member.receive(1), "\xC1") << "100 bytes";
}

}  // namespace
}  // namespace ws
