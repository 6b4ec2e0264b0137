// The way in which bytes are split into reads must not change the result.
//
// Tests random streams, from a fixed seed, in random chunks. Valid streams consist of known messages; for damaged
// streams, all chunkings must only agree.
#include <gtest/gtest.h>

#include "protocol/http/http_message.h"
#include "tests/support/dice.h"
#include "tests/support/stream.h"
#include "tests/support/zlib.h"

namespace ws::test {
namespace {

Bytes random_text(Dice& dice) {
  const std::string_view characters[] = {"a", "Hello, world", "é", "€", "😀", " "};
  Bytes text;
  for (std::size_t n = dice.below(dice.one_in(8) ? 120 : 12); n > 0; --n) {
    text += characters[dice.below(std::size(characters))];
  }
  return text;
}
Bytes random_binary(Dice& dice, std::size_t end) {
  Bytes bytes;
  for (std::size_t n = dice.below(end); n > 0; --n)
    bytes += dice.byte();
  return bytes;
}

/// Messages in one or more frames, with control frames in between. Some streams end with a Close.
Stream random_stream(Dice& dice) {
  Stream stream;
  stream.role = dice.one_in(2) ? Role::kServer : Role::kClient;
  PeerDeflater peer;
  bool takes_over = true;
  if (dice.one_in(2)) {
    takes_over = dice.one_in(2);
    stream.deflate = DeflateParameters{.server_no_context_takeover = !takes_over,
                                       .client_no_context_takeover = !takes_over};
    stream.deflate_settings.threshold = 1 + dice.below(100);
  }
  const auto add_frame = [&](unsigned byte0, const Bytes& payload) {
    stream.input += stream.role == Role::kServer
                        ? client_frame(byte0, payload,
                                       Bytes{dice.byte(), dice.byte(), dice.byte(), dice.byte()})
                        : server_frame(byte0, payload);
  };
  const auto maybe_add_control = [&] {
    if (!dice.one_in(3))
      return;
    const Bytes payload = random_binary(dice, dice.one_in(4) ? 126 : 10);
    const bool is_ping = dice.one_in(2);
    add_frame(is_ping ? 0x89 : 0x8A, payload);
    stream.events.push_back(is_ping ? ping(payload) : pong(payload));
  };
  for (std::size_t messages = 1 + dice.below(5); messages > 0; --messages) {
    maybe_add_control();
    const bool is_text = dice.one_in(2);
    const Bytes message =
        is_text ? random_text(dice) : random_binary(dice, dice.one_in(4) ? 600 : 60);
    Bytes payload = message;
    std::size_t begin = 0;
    unsigned opcode = is_text ? 0x1 : 0x2;
    if (stream.deflate.has_value() && !message.empty() && dice.one_in(2)) {
      if (!takes_over)
        peer.restart();
      payload = peer.message(message);
      opcode |= 0x40;  // RSV1
    }
    while (dice.one_in(2)) {
      const std::size_t end = begin + dice.below(payload.size() - begin + 1);
      add_frame(opcode, payload.substr(begin, end - begin));
      maybe_add_control();
      opcode = 0;
      begin = end;
    }
    add_frame(0x80 | opcode, payload.substr(begin));
    stream.events.push_back(is_text ? text(message) : binary(message));
  }
  if (dice.one_in(4)) {
    add_frame(0x88, hex("03 e8") + "bye");
    stream.events.push_back(closed(1000, "bye"));
  }
  stream.then = [](Connection& connection, const Event& event, Output& out) {
    if (event.type == Event::Type::kText)
      connection.send(Opcode::kText, {as_span("Echo: "), event.payload}, out);
    if (event.type == Event::Type::kBinary)
      connection.send(Opcode::kBinary, {event.payload}, out);
  };
  return stream;
}

Way random_way(Dice& dice, std::size_t size) {
  Way way{.name = "random chunks", .cuts = dice.cuts(size, 40)};
  way.behind_guard = dice.one_in(2);
  way.has_empty_reads = dice.one_in(4);
  way.releases = dice.one_in(4);
  return way;
}

/// Runs `stream` byte by byte, whole, and in random chunks. `is_known`: `stream.events` is already set.
void expect_same_in_any_chunks(Dice& dice, Stream stream, bool is_known) {
  GuardedMemory memory(stream.input.size());
  const Way single = ways(stream.input.size()).front();
  const Outcome reference = run(stream, single, memory);
  if (!is_known)
    stream.events = reference.steps;
  stream.sent = reference.sent;  // only compared between chunkings; other tests check the bytes
  std::vector<Way> all = {single, {.name = "whole", .cuts = {}}};
  for (int i = 0; i < 8; ++i)
    all.push_back(random_way(dice, stream.input.size()));
  for (const Way& way : all) {
    ASSERT_EQ(difference(stream, way, run(stream, way, memory), reference), "");
  }
}

TEST(Chunking, DoesNotChangeTheMessagesOfAValidStream) {
  Dice dice(1);
  for (int i = 0; i < 400 && !HasFailure(); ++i) {
    SCOPED_TRACE("stream " + std::to_string(i));
    expect_same_in_any_chunks(dice, random_stream(dice), true);
  }
}

TEST(Chunking, DoesNotChangeTheEventsOfADamagedStream) {
  Dice dice(2);
  std::size_t failures = 0;
  for (int i = 0; i < 1500 && !HasFailure(); ++i) {
    SCOPED_TRACE("stream " + std::to_string(i));
    Stream stream = random_stream(dice);
    stream.limits.message = 20 + dice.below(400);
    stream.limits.fragments = static_cast<std::uint32_t>(dice.below(5));
    Bytes& bytes = stream.input;
    for (std::size_t faults = dice.below(3); faults > 0; --faults) {
      char& byte = bytes[dice.below(bytes.size())];
      byte = static_cast<char>(dice.one_in(2) ? byte ^ (1 << dice.below(8)) : dice.byte());
    }
    if (dice.one_in(4))
      bytes.erase(dice.below(bytes.size()), 1 + dice.below(4));
    GuardedMemory memory(bytes.size());
    const Outcome outcome = run(stream, {.name = "whole", .cuts = {}}, memory);
    if (!outcome.steps.empty() && outcome.steps.back().type == Event::Type::kFailed)
      ++failures;
    expect_same_in_any_chunks(dice, std::move(stream), false);
  }
  EXPECT_GT(failures, 300U) << "too few of the damaged streams failed";
}

TEST(Chunking, DoesNotChangeTheParsedHeadOfARequest) {
  const std::string_view lines[] = {
      "GET /echo HTTP/1.1\r\n",
      "Host: a\r\n",
      "Upgrade: websocket\r\n",
      "X: \t y \r\n",
      "\r\n",
      " folded\r\n",
      "Bad line\n",
      "Content-Length: 5\r\n",
      "X:\r\n",
      "\r",
  };
  Dice dice(3);
  Limits limits;
  limits.request_line = 40;
  limits.field_line = 30;
  limits.fields = 4;
  limits.field_bytes = 60;
  int complete = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = "GET / HTTP/1.1\r\nHost: b\r\n";
    if (dice.one_in(3))
      bytes.clear();
    for (std::size_t n = dice.below(6); n > 0; --n)
      bytes += lines[dice.below(std::size(lines))];
    bytes += "\r\n";
    if (dice.one_in(2))
      bytes[dice.below(bytes.size())] = dice.byte();

    const auto parse = [&](HttpRequest& head, std::vector<std::size_t> ends) {
      ends.push_back(bytes.size());
      HttpHead::Status status = HttpHead::Status::kNeedMore;
      for (const std::size_t end : ends) {
        status = head.parse(std::string_view(bytes).substr(0, end), limits);
        if (status != HttpHead::Status::kNeedMore)
          break;
      }
      return status;
    };
    HttpRequest whole;
    HttpRequest cut;
    const HttpHead::Status status = parse(whole, {});
    ASSERT_EQ(parse(cut, dice.cuts(bytes.size(), 40)), status) << bytes;
    ASSERT_EQ(cut.error(), whole.error()) << bytes;
    if (status != HttpHead::Status::kComplete)
      continue;
    ++complete;
    ASSERT_EQ(cut.size(), whole.size());
    ASSERT_EQ(cut.path(), whole.path());
    ASSERT_EQ(cut.field_count(), whole.field_count());
    for (std::size_t f = 0; f < whole.field_count(); ++f) {
      ASSERT_EQ(cut.field_name(f), whole.field_name(f));
      ASSERT_EQ(cut.field_value(f), whole.field_value(f));
    }
  }
  EXPECT_GT(complete, 300);
}

}  // namespace
}  // namespace ws::test
