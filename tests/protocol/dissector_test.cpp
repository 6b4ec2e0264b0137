// Splits one direction of a connection into heads, frames and data, even if they break rules. RFC 6455 §1.2, §5.2
#include "protocol/inspect/dissector.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "tests/support/bytes.h"

namespace ws::test {
namespace {

using Type = Dissected::Type;

/// An item, with its bytes copied.
struct Seen {
  Type type = Type::kData;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  Bytes bytes{};
  std::size_t header_size = 0;
  Opcode opcode = Opcode::kText;
  std::uint64_t payload_length = 0;
  Error error = Error::kNone;
  bool is_whole = true;
  bool operator==(const Seen&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  constexpr const char* kNames[] = {"head", "frame", "data"};
  out << kNames[static_cast<std::size_t>(seen.type)] << " at " << seen.offset << ", " << seen.size
      << " bytes, header " << seen.header_size << ", opcode " << static_cast<unsigned>(seen.opcode)
      << ", length " << seen.payload_length << (seen.is_whole ? "" : ", cut");
  if (seen.error != Error::kNone)
    out << ", " << describe(seen.error).text;
  return out << "\n" << dump(seen.bytes) << "\n";
}

Seen copy(const Dissected& item) {
  return {item.type,
          item.offset,
          item.size,
          to_bytes(item.bytes),
          item.header_size,
          item.header.opcode,
          item.header.payload_length,
          item.error,
          item.is_whole};
}

/// Adds an item. Adjacent data items become one.
void add(std::vector<Seen>& items, const Dissected& item) {
  if (item.type == Type::kData && !items.empty() && items.back().type == Type::kData &&
      items.back().offset + items.back().size == item.offset) {
    items.back().size += item.size;
    items.back().bytes += to_bytes(item.bytes);
  } else {
    items.push_back(copy(item));
  }
}

void feed(Dissector& dissector, std::string_view bytes, std::vector<Seen>& items) {
  GuardedMemory memory(bytes.size());
  std::span<const std::byte> in = memory.before_guard(bytes);
  while (!in.empty()) {
    if (const auto item = dissector.next(in))
      add(items, *item);
  }
}

struct Setup {
  Sender sender = Sender::kClient;
  bool are_frames = false;
  std::size_t keep = 1000;
};

/// Returns the items of `stream`, split at `cuts`, and the incomplete item at its end.
std::vector<Seen> dissect(const Setup& setup, std::string_view stream,
                          const std::vector<std::size_t>& cuts) {
  Dissector dissector(setup.sender, setup.keep);
  if (setup.are_frames)
    dissector.expect_frames();
  std::vector<Seen> items;
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    feed(dissector, stream.substr(begin, cut - begin), items);
    begin = cut;
  }
  feed(dissector, stream.substr(begin), items);
  if (const auto item = dissector.cut())
    add(items, *item);
  EXPECT_FALSE(dissector.cut().has_value()) << "the first call returned the item";
  return items;
}

/// Expects the same items whole, byte by byte, and split at each position.
void expect_items(const Setup& setup, std::string_view stream, const std::vector<Seen>& expected) {
  std::vector<std::size_t> every;
  for (std::size_t i = 1; i < stream.size(); ++i)
    every.push_back(i);
  EXPECT_EQ(dissect(setup, stream, {}), expected);
  EXPECT_EQ(dissect(setup, stream, every), expected) << "byte by byte";
  for (const std::size_t cut : every)
    ASSERT_EQ(dissect(setup, stream, {cut}), expected) << "cut at " << cut;
}

Seen head(std::uint64_t offset, const Bytes& bytes, Error error = Error::kNone) {
  return {
      .type = Type::kHead, .offset = offset, .size = bytes.size(), .bytes = bytes, .error = error};
}
Seen data(std::uint64_t offset, const Bytes& bytes) {
  return {.type = Type::kData, .offset = offset, .size = bytes.size(), .bytes = bytes};
}
/// A complete frame, all of its bytes kept.
Seen frame(std::uint64_t offset, const Bytes& bytes, std::size_t header_size, Opcode opcode) {
  return {.type = Type::kFrame,
          .offset = offset,
          .size = bytes.size(),
          .bytes = bytes,
          .header_size = header_size,
          .opcode = opcode,
          .payload_length = bytes.size() - header_size};
}
Seen half(Seen seen) {
  seen.is_whole = false;
  return seen;
}

// The article's session: rows 4, 8, 12 and 6, 10, 13 of its trace.
const Bytes kRequest =
    "GET /echo HTTP/1.1\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "Host: localhost:8080\r\n"
    "\r\n";
const Bytes kText = hex("81 8c"           // FIN, text; masked, 12 bytes
                        "37 fa 21 3d") +  // masking key
                    masked("hello world!");
const Bytes kClientClose =
    hex("88 82"        // FIN, close; masked, 2 bytes
        "37 fa 21 3d"  // masking key
        "34 12");      // 1000
const Bytes kResponse =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Vary: Origin\r\n"
    "Vary: Access-Control-Request-Method\r\n"
    "Vary: Access-Control-Request-Headers\r\n"
    "upgrade: websocket\r\n"
    "connection: upgrade\r\n"
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "\r\n";
const Bytes kEcho = hex("81 12") + "Echo: hello world!";
const Bytes kServerClose = hex("88 02 03 e8");

const Setup kClient{.sender = Sender::kClient};
const Setup kServer{.sender = Sender::kServer};
const Setup kFrames{.sender = Sender::kClient, .are_frames = true};

TEST(Dissector, ReportsTheArticlesSessionAtWiresharksOffsets) {
  ASSERT_EQ(kRequest.size(), 227U);
  ASSERT_EQ(kResponse.size(), 218U);
  expect_items(kClient, kRequest + kText + kClientClose,
               {head(1, kRequest), frame(228, kText, 6, Opcode::kText),
                frame(246, kClientClose, 6, Opcode::kClose)});
  expect_items(kServer, kResponse + kEcho + kServerClose,
               {head(1, kResponse), frame(219, kEcho, 2, Opcode::kText),
                frame(239, kServerClose, 2, Opcode::kClose)});

  Dissector dissector(Sender::kServer, 0);
  std::vector<Seen> items;
  feed(dissector, kResponse, items);
  feed(dissector, kEcho + kServerClose + hex("89"), items);
  EXPECT_EQ(dissector.cut()->offset, 243U);
}

TEST(Dissector, ReportsTheFieldsOfAFrameHeader) {
  Dissector dissector(Sender::kClient, 100);
  dissector.expect_frames();
  const Bytes bytes = hex("c2 fe 00 03 37 fa 21 3d 00 00 00");
  auto in = as_span(bytes);
  const auto item = dissector.next(in);
  ASSERT_TRUE(item.has_value());
  EXPECT_TRUE(item->header.fin);
  EXPECT_TRUE(item->header.rsv1);
  EXPECT_FALSE(item->header.rsv2);
  EXPECT_FALSE(item->header.rsv3);
  EXPECT_EQ(item->header.opcode, Opcode::kBinary);
  EXPECT_TRUE(item->header.masked);
  EXPECT_EQ(to_bytes(item->header.masking_key), kKey);
  EXPECT_EQ(item->header.payload_length, 3U);
  EXPECT_EQ(item->header_size, 8U);
}

TEST(Dissector, ReportsInvalidFramesAndTheFramesAfterThem) {
  const struct {
    const char* rule;
    Bytes bytes;
    std::size_t header_size;
    unsigned opcode;
  } kRows[] = {
      {"RSV1", hex("c1 81 37 fa 21 3d 56"), 6, 1},
      {"RSV2 and RSV3", hex("b1 81 37 fa 21 3d 56"), 6, 1},
      {"a reserved data opcode", hex("83 81 37 fa 21 3d 56"), 6, 3},
      {"a reserved control opcode, with a length over 125",
       hex("8f fe 00 7e 37 fa 21 3d") + Bytes(126, 'x'), 8, 15},
      {"no mask", hex("81 01 61"), 2, 1},
      {"a length of 1 in 16 bits", hex("81 7e 00 01 61"), 4, 1},
      {"a length of 1 in 64 bits", hex("81 ff 00 00 00 00 00 00 00 01 37 fa 21 3d 56"), 14, 1},
      {"a fragmented control frame", hex("09 81 37 fa 21 3d 56"), 6, 9},
      {"a Close with half a code", hex("88 81 37 fa 21 3d 56"), 6, 8},
      {"a continuation without a message", hex("80 80 37 fa 21 3d"), 6, 0},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.rule);
    expect_items(kFrames, row.bytes + kText,
                 {frame(1, row.bytes, row.header_size, static_cast<Opcode>(row.opcode)),
                  frame(1 + row.bytes.size(), kText, 6, Opcode::kText)});
  }
}

TEST(Dissector, NeverCompletesAFrameOf2To64Minus1Bytes) {
  const Bytes bytes = hex("82 7f ff ff ff ff ff ff ff ff") + "abc";
  expect_items(kFrames, bytes,
               {{.type = Type::kFrame,
                 .offset = 1,
                 .size = 13,
                 .bytes = bytes,
                 .header_size = 10,
                 .opcode = Opcode::kBinary,
                 .payload_length = UINT64_MAX,
                 .is_whole = false}});
}

TEST(Dissector, ReportsBytesAfterAnInvalidHeadAsData) {
  const Bytes folded = "GET / HTTP/1.1\r\nHost: a\r\n b\r\n";  // detected at the end of the line
  expect_items(kClient, folded + "\r\n" + kText,
               {head(1, folded, Error::kFieldFolding), data(1 + folded.size(), "\r\n" + kText)});
  const Bytes no_host = "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
  expect_items(kClient, no_host + kText,
               {head(1, no_host, Error::kHost), data(1 + no_host.size(), kText)});
  const Bytes answer = "HTTP/2 101\r\n";
  const auto items = dissect(kServer, answer + kEcho, {});
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].type, Type::kHead);
  EXPECT_NE(items[0].error, Error::kNone);
  EXPECT_EQ(items[1].offset + items[1].size, 1 + answer.size() + kEcho.size());
}

