// The wire log without a server: bytes in, lines out, and how it behaves when memory runs out. See also
// tests/integration/wire_log_test.py.
#include "server/inspect/wire_log.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "server/log/log.h"
#include "server/net/fd.h"
#include "tests/support/bytes.h"

namespace {

/// Number of allocations in this thread before one fails; negative: none fails.
thread_local long allocations_left = -1;
/// Bytes that this thread has allocated and not freed.
thread_local std::size_t bytes_held = 0;

}  // namespace

// These replace the operators of the whole program; see tests/protocol/out_of_memory_test.cpp.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left >= 0 && allocations_left-- == 0)
    throw std::bad_alloc();
  if (void* p = std::malloc(size == 0 ? 1 : size)) {
    bytes_held += ::malloc_usable_size(p);
    return p;
  }
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  bytes_held -= ::malloc_usable_size(p);
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t /*size*/) noexcept {
  operator delete(p);
}

namespace ws::test {
namespace {

/// Collects the lines that are logged while it exists, without time and level.
class LoggedLines {
 public:
  LoggedLines() : file_(::memfd_create("log", MFD_CLOEXEC)), saved_(::dup(STDERR_FILENO)) {
    ::dup2(file_.get(), STDERR_FILENO);
    start_log(LogLevel::kInfo, LogFormat::kText);
  }
  ~LoggedLines() { end(); }
  LoggedLines(const LoggedLines&) = delete;
  LoggedLines& operator=(const LoggedLines&) = delete;

