// A whole server in its own thread, with real sockets and the test's endpoints: guarantees for applications, and how
// connections end. tests/integration tests it with real clients.
#include "server/main/server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/live_server.h"
#include "tests/support/zlib.h"

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
using test::upgrade_request;
using namespace std::string_literals;

// --- The opening handshake

TEST(RequestHead, CanBeSplitAnywhereBetweenReads) {
  const LiveServer server;
  const std::string stream = upgrade_request("/echo") + client_frame(kTextFrame, "hi");
  const std::string answer_end = "\r\n\r\n\x81\x08"s + "Echo: hi";
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    RawClient client = server.connect();
    client.send(stream.substr(0, cut));
    client.send(stream.substr(cut));
    const std::string answer = client.receive_until("Echo: hi");
    ASSERT_TRUE(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with(answer_end))
        << cut << answer;
  }
  RawClient slow = server.connect();
  for (const char c : stream)
    slow.send({&c, 1});
  EXPECT_TRUE(slow.receive_until("Echo: hi").ends_with(answer_end));
}

// [6455-7.2.2-ABORT] [6455-7.1.1-DRAIN]
TEST(Refusal, ReachesAClientThatKeepsSending) {
  const LiveServer server;
  RawClient client = server.connect();
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n");
  // If the server closed its socket with these bytes unread, a reset would discard the answer.
  client.send(std::string(1'000'000, 'x'));
  const std::string answer = client.receive_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 ")) << answer;
  EXPECT_TRUE(client.has_ended_well());
}