TEST(Dissector, KeepsNoMoreOfAHeadThanTheLimitsAllow) {
  Bytes endless = "GET / HTTP/1.1\r\n";
  while (endless.size() < 100'000)
    endless += "a: " + Bytes(1000, 'b') + "\r\n";
  const std::vector<Seen> whole = dissect(kClient, endless, {});
  ASSERT_EQ(whole.size(), 2U);
  EXPECT_EQ(whole[0].error, Error::kFieldsTooLarge);
  EXPECT_LE(whole[0].size, Limits{}.request_line + Limits{}.field_bytes + 8);
  EXPECT_EQ(whole[1].offset + whole[1].size, 1 + endless.size());
  for (const std::size_t cut : {1U, 1000U, 20'000U, 32'783U, 32'784U, 32'785U, 41'000U, 99'999U})
    EXPECT_EQ(dissect(kClient, endless, {cut})[0], whole[0]) << cut;
}

TEST(Dissector, ParsesHttpMessagesUntilAnUpgrade) {
  const Bytes refused = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n";
  expect_items(
      kServer, refused + "no..." + kResponse + kEcho,
      {head(1, refused), data(1 + refused.size(), "no..."), head(6 + refused.size(), kResponse),
       frame(224 + refused.size(), kEcho, 2, Opcode::kText)});
  const Bytes get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const Bytes post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
  expect_items(kClient, get + post + "ab" + get,
               {head(1, get), head(1 + get.size(), post), data(1 + get.size() + post.size(), "ab"),
                head(3 + get.size() + post.size(), get)});
}

TEST(Dissector, ParsesHttpAgainAfterARefusedUpgrade) {
  const Bytes get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  Dissector client(Sender::kClient, 100);
  std::vector<Seen> items;
  feed(client, kRequest + kText + kText.substr(0, 7), items);
  const auto begun = client.refused();
  ASSERT_TRUE(begun.has_value());
  EXPECT_EQ(begun->offset, 246U);
  EXPECT_EQ(begun->size, 7U);
  EXPECT_FALSE(begun->is_whole);
  EXPECT_FALSE(client.refused().has_value());
  feed(client, get + kText, items);
  ASSERT_EQ(items.size(), 5U);
  EXPECT_EQ(items[1], frame(228, kText, 6, Opcode::kText));
  EXPECT_EQ(items[2], head(253, get));
  EXPECT_EQ(items[3].type, Type::kHead);
  EXPECT_NE(items[3].error, Error::kNone);
  EXPECT_EQ(items[4].type, Type::kData);

  Dissector server(Sender::kServer, 100);
  const Bytes answers =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n";
  std::span<const std::byte> in = as_span(answers);
  EXPECT_EQ(server.next(in)->status, 100);
  EXPECT_EQ(server.next(in)->status, 426);
  in = as_span("HTTP/1.1 x\r\n\r\n");
  EXPECT_EQ(server.next(in)->status, 0);
}

TEST(Dissector, ReportsABodyOfUnknownLengthAsDataToTheEnd) {
  for (const char* fields : {"", "Transfer-Encoding: chunked\r\n", "Content-Length: five\r\n"}) {
    const Bytes answer = "HTTP/1.1 200 OK\r\n" + Bytes(fields) + "\r\n";
    expect_items(kServer, answer + kResponse,
                 {head(1, answer), data(1 + answer.size(), kResponse)});
  }
}

TEST(Dissector, ExpectsNoBodyAfterStatus1xx204And304) {
  // RFC 9112 §6.3: a 304 has no body, whatever its Content-Length.
  for (const char* status : {"100 Continue", "103 Early Hints", "204 No Content",
                             "304 Not Modified\r\nContent-Length: 5"}) {
    const Bytes answer = "HTTP/1.1 " + Bytes(status) + "\r\n\r\n";
    expect_items(kServer, answer + kResponse,
                 {head(1, answer), head(1 + answer.size(), kResponse)});
  }
}

TEST(Dissector, KeepsALimitedPartOfAPayloadAndCountsAllBytes) {
  const auto kept = [](std::size_t keep, const Bytes& bytes) {
    Seen seen = frame(1, kText, 6, Opcode::kText);
    seen.bytes = bytes;
    expect_items({.are_frames = true, .keep = keep}, kText, {seen});
  };
  kept(12, kText);
  kept(SIZE_MAX, kText);
  kept(11, kText.substr(0, 17));
  kept(1, kText.substr(0, 7));
  kept(0, kText.substr(0, 6));

  Dissector dissector(Sender::kServer, 3);
  const Bytes answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde";
  auto in = as_span(answer);
  EXPECT_EQ(dissector.next(in)->size, answer.size() - 5) << "a head is kept whole";
  const auto body = dissector.next(in);
  EXPECT_EQ(body->size, 5U);
  EXPECT_EQ(to_bytes(body->bytes), "abc");
}

TEST(Dissector, ReportsTheIncompleteItemAtTheEnd) {
  const Bytes half_head = "GET /echo HT";
  expect_items(kClient, half_head, {half(head(1, half_head))});

  Seen half_header{
      .type = Type::kFrame, .offset = 1, .size = 3, .bytes = kText.substr(0, 3), .is_whole = false};
  expect_items(kFrames, kText.substr(0, 3), {half_header});

  Seen half_payload = half(frame(1, kText, 6, Opcode::kText));
  half_payload.size = 10;
  half_payload.bytes = kText.substr(0, 10);
  expect_items(kFrames, kText.substr(0, 10), {half_payload});

  half_payload.size = 6;
  half_payload.bytes = kText.substr(0, 6);
  expect_items(kFrames, kText.substr(0, 6), {half_payload});

  expect_items(kFrames, "", {});
  expect_items(kFrames, kText, {frame(1, kText, 6, Opcode::kText)});
}

TEST(Dissector, ContinuesWithAFrameAfterAGap) {
  Dissector dissector(Sender::kClient, 100);
  std::vector<Seen> items;
  feed(dissector, kRequest + kText.substr(0, 10), items);
  const auto begun = dissector.cut();
  ASSERT_TRUE(begun.has_value());
  EXPECT_EQ(begun->size, 10U);
  EXPECT_TRUE(dissector.skip(8));
  feed(dissector, kClientClose, items);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[1], frame(246, kClientClose, 6, Opcode::kClose));
}

