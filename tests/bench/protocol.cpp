// bench_protocol [--benchmark_filter=REGEX]: measures single parts with Google Benchmark. It sets no limits.
// memcpy is the reference for masking and UTF-8, which access each byte once as well.
#include <benchmark/benchmark.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frame/connection.h"
#include "protocol/frame/frame.h"
#include "protocol/frame/mask.h"
#include "protocol/frame/utf8.h"
#include "protocol/http/handshake.h"
#include "protocol/http/http_message.h"
#include "protocol/output.h"
#include "server/app/room.h"
#include "server/http/router.h"
#include "server/session/session.h"
#include "server/session/session_table.h"
#include "tests/support/client.h"
#include "tests/support/hall.h"

namespace ws {
namespace {

using benchmark::State;
using test::Hall;
using Bytes = std::vector<std::byte>;

constexpr MaskingKey kKey{std::byte{0x37}, std::byte{0xFA}, std::byte{0x21}, std::byte{0x3D}};
/// Small messages; then sizes that fit in the first cache, in the second, and in neither.
constexpr std::int64_t kSizes[] = {20, 1 << 10, 16 << 10, 64 << 10, 8 << 20};

void sizes(benchmark::internal::Benchmark* benchmark) {
  for (const std::int64_t size : kSizes)
    benchmark->Arg(size);
}

std::size_t size_of(const State& state) {
  return static_cast<std::size_t>(state.range(0));
}

void count_bytes(State& state) {
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

/// `text`, repeated to `size` bytes; blanks replace a part of it at the end.
Bytes repeated(std::string_view text, std::size_t size) {
  Bytes bytes(size, std::byte{' '});
  for (std::size_t i = 0; i + text.size() <= size; i += text.size())
    std::memcpy(bytes.data() + i, text.data(), text.size());
  return bytes;
}

void copy(State& state) {
  const Bytes from = repeated("memcpy", size_of(state));
  Bytes to(from.size());
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::DoNotOptimize(to.data());
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}
BENCHMARK(copy)->Name("memcpy")->Apply(sizes);

// --- masking

void mask(State& state) {
  Bytes bytes(size_of(state));
  for (auto _ : state) {
    apply_mask(bytes, kKey);
    benchmark::DoNotOptimize(bytes.data());
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}
BENCHMARK(mask)->Apply(sizes);

// --- UTF-8; and the general path, byte by byte

constexpr std::string_view kAscii = "the quick brown fox jumps over the lazy dog ";
constexpr std::string_view kLatin = "größere Übel ";
constexpr std::string_view kChinese = "字节在此";
constexpr std::string_view kMixed = "é字a😀 ";

void utf8(State& state, std::string_view text) {
  const Bytes bytes = repeated(text, size_of(state));
  for (auto _ : state)
    benchmark::DoNotOptimize(is_utf8(bytes));
  count_bytes(state);
}
BENCHMARK_CAPTURE(utf8, ascii, kAscii)->Apply(sizes);
BENCHMARK_CAPTURE(utf8, latin, kLatin)->Apply(sizes);
BENCHMARK_CAPTURE(utf8, chinese, kChinese)->Apply(sizes);
BENCHMARK_CAPTURE(utf8, mixed, kMixed)->Apply(sizes);

void utf8_by_bytes(State& state, std::string_view text) {
  const Bytes bytes = repeated(text, size_of(state));
  for (auto _ : state) {
    Utf8Validator validator;
    bool is_accepted = true;
    for (const std::byte byte : bytes)
      is_accepted = is_accepted && validator.accept(byte);
    benchmark::DoNotOptimize(is_accepted);
  }
  count_bytes(state);
}
BENCHMARK_CAPTURE(utf8_by_bytes, ascii, kAscii)->Arg(64 << 10);
BENCHMARK_CAPTURE(utf8_by_bytes, latin, kLatin)->Arg(64 << 10);
BENCHMARK_CAPTURE(utf8_by_bytes, chinese, kChinese)->Arg(64 << 10);
BENCHMARK_CAPTURE(utf8_by_bytes, mixed, kMixed)->Arg(64 << 10);

// --- the frame header

constexpr std::uint64_t kLengths[] = {20, 1 << 10, 1 << 16};  // each of the three forms

void parse_header(State& state) {
  FrameHeader header;
  header.masked = true;
  header.masking_key = kKey;
  header.payload_length = size_of(state);
  std::array<std::byte, kMaxHeaderSize> bytes{};
  serialize_frame_header(header, bytes);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bytes.data());
    benchmark::DoNotOptimize(parse_frame_header(bytes, Role::kServer, header));
    benchmark::DoNotOptimize(header);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(parse_header)->Arg(kLengths[0])->Arg(kLengths[1])->Arg(kLengths[2]);

void serialize_header(State& state) {
  FrameHeader header;
  header.payload_length = size_of(state);
  std::array<std::byte, kMaxHeaderSize> bytes{};
  for (auto _ : state) {
    benchmark::DoNotOptimize(header);
    benchmark::DoNotOptimize(serialize_frame_header(header, bytes));
    benchmark::DoNotOptimize(bytes);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(serialize_header)->Arg(kLengths[0])->Arg(kLengths[1])->Arg(kLengths[2]);

// --- the opening handshake: a head to its 101

void upgrade(State& state) {
  const std::string head = test::upgrade_request("/echo/raw");
  const Limits limits;
  HttpRequest request;
  Output out;
  for (auto _ : state) {
    request.reset();
    if (request.parse(head, limits) != HttpHead::Status::kComplete) {
      state.SkipWithError("the head is not complete");
      break;
    }
    write_switching_protocols(validate_upgrade(request, {}), "", out);
    benchmark::DoNotOptimize(out.size());
    out.clear();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(upgrade);

// --- next, on one read with 64 messages; and the same with an echo of each

constexpr int kPipelined = 64;

/// Binary frames: they are unmasked in place, so that the payload differs in the next iteration.
Bytes pipelined(std::size_t size) {
  FrameHeader header;
  header.opcode = Opcode::kBinary;
  header.masked = true;
  header.masking_key = kKey;
  header.payload_length = size;
  std::array<std::byte, kMaxHeaderSize> head{};
  const std::size_t head_size = serialize_frame_header(header, head);
  Bytes bytes;
  for (int i = 0; i < kPipelined; ++i) {
    bytes.insert(bytes.end(), head.begin(), head.begin() + static_cast<std::ptrdiff_t>(head_size));
    bytes.resize(bytes.size() + size);
  }
  return bytes;
}

void next(State& state, bool answers) {
  Bytes bytes = pipelined(size_of(state));
  const ConnectionSettings settings;
  Connection connection(settings);
  Output out;
  for (auto _ : state) {
    std::span<std::byte> in = bytes;
    int messages = 0;
    for (Event event = connection.next(in, out); event.type != Event::Type::kNeedMore;
         event = connection.next(in, out)) {
      ++messages;
      if (answers)
        connection.send(Opcode::kBinary, {event.payload}, out);
    }
    if (messages != kPipelined) {
      state.SkipWithError("not all messages were received");
      break;
    }
    benchmark::DoNotOptimize(out.size());
    out.clear();
  }
  state.SetItemsProcessed(state.iterations() * kPipelined);
}
BENCHMARK_CAPTURE(next, only, false)->Arg(20)->Arg(125)->Arg(1 << 10);
BENCHMARK_CAPTURE(next, and_echo, true)->Arg(20)->Arg(125)->Arg(1 << 10);

// --- fan-out: a batch of a room, sent to each member on a socket pair. An item is a delivery.

struct Member {
  Session* session;
  Fd peer;

  /// Reads and discards all received bytes.
  void drain() const {
    std::array<char, 65536> part;
    while (::recv(peer.get(), part.data(), part.size(), MSG_DONTWAIT) > 0) {
    }
  }
};

void fan_out(State& state) {
  const auto speakers = static_cast<std::size_t>(state.range(0));
  const auto size = static_cast<std::uint32_t>(state.range(1));
  Router router({}, {});
  const Limits limits;
  Budgets budgets(limits);
  SessionContext context(limits, router, budgets);
  SessionTable table;
  RoomParts parts;
  Room room(parts, context, table);
  Hall hall(room);
  router.add("/hall", hall);
  std::vector<Member> members(size);
  for (std::uint32_t i = 0; i < size; ++i) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) != 0)
      return state.SkipWithError("cannot create a socket pair");
    members[i].peer = Fd(ends[1]);
    const EventLoop::Token token = table.next_token();
    table.put(std::make_unique<Session>(context, Fd(ends[0]), token, ConnectionCount::kNotCounted));
    members[i].session = table.find(token);
    const std::string request = test::upgrade_request("/hall");
    if (members[i].session->start() ||
        ::send(ends[1], request.data(), request.size(), 0) !=
            static_cast<ssize_t>(request.size()) ||
        !members[i].session->on_ready(1)) {
      return state.SkipWithError("cannot open a session");
    }
    members[i].drain();
  }
  constexpr std::string_view kText = "twenty bytes of text";
  for (auto _ : state) {
    for (std::size_t i = 0; i < speakers; ++i) {
      if (!room.broadcast(*members[i].session, Opcode::kText, {std::as_bytes(std::span(kText))}))
        return state.SkipWithError("broadcast failed");
    }
    room.end_iteration();
    state.PauseTiming();
    for (const Member& member : members)
      member.drain();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0) * (state.range(1) - 1));
}
BENCHMARK(fan_out)
    ->ArgNames({"speakers", "members"})
    ->Args({1, 100})
    ->Args({20, 100})
    ->Args({100, 100});

}  // namespace
}  // namespace ws