TEST(Refusal, KeepsTheSocketOpenUntilTheClientFinishes) {
  const LiveServer server({.drain_ms = 60'000});
  RawClient client = server.connect();
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_TRUE(client.receive_all().starts_with("HTTP/1.1 405 "));
  // If the server had closed its socket, the second send would fail.
  for (int i = 0; i < 1000; ++i)
    ASSERT_TRUE(client.send("x")) << i;
}

// [9110-15.5.9-TIMEOUT]
TEST(RequestHead, IsAnswered408IfItArrivesTooSlowly) {
  const LiveServer server({.handshake_ms = 100});
  RawClient client = server.connect();
  const std::string request = upgrade_request("/echo");
  std::thread trickle([&] {
    for (const char c : request) {
      if (!client.send({&c, 1}))
        return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  const std::string answer = client.receive_all();
  trickle.join();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 408 ")) << answer;
}

// [9110-15.6.4-UNAVAILABLE]
TEST(Connections, OverTheLimitAreAnswered503UntilOneIsClosed) {
  for (const Limits& limits : {Limits{.connections = 2}, Limits{.connections_per_address = 2}}) {
    LiveServer server(limits);
    RawClient first = server.open();
    const RawClient second = server.open();
    RawClient third = server.connect();
    const std::string answer = third.receive_all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 ")) << answer;
    third.close();
    first.close();
    EXPECT_EQ(server.endpoint.diary.lines(3).back(), "closed 1006");
    // The refused connection counts until the server has read its FIN.
    std::string status;
    for (int i = 0; i < 1000 && !status.starts_with("HTTP/1.1 101"); ++i) {
      RawClient fourth = server.connect();
      fourth.send(upgrade_request("/test"));
      status = fourth.receive(12);
    }
    EXPECT_EQ(status, "HTTP/1.1 101");
  }
}

TEST(Connections, AreDroppedIfTooManyOfTheirAddressAreBeingRefused) {
  const LiveServer server({.connections = 8, .connections_per_address = 1, .drain_ms = 60'000});
  const RawClient first = server.open();
  std::vector<RawClient> refused;
  for (int i = 0; i < 4; ++i) {
    refused.push_back(server.connect());
    EXPECT_TRUE(refused.back().receive_all().starts_with("HTTP/1.1 503 "));
  }
  // These four are still draining: the next connection is closed without an answer.
  EXPECT_EQ(server.connect().receive_all(), "");
}

// --- Endpoints

TEST(Endpoint, ReceivesTheOpeningAndCanRefuseIt) {
  LiveServer server({}, {"chat.v2"});
  RawClient refused = server.connect();
  refused.send(upgrade_request("/test", "X-Status: 401\r\n"));
  EXPECT_TRUE(refused.receive_all().starts_with("HTTP/1.1 401 Unauthorized\r\n"));
  RawClient client = server.connect();
  client.send(upgrade_request("/test?a=b", "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n"));
  EXPECT_NE(client.receive_until("\r\n\r\n").find("sec-websocket-protocol: chat.v2\r\n"),
            std::string::npos);
  client.send(client_frame(kTextFrame, "one") + client_frame(kCloseFrame, "\x03\xE8"));
  EXPECT_EQ(server.endpoint.diary.lines(3),
            (Lines{"opened /test?a=b chat.v2", "message one", "closed 1000"}));
}

TEST(Endpoint, IsNotifiedOnceHowASessionEnded) {
  // [6455-7.1.1-FIRST]
  enum class Then { kWait, kFinish, kReset };
  const struct {
    std::string bytes;
    Then then;
    Lines told;          // after "opened"
    std::string answer;  // all that the server sends
  } rows[] = {
      {client_frame(kCloseFrame, "\x03\xE8"), Then::kWait, {"closed 1000"}, "\x88\x02\x03\xE8"},
      {client_frame(kCloseFrame, "\x0F\xA0why"), Then::kWait, {"closed 4000"}, "\x88\x02\x0F\xA0"},
      {client_frame(kCloseFrame, ""), Then::kWait, {"closed 1005"}, "\x88\x00"s},
      {"", Then::kFinish, {"closed 1006"}, ""},
      {client_frame(kTextFrame, "echo"),
       Then::kFinish,
       {"message echo", "closed 1006"},
       "\x81\x04"
       "echo"},
      {"", Then::kReset, {"closed 1006 error"}, ""},
      {"\x81\x01x",
       Then::kWait,
       {"closed 1002 error"},
       "\x88\x21\x03\xEA"
       "a client's frame must be masked"},
      // Messages before an error are answered before the Close is sent.
      {client_frame(kTextFrame, "echo") + "\x81\x01x",
       Then::kWait,
       {"message echo", "closed 1002 error"},
       "\x81\x04"
       "echo\x88\x21\x03\xEA"
       "a client's frame must be masked"},
      // An exception of an endpoint ends its session.
      {client_frame(kTextFrame, "echo") + client_frame(kTextFrame, "throw"),
       Then::kWait,
       {"message echo", "message throw", "closed 1011 error"},
       "\x81\x04"
       "echo\x88\x10\x03\xF3internal error"},
      {client_frame(kTextFrame, "bad_alloc"),
       Then::kWait,
       {"message bad_alloc", "closed 1011 error"},
       "\x88\x10\x03\xF3internal error"},
      // After our Close no message is delivered and none can be sent.
      {client_frame(kTextFrame, "close") + client_frame(kTextFrame, "more") +
           client_frame(kCloseFrame, "\x03\xE8"),
       Then::kWait,
       {"message close", "send refused", "closed 1000"},
       "\x88\x05\x03\xE8"
       "bye"},
  };
  for (const auto& row : rows) {
    LiveServer server;
    RawClient bystander = server.open("/echo");
    RawClient client = server.open();
    client.send(row.bytes);
    if (row.then == Then::kFinish)
      client.finish_writing();
    if (row.then == Then::kReset) {
      client.reset();
    } else {
      EXPECT_EQ(client.receive_all(), row.answer) << row.told.back();
      EXPECT_TRUE(client.has_ended_well()) << "the server closes TCP first, without a reset";
    }
    Lines told = {"opened /test "};
    told.insert(told.end(), row.told.begin(), row.told.end());
    EXPECT_EQ(server.endpoint.diary.lines(told.size()), told);
    bystander.send(client_frame(kTextFrame, "hi"));
    EXPECT_EQ(bystander.receive(10),
              "\x81\x08"
              "Echo: hi")
        << "other sessions go on";
    bystander.close();
    client.close();
    server.stop_and_wait();
    EXPECT_EQ(server.endpoint.diary.lines(told.size()), told) << "closed() is called once";
  }
}

TEST(Endpoint, CanCloseOrThrowInOpened) {
  LiveServer server;
  RawClient closed = server.open("/test", "X-Opened: close\r\n");
  EXPECT_EQ(closed.receive(11),
            "\x88\x09\x0F\xA1"
            "not you");
  RawClient thrown = server.open("/test", "X-Opened: throw\r\n");
  EXPECT_EQ(thrown.receive_all(), "\x88\x10\x03\xF3internal error");
}

TEST(Endpoint, MayThrowInClosedWithoutHarmToOtherSessions) {
  for (const bool is_reset : {true, false}) {
    LiveServer server;
    RawClient bystander = server.open("/echo");
    RawClient client = server.open();
    client.send(client_frame(kTextFrame, "throw when closed"));
    EXPECT_EQ(server.endpoint.diary.lines(2).back(), "message throw when closed");
    if (is_reset)
      client.reset();
    else
      client.send(client_frame(kCloseFrame, "\x03\xE8"));
    EXPECT_EQ(server.endpoint.diary.lines(3).back(),
              is_reset ? "closed 1006 error" : "closed 1000");
    bystander.send(client_frame(kTextFrame, "hi"));
    EXPECT_EQ(bystander.receive(10),
              "\x81\x08"
              "Echo: hi");
  }
}

TEST(Endpoint, IsNotNotifiedOfAnEndedSessionInsideItsOwnCall) {
  LiveServer server({.buffered = 1 << 20});
  RawClient remembered = server.open();
  remembered.send(client_frame(kTextFrame, "remember"));
  server.endpoint.diary.lines(2);
  RawClient client = server.open();
  // Sends to the first client, which does not read, until its session exceeds the budget and ends.
  client.send(client_frame(kTextFrame, "forward"));
  const Lines lines = server.endpoint.diary.lines(5);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[3], "message forward");
  EXPECT_EQ(lines[4], "closed 1006 error");
  remembered.receive_all();
  EXPECT_FALSE(remembered.has_ended_well()) << "a reset: the stream ends in the middle of a frame";
}

// [6455-6.1-TRANSMIT]
TEST(Sending, ReportsThatMoreThanTheHighMarkIsQueued) {
  const Limits limits{.outbox_high = 100'000, .outbox_low = 50'000};
  LiveServer server(limits);
  RawClient client = server.open();
  client.send(client_frame(kTextFrame, "flood"));
  EXPECT_EQ(server.endpoint.diary.lines(3).back(), "over high");
  // All queued messages arrive, including the one that exceeded the high mark.
  const std::size_t frames = static_cast<std::size_t>(server.endpoint.flooded) + 1;
  const std::string all = client.receive(frames * 20'004);
  EXPECT_EQ(all.size(), frames * 20'004);
  EXPECT_EQ(all.substr(all.size() - 20'004, 4), "\x81\x7E\x4E\x20");
}

// The other session has no input whose handling would request EPOLLOUT.
TEST(Sending, FlushesALargeMessageToAnIdleSession) {
  LiveServer server({.handshake_ms = 60'000});  // a shorter timeout would wake the session
  RawClient remembered = server.open();
  remembered.send(client_frame(kTextFrame, "remember"));
  server.endpoint.diary.lines(2);
  RawClient client = server.open();
  client.send(client_frame(kTextFrame, "pass on"));
  server.endpoint.diary.lines(4);
  EXPECT_EQ(remembered.receive(Obedient::kPassedOn + 10).size(), Obedient::kPassedOn + 10);
}

// A message of several fragments is in the connection's buffer, which the next message of the same read reuses.
TEST(Sending, EchoesFragmentedMessagesBeforeTheirMemoryIsReused) {
  const LiveServer server;
  RawClient client = server.open("/echo/raw");
  std::string frames;
  std::string expected;
  for (const char c : {'a', 'b', 'c'}) {
    for (int i = 0; i < 200; ++i)
      frames += client_frame(i == 0 ? 0x01 : 0x00, std::string(100, c));
    frames += client_frame(0x80, "");
    expected += "\x81\x7E\x4E\x20" + std::string(20'000, c);
  }
  client.send(frames);
  EXPECT_TRUE(client.receive(expected.size()) == expected);
}

// --- Reading

// [6455-10.4-SLOW]
TEST(ReadTimeout, ClosesWith1008IfAMessageArrivesTooSlowly) {
  const LiveServer server({.outbox_low = 1000, .read_ms = 100});
  RawClient client = server.open("/echo/raw");
  client.send(client_frame(0x01, "first"));
  std::thread trickle([&] {
    while (client.send(client_frame(0x00, ".")))
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  });
  const std::string close = client.receive_all();
  client.finish_writing();
  trickle.join();
  EXPECT_TRUE(
      close.starts_with("\x88\x20\x03\xF0" + std::string(describe(Error::kMessageTimeout).text)))
      << close;
}

// The fragment follows the request in the same read; nothing follows the fragment.
TEST(ReadTimeout, AppliesToAMessageThatArrivesWithTheRequest) {
  const LiveServer server({.read_ms = 50});
  RawClient client = server.connect();
  client.send(upgrade_request("/echo") + client_frame(0x01, "first"));
  EXPECT_TRUE(client.receive_until("too slowly").ends_with("the message arrives too slowly"));
}

TEST(ReadTimeout, StopsWhenTheMessageIsComplete) {
  const LiveServer server({.read_ms = 500, .ping_ms = 700});
  RawClient client = server.open("/echo/raw");
  client.send(client_frame(0x01, "fir"));
  client.send(client_frame(0x80, "st"));
  EXPECT_EQ(client.receive(7),
            "\x81\x05"
            "first");
  EXPECT_EQ(client.receive(2), "\x89\0"s) << "a ping after the silence, and no Close before it";
}

TEST(ReadTimeout, AllowsAnyNumberOfWindowsWithEnoughBytes) {
  const LiveServer server({.outbox_low = 1, .read_ms = 400});
  RawClient client = server.open("/echo/raw");
  client.send(client_frame(0x01, "a"));
  for (int i = 0; i < 30; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    client.send(client_frame(0x00, "b"));
  }
  client.send(client_frame(0x80, "c"));
  EXPECT_EQ(client.receive(34),
            "\x81\x20"
            "a" +
                std::string(30, 'b') + "c");
}

TEST(Server, ServesOtherSessionsBetweenLargeCompressedMessages) {
  LiveServer server({}, {}, {.is_enabled = true});
  RawClient loud = server.open("/test", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  RawClient quiet = server.open();
  test::PeerDeflater deflater;
  std::string frames = client_frame(kTextFrame, "halt");
  for (int i = 0; i < 4; ++i) {
    constexpr unsigned kCompressedText = 0xC1;
    frames += client_frame(kCompressedText, deflater.message(std::string(3 << 20, 'x')));
  }
  loud.send(frames);  // one read
  server.endpoint.is_halted.wait(false);
  quiet.send(client_frame(kTextFrame, "quiet"));
  loud.send(client_frame(kTextFrame, "last"));  // a second read
  server.endpoint.is_halted = false;
  server.endpoint.is_halted.notify_all();
  const Lines lines = server.endpoint.diary.lines(9);
  ASSERT_EQ(lines.size(), 9U);
  EXPECT_EQ(std::ranges::count(lines, "message " + std::string(20, 'x')), 4);
  EXPECT_LE(std::ranges::find(lines, "message quiet") - lines.begin(), 5)
      << "after at most two of the four large messages";
  EXPECT_EQ(lines.back(), "message last") << "after the messages of the first read";
}

// --- Backpressure

TEST(Backpressure, KeepsEveryByteInOrder) {
  const LiveServer server({.outbox_high = 65'536, .outbox_low = 1});
  RawClient client = server.open("/echo/raw");
  // About 16 MB: more than the kernel's buffers of both directions hold while the client does not read.
  std::string sent;
  std::string expected;
  for (std::size_t i = 0; i < 200'000; ++i) {
    const std::string payload = std::to_string(i) + std::string(i % 120, '.');
    sent += client_frame(kTextFrame, payload);
    expected += "\x81";
    expected += static_cast<char>(payload.size());
    expected += payload;
  }
  std::thread sender([&] { EXPECT_TRUE(client.send(sent)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const std::string received = client.receive(expected.size());
  sender.join();
  EXPECT_TRUE(received == expected)
      << received.size() << " of " << expected.size() << " bytes, the first that differs at "
      << std::ranges::mismatch(received, expected).in1 - received.begin();
}

TEST(StalledWrite, ResetsTheConnection) {
  LiveServer server({.write_ms = 100});
  RawClient client = server.open();
  client.send(client_frame(kTextFrame, "flood"));
  const Lines lines = server.endpoint.diary.lines(4);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(lines[3], "closed 1006 error");
  client.receive_all();
  EXPECT_FALSE(client.has_ended_well());
}

// --- Closing

TEST(CloseTimeout, EndsTheConnectionIfTheCloseIsNotAnswered) {
  LiveServer server({.close_ms = 50, .drain_ms = 50});
  RawClient client = server.open();
  client.send(client_frame(kTextFrame, "close"));
  EXPECT_EQ(client.receive_all(),
            "\x88\x05\x03\xE8"
            "bye");
  EXPECT_TRUE(client.has_ended_well());
  EXPECT_EQ(server.endpoint.diary.lines(4).back(), "closed 1006");
}

// [6455-5.5.2-PING]
TEST(KeepAlive, PingsAfterSilenceAndResetsWithoutAPong) {
  LiveServer server({.ping_ms = 50, .pong_ms = 150});
  RawClient client = server.open();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(client.receive(2), "\x89\x00"s) << i;
    client.send(client_frame(kPongFrame, ""));
  }
  EXPECT_EQ(client.receive_all(), "\x89\x00"s);
  EXPECT_FALSE(client.has_ended_well());
  EXPECT_EQ(server.endpoint.diary.lines(2).back(), "closed 1006 error");
}

// A quiet session does not set its timer for each event; the timers of the head and of the pong would fire too late.
TEST(KeepAlive, PingsOnTimeAfterWaitsWithLongerTimeouts) {
  LiveServer server({.handshake_ms = 600'000, .ping_ms = 50, .pong_ms = 600'000});
  RawClient client = server.open();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.receive(2), "\x89\x00"s) << i;
    client.send(client_frame(kPongFrame, ""));
  }
}

// --- Stopping

// [6455-7.3-STOP]
TEST(Stopping, SendsCloseAndRefusesNewConnectionsUntilAllSessionsEnd) {
  LiveServer server({.drain_ms = 60'000});
  RawClient client = server.open();
  server.stop();
  EXPECT_EQ(client.receive(26), "\x88\x18\x03\xE9the server is stopping");
  const auto expect_503 = [&](std::string_view path) {
    RawClient newcomer = server.connect();
    newcomer.send(upgrade_request(path));
    EXPECT_TRUE(newcomer.receive_all().starts_with("HTTP/1.1 503 ")) << path;
  };
  for (const std::string_view path : {"/test", "/healthz", "/"})
    expect_503(path);
  EXPECT_EQ(server.exit_status, -1) << "the server still runs";
  client.send(client_frame(kCloseFrame, "\x03\xE9"));
  EXPECT_EQ(client.receive_all(), "");
  EXPECT_TRUE(client.has_ended_well());
  expect_503("/healthz");  // the client has not sent its FIN
  client.close();
  server.stop_and_wait();
  EXPECT_EQ(server.exit_status, 0);
  EXPECT_EQ(server.endpoint.diary.lines(2).back(), "closed 1001");
}

TEST(Stopping, EndsAtTheStopTimeout) {
  LiveServer server({.close_ms = 3'600'000, .stop_ms = 100});
  RawClient client = server.open();
  server.stop_and_wait();
  EXPECT_EQ(server.exit_status, 0);
}

// --- Several loops

/// An endpoint for one loop. Records the threads that call it.
class Lonely final : public Endpoint {
 public:
  void message(Session& session, Opcode opcode, std::span<std::byte> payload) override {
    threads.insert(std::this_thread::get_id());
    session.send(opcode, {payload});
  }
  std::set<std::thread::id> threads;
};

TEST(Loops, UseTheirOwnEndpointsOrShareOne) {
  Obedient shared;
  std::vector<Lonely*> made;
  Server server({.addresses = {*SocketAddress::parse("127.0.0.1", 0)}, .threads = 3});
  server.add("/shared", shared);
  server.add("/lonely", [&made] {
    auto endpoint = std::make_unique<Lonely>();
    made.push_back(endpoint.get());
    return endpoint;
  });
  ASSERT_EQ(made.size(), 3U);
  ASSERT_FALSE(server.listen());
  std::thread thread([&] { EXPECT_EQ(server.run(), 0); });
  {
    std::vector<RawClient> clients;
    for (int i = 0; i < 100; ++i) {
      RawClient& client = clients.emplace_back(server.address());
      client.send(upgrade_request("/lonely") + client_frame(kTextFrame, "hi"));
      EXPECT_TRUE(client.receive_until("\x81\x02hi").starts_with("HTTP/1.1 101 "));
    }
    RawClient& client = clients.emplace_back(server.address());
    client.send(upgrade_request("/shared") + client_frame(kTextFrame, "echo"));
    EXPECT_TRUE(
        client.receive_until("echo").ends_with("\x81\x04"
                                               "echo"));
  }
  server.stop();
  thread.join();
  std::set<std::thread::id> all;
  for (const Lonely* const endpoint : made) {
    EXPECT_EQ(endpoint->threads.size(), 1U) << "used by exactly one loop";
    all.merge(std::set(endpoint->threads));
  }
  EXPECT_EQ(all.size(), 3U);
}

TEST(Loops, StopTogetherIfSeveralThreadsCallStop) {
  Server server({.addresses = {*SocketAddress::parse("127.0.0.1", 0)}, .threads = 4});
  server.add_echo_and_chat();
  ASSERT_FALSE(server.listen());
  std::thread thread([&] { EXPECT_EQ(server.run(), 0); });
  std::vector<RawClient> clients;
  for (int i = 0; i < 40; ++i) {
    RawClient& client = clients.emplace_back(server.address());
    client.send(upgrade_request("/chat"));
    client.receive_until("chat!");
  }
  std::vector<std::thread> askers;
  for (int i = 0; i < 3; ++i)
    askers.emplace_back([&] { server.stop(); });
  for (RawClient& client : clients)
    EXPECT_EQ(client.receive(26), "\x88\x18\x03\xE9the server is stopping");
  for (RawClient& client : clients) {
    client.send(client_frame(kCloseFrame, "\x03\xE9"));
    EXPECT_EQ(client.receive_all(), "");
    EXPECT_TRUE(client.has_ended_well());
  }
  clients.clear();
  for (std::thread& asker : askers)
    asker.join();
  thread.join();
}

TEST(Loops, ReportAnAddressInUse) {
  const LiveServer other;
  Server server({.addresses = {other.address()}, .threads = 2});
  EXPECT_EQ(server.listen(), std::errc::address_in_use);
}

// --- Memory

TEST(Budget, ClosesASlowReaderWith1013AndServesTheOthers) {
  LiveServer server({.outbox_high = 1 << 30, .buffered = 1 << 20, .drain_ms = 10'000});
  RawClient slow = server.open("/echo/raw");
  RawClient quick = server.open("/echo");
  // More than the kernel's buffers and the budget hold. Sending stops at the first error.
  std::string frames;
  for (int i = 0; i < 1000; ++i)
    frames += client_frame(kTextFrame, std::string(120, 'x'));
  std::thread sender([&] {
    for (int i = 0; i < 400 && slow.send(frames); ++i) {
    }
  });
  for (int i = 0; i < 100; ++i) {
    quick.send(client_frame(kTextFrame, "hi"));
    ASSERT_EQ(quick.receive(10),
              "\x81\x08"
              "Echo: hi");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const std::string all = slow.receive_all();
  sender.join();
  const std::string_view reason = describe(Error::kOverBudget).text;
  EXPECT_TRUE(all.ends_with("\x88" + std::string(1, static_cast<char>(2 + reason.size())) +
                            "\x03\xF5" + std::string(reason)))
      << all.size();
}

// --- Routes

TEST(Routes, AreOnlyThoseThatTheApplicationAdds) {
  Obedient mine;
  Server server({.addresses = {*SocketAddress::parse("127.0.0.1", 0)}});
  server.add("/echo", mine);
  ASSERT_FALSE(server.listen());
  std::thread thread([&] { server.run(); });
  {
    RawClient client(server.address());
    client.send(upgrade_request("/echo") + client_frame(kTextFrame, "echo of mine"));
    EXPECT_TRUE(
        client.receive_until("mine").ends_with("\x81\x0C"
                                               "echo of mine"));
    RawClient other(server.address());
    other.send(upgrade_request("/chat"));
    EXPECT_TRUE(other.receive_all().starts_with("HTTP/1.1 404 "));
  }
  server.stop();
  thread.join();
}

}  // namespace
}  // namespace ws