TEST(Dissector, KnowsWhereACutFrameEnds) {
  const std::string large = hex("82 fe 01 00 37 fa 21 3d") + repeat(256, "x");
  // The length of the frame is known from its fourth byte on; the masking key is not needed.
  for (std::size_t cut = 4; cut < large.size(); ++cut) {
    for (std::size_t gap = 1; cut + gap <= large.size(); ++gap) {
      Dissector dissector(Sender::kClient, 1000);
      dissector.expect_frames();
      std::vector<Seen> items;
      feed(dissector, large.substr(0, cut), items);
      ASSERT_EQ(dissector.cut()->size, cut);
      ASSERT_TRUE(dissector.skip(gap)) << cut << " " << gap;
      feed(dissector, large.substr(cut + gap) + kClientClose, items);
      const std::size_t rest = large.size() - cut - gap;
      ASSERT_EQ(items.size(), rest == 0 ? 1U : 2U);
      if (rest != 0) {
        ASSERT_EQ(items[0], data(1 + cut + gap, large.substr(cut + gap)));
      }
      ASSERT_EQ(items.back(), frame(1 + large.size(), kClientClose, 6, Opcode::kClose));
    }
  }
}

TEST(Dissector, DoesNotKnowThePositionAfterAGapThatIsLongerThanTheItem) {
  const auto knows = [](bool are_frames, std::string_view before, std::uint64_t gap) {
    Dissector dissector(Sender::kClient, 100);
    if (are_frames)
      dissector.expect_frames();
    std::vector<Seen> items;
    feed(dissector, before, items);
    static_cast<void>(dissector.cut());
    return dissector.skip(gap);
  };
  EXPECT_TRUE(knows(true, kText.substr(0, 10), 8));
  EXPECT_FALSE(knows(true, kText.substr(0, 10), 9));
  EXPECT_FALSE(knows(true, kText.substr(0, 1), 17)) << "the length is cut";
  EXPECT_FALSE(knows(true, hex("82 7f"), 8)) << "all eight bytes of the length are missing";
  EXPECT_FALSE(knows(true, kText, 1)) << "a whole frame, or a part of it";
  EXPECT_FALSE(knows(false, "GET / HT", 1));
  EXPECT_FALSE(knows(false, "", 1));
  EXPECT_TRUE(knows(true, "", 0));
}

