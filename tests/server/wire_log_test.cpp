// The wire log at its seam: bytes in, lines out, and what it does without memory. What it says of a server's
// sessions is tested on the wire: tests/integration/wire_log_test.py.
#include "server/wire_log.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <new>
#include <sstream>
#include <string>
#include <vector>

#include "server/fd.h"
#include "server/log.h"
#include "tests/support/bytes.h"

namespace {

/// How many allocations of this thread from now on succeed before one fails; negative: all do.
thread_local long allocations_left = -1;

}  // namespace

// The whole program's; see tests/protocol/out_of_memory_test.cpp.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left >= 0 && allocations_left-- == 0)
    throw std::bad_alloc();
  if (void* p = std::malloc(size == 0 ? 1 : size))
    return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t /*size*/) noexcept {
  std::free(p);
}

namespace ws::test {
namespace {

/// The log's lines, without time and level, of all that is logged while it exists.
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

/// The first `size` bytes of the pieces leave. It allocates nothing.
void send(WireLog& wire, std::uint32_t session, std::initializer_list<std::string_view> pieces,
          std::size_t size) {
  std::array<iovec, 3> vectors{};
  std::ranges::transform(pieces, vectors.begin(), [](std::string_view piece) {
    return iovec{const_cast<char*>(piece.data()), piece.size()};
  });
  wire.sent(session, std::span(vectors).first(pieces.size()), size);
}

TEST(WireLog, LogsWhatTheSocketReallyTook) {
  LoggedLines logged;
  WireLog wire(false);
  wire.opened(10, kClient, kServer);
  wire.received(10, as_span(kRequest));
  send(wire, 10, {kSwitching, kPong, hex("81 02") + "hi"}, 39);  // and one byte of the text
  wire.received(10, {});                                         // nothing came
  send(wire, 10, {hex("02") + "hi", "never sent"}, 3);
  wire.finished(10, Sender::kServer);
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
                kUp + "Seq=54 Len=3 WebSocket, header cut"}));
}

TEST(WireLog, TellsAResetOfOursFromOneOfThePeersAndFromOtherErrors) {
  LoggedLines logged;
  WireLog wire(false);
  wire.opened(10, kClient, kServer);
  send(wire, 10, {kSwitching + hex("81")}, 37);
  wire.reset(10);
  wire.lost(10, std::make_error_code(std::errc::connection_reset));
  wire.lost(10, std::make_error_code(std::errc::broken_pipe));
  wire.closed(10);
  wire.lost(10, std::make_error_code(std::errc::broken_pipe));
  wire.received(11, as_span(kRequest));  // a session that nobody opened
  EXPECT_EQ(logged.end(),
            (std::vector<std::string>{kDown + "Seq=1 Len=36 HTTP/1.1 101 Switching Protocols",
                                      kDown + "Seq=37 Len=1 WebSocket, header cut",
                                      kDown + "Seq=38 Len=0 [RST, ACK]", kUp + "[RST]",
                                      kUp + "lost: Broken pipe"}));
}

TEST(WireLog, LogsTheBytesBelowIfAskedTo) {
  LoggedLines logged;
  WireLog wire(true);
  wire.opened(10, kClient, kServer);
  send(wire, 10, {kSwitching, kPong}, 38);
  const auto lines = logged.end();
  ASSERT_EQ(lines.size(), 1U + 2U + 1U + 5U);
  EXPECT_EQ(lines[1], "wire 0000000a   0000  HTTP/1.1 101 Switching Protocols\\r\\n");
  EXPECT_EQ(lines[4], "wire 0000000a   0000  8a                       1... .... = Fin: True");
}

TEST(WireLog, GivesUpASessionForWhichThereIsNoMemoryAndGoesOnWithTheOthers) {
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