  std::vector<std::string> end() {
    if (!saved_.is_open())
      return {};
    stop_log();
    ::dup2(saved_.get(), STDERR_FILENO);
    saved_.reset();
    std::string text(static_cast<std::size_t>(::lseek(file_.get(), 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(file_.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
      lines.push_back(line.substr(line.find(": ") + 2));
    return lines;
  }

 private:
  Fd file_;
  Fd saved_;
};

const SocketAddress kClient = *SocketAddress::parse("192.0.2.7", 53522);
const SocketAddress kServer = *SocketAddress::parse("127.0.0.1", 8080);
const std::string kUp = "wire 0000000a 192.0.2.7:53522 → 127.0.0.1:8080 ";
const std::string kDown = "wire 0000000a 127.0.0.1:8080 → 192.0.2.7:53522 ";

const Bytes kRequest = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";  // 47 bytes
const Bytes kSwitching = "HTTP/1.1 101 Switching Protocols\r\n\r\n";               // 36 bytes
const Bytes kPing = hex("89 80 37 fa 21 3d");
const Bytes kPong = hex("8a 00");

/// Reports the first `size` bytes of the pieces as sent. Allocates nothing.
void send(WireLog& wire, std::uint32_t session, std::initializer_list<std::string_view> pieces,
          std::size_t size) {
  std::array<iovec, 3> vectors{};
  std::ranges::transform(pieces, vectors.begin(), [](std::string_view piece) {
    return iovec{const_cast<char*>(piece.data()), piece.size()};
  });
  wire.sent(session, std::span(vectors).first(pieces.size()), size);
}

TEST(WireLog, LogsOnlyBytesThatWereSent) {
  LoggedLines logged;
  WireLog wire(false);
  wire.opened(10, kClient, kServer);
  wire.received(10, as_span(kRequest));
  send(wire, 10, {kSwitching, kPong, hex("81 02") + "hi"}, 39);  // and one byte of the text
  wire.received(10, {});                                         // no bytes
  send(wire, 10, {hex("02") + "hi", "never sent"}, 3);
  wire.sent_fin(10);
  wire.received(10, as_span(kPing + kPing.substr(0, 3)));
  wire.closed(10);
  EXPECT_EQ(logged.end(),
            (std::vector<std::string>{
                kUp + "Seq=1 Len=47 GET / HTTP/1.1",
                kDown + "Seq=1 Len=36 HTTP/1.1 101 Switching Protocols",
                kDown + "Seq=37 Len=2 WebSocket Pong [FIN] Fin=1 Reserved=0x0 Opcode=10 Mask=0 "
                        "Payload length=0",
                kDown + "Seq=39 Len=4 WebSocket Text [FIN] Fin=1 Reserved=0x0 Opcode=1 Mask=0 "
                        "Payload length=2 Text=\"hi\"",
                kDown + "Seq=43 Len=0 [FIN, ACK]",
                kUp + "Seq=48 Len=6 WebSocket Ping [FIN] [MASKED] Fin=1 Reserved=0x0 Opcode=9 "
                      "Mask=1 Payload length=0 Masking-Key=37fa213d",
                kUp + "Seq=54 Len=3 WebSocket, incomplete header"}));
}

TEST(WireLog, DistinguishesOurResetFromThePeersResetAndOtherErrors) {
  LoggedLines logged;
  WireLog wire(false);
  wire.opened(10, kClient, kServer);
  send(wire, 10, {kSwitching + hex("81")}, 37);
  wire.reset(10);
  wire.lost(10, std::make_error_code(std::errc::connection_reset));
  wire.lost(10, std::make_error_code(std::errc::broken_pipe));
  wire.closed(10);
  wire.lost(10, std::make_error_code(std::errc::broken_pipe));
  wire.received(11, as_span(kRequest));  // a session that was not opened
  EXPECT_EQ(logged.end(),
            (std::vector<std::string>{kDown + "Seq=1 Len=36 HTTP/1.1 101 Switching Protocols",
                                      kDown + "Seq=37 Len=1 WebSocket, incomplete header",
                                      kDown + "Seq=38 Len=0 [RST, ACK]", kUp + "[RST]",
                                      kUp + "connection lost: Broken pipe"}));
}

TEST(WireLog, LogsPartialFramesOfAllSessionsWhenTheServerStops) {
  LoggedLines logged;
  WireLog wire(false);
  wire.opened(10, kClient, kServer);
  send(wire, 10, {kSwitching + hex("81")}, 37);
  wire.end();
  wire.closed(10);
  EXPECT_EQ(logged.end(),
            (std::vector<std::string>{kDown + "Seq=1 Len=36 HTTP/1.1 101 Switching Protocols",
                                      kDown + "Seq=37 Len=1 WebSocket, incomplete header"}));
}

TEST(WireLog, ParsesNoFramesAfterARefusedUpgrade) {
  LoggedLines logged;
  WireLog wire(false);
  wire.opened(10, kClient, kServer);
  wire.received(10, as_span(kRequest + kPing + kPing.substr(0, 1)));
  const Bytes refusal = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
  send(wire, 10, {refusal}, refusal.size());
  wire.received(10, as_span(kPing));
  const auto lines = logged.end();
  ASSERT_EQ(lines.size(), 6U);
  EXPECT_TRUE(lines[1].starts_with(kUp + "Seq=48 Len=6 WebSocket Ping ")) << lines[1];
  EXPECT_TRUE(lines[2].starts_with(kDown + "Seq=1 Len=45 HTTP/1.1 404 ")) << lines[2];
  EXPECT_EQ(lines[3], kUp + "Seq=54 Len=1 WebSocket, incomplete header");
  EXPECT_TRUE(lines[4].starts_with(kUp + "Seq=55 Len=1 \\x89 malformed: ")) << lines[4];
  EXPECT_EQ(lines[5], kUp + "Seq=56 Len=5 data");
}

TEST(WireLog, ShowsARequestAfterARefusedUpgrade) {
  LoggedLines logged;
  WireLog wire(false);
  wire.opened(10, kClient, kServer);
  wire.received(10, as_span(kRequest));
  const Bytes interim = "HTTP/1.1 100 Continue\r\n\r\n";
  send(wire, 10, {interim}, interim.size());
  wire.received(10, as_span(kPing));  // not refused yet
  const Bytes refusal = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n";
  send(wire, 10, {refusal}, refusal.size());
  wire.received(10, as_span("GET /next HTTP/1.1\r\nHost: a\r\n\r\n"));
  const auto lines = logged.end();
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_TRUE(lines[2].starts_with(kUp + "Seq=48 Len=6 WebSocket Ping ")) << lines[2];
  EXPECT_EQ(lines[4], kUp + "Seq=54 Len=31 GET /next HTTP/1.1");
}

TEST(WireLog, CountsTheItemsOverTheLimitOfOneCall) {
  for (const bool has_hex : {false, true}) {
    LoggedLines logged;
    WireLog wire(has_hex);
    wire.opened(10, kClient, kServer);
    wire.received(10, as_span(kRequest));
    Bytes flood;
    for (int i = 0; i < 50'000; ++i)
      flood += kPing;
    wire.received(10, as_span(flood));
    wire.received(10, as_span(kPing));  // another call
    const auto lines = logged.end();
    const std::size_t lines_of_a_ping = has_hex ? 7 : 1;
    const std::size_t listed = (WireLog::kLinesOfACall + lines_of_a_ping - 1) / lines_of_a_ping;
    const std::string rest = kUp + "Seq=" + std::to_string(48 + listed * 6) +
                             " Len=" + std::to_string((50'000 - listed) * 6) + " " +
                             std::to_string(50'000 - listed) + " more items, not shown";
    ASSERT_GT(lines.size(), listed * lines_of_a_ping + 2);
    const std::size_t at = lines.size() - lines_of_a_ping - 1;
    EXPECT_EQ(lines[at], rest);
    EXPECT_TRUE(lines[at + 1].starts_with(kUp + "Seq=300048 Len=6 WebSocket Ping "))
        << lines[at + 1];
  }
}

TEST(WireLog, UsesLittleMemoryPerSessionAndFreesItsHeads) {
  const Bytes field = "A: " + Bytes(8'000, 'x') + "\r\n";
  const Bytes request = "GET / HTTP/1.1\r\n" + field + field + field;
  const Bytes rest = "Upgrade: websocket\r\nHost: a\r\n\r\n";
  const Bytes answer = "HTTP/1.1 101 Switching Protocols\r\n" + field + "\r\n";
  const Bytes message = hex("82 7e ea 60") + Bytes(60'000, 'x');
  const Bytes begun = hex("82 7f 00 00 00 00 ff ff ff ff") + Bytes(100'000, 'x');
  WireLog wire(false);
  wire.opened(11, kClient, kServer);  // so that the table is allocated
  const std::size_t before = bytes_held;
  wire.opened(10, kClient, kServer);
  EXPECT_LT(bytes_held - before, 3U * 1024) << "a session without bytes";
  wire.received(10, as_span(request));
  EXPECT_GT(bytes_held - before, 24U * 1024) << "an incomplete head";
  EXPECT_LT(bytes_held - before, 80U * 1024);
  wire.received(10, as_span(rest));
  EXPECT_LT(bytes_held - before, 3U * 1024) << "a complete head";
  send(wire, 10, {answer}, answer.size());
  EXPECT_LT(bytes_held - before, 3U * 1024) << "an answered head";
  for (int i = 0; i < 3; ++i) {
    wire.received(10, as_span(message));
    send(wire, 10, {message}, message.size());
  }
  wire.received(10, as_span(begun));
  EXPECT_LT(bytes_held - before, 8U * 1024) << "messages";
  wire.closed(10);
  EXPECT_EQ(bytes_held, before);
}

TEST(WireLog, LogsTheBytesBelowEachLineIfEnabled) {
  LoggedLines logged;
  WireLog wire(true);
  wire.opened(10, kClient, kServer);
  send(wire, 10, {kSwitching, kPong}, 38);
  const auto lines = logged.end();
  ASSERT_EQ(lines.size(), 1U + 2U + 1U + 5U);
  EXPECT_EQ(lines[1], "wire 0000000a   0000  HTTP/1.1 101 Switching Protocols\\r\\n");
  EXPECT_EQ(lines[4], "wire 0000000a   0000  8a                       1... .... = Fin: True");
}

TEST(WireLog, StopsLoggingOnlyTheSessionThatRunsOutOfMemory) {
  int given_up = 0;
  bool was_enough = false;
  for (long allocations = 0; !was_enough && !HasFailure(); ++allocations) {
    LoggedLines logged;
    WireLog wire(true);
    wire.opened(11, kClient, kServer);
    wire.received(11, as_span(kRequest));
    allocations_left = allocations;
    wire.opened(10, kClient, kServer);
    wire.received(10, as_span(kRequest));
    send(wire, 10, {kSwitching, kPong, "\x8a"}, 39);
    wire.lost(10, std::make_error_code(std::errc::connection_reset));
    wire.closed(10);
    was_enough = allocations_left >= 0;
    allocations_left = -1;
    wire.received(11, as_span(kPing));
    const auto lines = logged.end();
    ASSERT_EQ(std::ranges::count_if(
                  lines,
                  [](const std::string& line) { return line.find("WebSocket Ping") != line.npos; }),
              1)
        << "the other session, allocation " << allocations;
    for (const std::string& line : lines)
      given_up += line.ends_with("out of memory") ? 1 : 0;
  }
  EXPECT_GT(given_up, 20) << "lines, names and streams are allocated";
}

}  // namespace
}  // namespace ws::test