TEST(Dissector, ContinuesWithTheHeadAfterABodyThatLacksBytes) {
  const Bytes answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  Dissector dissector(Sender::kServer, 100);
  std::vector<Seen> items;
  feed(dissector, answer + "a", items);
  EXPECT_FALSE(dissector.cut().has_value());
  EXPECT_TRUE(dissector.skip(2));
  EXPECT_FALSE(dissector.cut().has_value());
  EXPECT_TRUE(dissector.skip(2));
  feed(dissector, answer, items);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[2], head(1 + answer.size() + 5, answer));
}

TEST(Dissector, ReportsDataAfterAGapThatIsLongerThanABody) {
  const Bytes answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  Dissector dissector(Sender::kServer, 100);
  std::vector<Seen> items;
  feed(dissector, answer + "a", items);
  EXPECT_FALSE(dissector.cut().has_value());
  EXPECT_FALSE(dissector.skip(5));
  feed(dissector, "rest", items);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[2], data(1 + answer.size() + 6, "rest"));
}

TEST(Dissector, ParsesHttpAgainAfterAnUpgradeThatIsRefusedWithinACutFrame) {
  const Bytes get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  Dissector dissector(Sender::kClient, 100);
  std::vector<Seen> items;
  feed(dissector, kRequest + kText.substr(0, 10), items);
  EXPECT_TRUE(dissector.cut().has_value());
  EXPECT_TRUE(dissector.skip(3));
  EXPECT_FALSE(dissector.refused().has_value()) << "the frame was reported already";
  feed(dissector, get, items);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[1], head(228 + 10 + 3, get));
}

TEST(Dissector, ParsesHeadsFramesOrDataAfterAnExpectCall) {
  Dissector dissector(Sender::kClient, 100);
  std::vector<Seen> items;
  dissector.expect_data();
  feed(dissector, "GET", items);
  dissector.expect_frames();
  feed(dissector, kText, items);
  dissector.expect_heads();
  feed(dissector, kRequest, items);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[0], data(1, "GET"));
  EXPECT_EQ(items[1], frame(4, kText, 6, Opcode::kText));
  EXPECT_EQ(items[2], head(22, kRequest));
}

TEST(Dissector, ReportsBytesAfterAGapInHttpAsData) {
  Dissector in_head(Sender::kClient, 100);
  std::vector<Seen> items;
  feed(in_head, "GET / HT", items);
  EXPECT_TRUE(in_head.cut().has_value());
  EXPECT_FALSE(in_head.skip(2));
  feed(in_head, "1.1\r\nHost: a\r\n\r\n", items);
  EXPECT_EQ(items, std::vector<Seen>{data(11, "1.1\r\nHost: a\r\n\r\n")});

  const Bytes answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
  Dissector in_body(Sender::kServer, 100);
  items.clear();
  feed(in_body, answer + "ab", items);
  EXPECT_FALSE(in_body.cut().has_value());
  EXPECT_TRUE(in_body.skip(1));
  feed(in_body, "de", items);
  ASSERT_EQ(items.size(), 3U);
  EXPECT_EQ(items[2], data(4 + answer.size(), "de"));
}

TEST(Dissector, ReportsNothingForEmptyInput) {
  Dissector dissector(Sender::kClient, 100);
  std::span<const std::byte> nothing;
  EXPECT_FALSE(dissector.next(nothing).has_value());
}

TEST(Dissector, ReportsABodyOfMalformedLengthAsDataToTheEnd) {
  const Bytes answer = "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\n";
  Dissector dissector(Sender::kServer, 100);
  std::vector<Seen> items;
  feed(dissector, answer + "ab" + answer, items);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[1], data(1 + answer.size(), "ab" + answer));
}

TEST(Dissector, KeepsALongPayloadUpToTheRequestedSize) {
  const Bytes long_frame = hex("82 fe 17 70 37 fa 21 3d") + repeat(6000, "x");
  Dissector dissector(Sender::kClient, 7000);
  dissector.expect_frames();
  std::vector<Seen> items;
  feed(dissector, long_frame + long_frame, items);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].bytes, long_frame);
  EXPECT_EQ(items[1].bytes, long_frame);
}

}  // namespace
}  // namespace ws::test
