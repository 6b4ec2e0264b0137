// permessage-deflate: RFC 7692 §6, §7.2. Tests the examples of the RFC, and uses zlib directly as the peer.
#include "protocol/deflate/deflate.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/support/stream.h"
#include "tests/support/zlib.h"

namespace ws::test {
namespace {

/// Sends `frames` to a server and to a client with the parameters `agreed`; both must report `events`.
void expect_events(const std::vector<std::pair<unsigned, Bytes>>& frames,
                   const std::vector<Step>& events, const DeflateParameters& agreed = {},
                   const Limits& limits = {}, const char* file = __builtin_FILE(),
                   int line = __builtin_LINE()) {
  Bytes to_server;
  Bytes to_client;
  for (const auto& [byte0, payload] : frames) {
    to_server += client_frame(byte0, payload);
    to_client += server_frame(byte0, payload);
  }
  Bytes sent;
  Bytes sent_masked;
  if (!events.empty() && events.back().type == Event::Type::kFailed) {
    sent = failing_close(events.back().error);
    sent_masked = client_frame(0x88, sent.substr(2));
  }
  for (const Step& step : events) {
    if (step.type == Event::Type::kPing) {
      sent = server_frame(0x8a, step.payload) + sent;
      sent_masked = client_frame(0x8a, step.payload) + sent_masked;
    }
  }
  expect_stream(
      {.limits = limits, .deflate = agreed, .input = to_server, .events = events, .sent = sent},
      file, line);
  expect_stream({.role = Role::kClient,
                 .limits = limits,
                 .deflate = agreed,
                 .input = to_client,
                 .events = events,
                 .sent = sent_masked},
                file, line);
}

/// FIN and RSV1, text.
constexpr unsigned kCompressedText = 0xC1;
constexpr unsigned kCompressedBinary = 0xC2;

// ------------------------------------------------------------------ §7.2.3, the examples

TEST(Section7_2_3, AMessageInOneBlockIsInflated) {
  // [7692-6.2-INFLATE], [7692-7.2.1-TAIL]
  expect_events({{0xC1, hex("f2 48 cd c9 c9 07 00")}}, {text("Hello")});
  expect_stream({.role = Role::kClient,
                 .deflate = DeflateParameters{},
                 .input = hex("c1 07 f2 48 cd c9 c9 07 00"),  // as the RFC prints it
                 .events = {text("Hello")}});
  // In two fragments; only the first has RSV1.
  expect_stream({.role = Role::kClient,
                 .deflate = DeflateParameters{},
                 .input = hex("41 03 f2 48 cd"
                              "80 04 c9 c9 07 00"),
                 .events = {text("Hello")}});
}

TEST(Section7_2_3, AMessageMayReferToThePreviousMessage) {
  // [7692-7.2.2-TAKEOVER]
  expect_events({{0xC1, hex("f2 48 cd c9 c9 07 00")}, {0xC1, hex("f2 00 11 00 00")}},
                {text("Hello"), text("Hello")});
}

TEST(Section7_2_3, AnUncompressedBlockIsInflated) {
  expect_events({{0xC1, hex("00 05 00 fa ff 48 65 6c 6c 6f 00")}}, {text("Hello")});
}

TEST(Section7_2_3, ABlockWithBfinalIsInflated) {
  // [7692-7.2.2-BFINAL]
  expect_events({{0xC1, hex("f3 48 cd c9 c9 07 00 00")}}, {text("Hello")});
}

TEST(Section7_2_3, AMessageInTwoBlocksIsInflated) {
  // [7692-7.2.2-BLOCKS] with an empty block between them
  expect_events({{0xC1, hex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")}}, {text("Hello")});
}

TEST(Section7_2_3, AnEmptyMessageIsInflated) {
  expect_events({{0xC1, hex("00")}, {0xC2, hex("02 00")}, {0xC1, hex("00")}},
                {text(""), binary(""), text("")});
}

// ------------------------------------------------------------------ receiving

TEST(Received, CompressedAndPlainMessagesMayAlternate) {
  // [7692-6.2-PLAIN] a plain message does not enter the window: the next one refers to "Hello"
  expect_events({{0xC1, hex("f2 48 cd c9 c9 07 00")},
                 {0x81, "plain"},
                 {0xC1, hex("f2 00 11 00 00")},
                 {0x82, hex("00 ff")}},
                {text("Hello"), text("plain"), text("Hello"), binary(hex("00 ff"))});
}

TEST(Received, ControlFramesBetweenCompressedFragmentsAreNotInflated) {
  expect_events({{0x41, hex("f2 48 cd")}, {0x89, "?"}, {0x00, ""}, {0x80, hex("c9 c9 07 00")}},
                {ping("?"), text("Hello")});
}

TEST(Received, Rsv1IsRejectedExceptOnTheFirstFrameOfADataMessage) {
  // [7692-6.1-RSV1]
  const std::vector<Step> refused = {failed(Error::kReservedBit)};
  for (const unsigned byte0 : {0xC9U, 0xCAU, 0xC8U, 0xC0U, 0x40U})
    expect_events({{byte0, ""}}, refused);
  expect_events({{0x41, hex("f2 48 cd")}, {0xC0, hex("c9 c9 07 00")}}, refused);
  expect_events({{0x41, hex("f2 48 cd")}, {0x40, hex("c9 c9 07 00")}}, refused);
  // [6455-5.2-RSV] RSV2 and RSV3 are never allowed
  for (const unsigned byte0 : {0xA1U, 0x91U, 0xE1U, 0xD1U, 0xF1U})
    expect_events({{byte0, ""}}, refused);
  expect_stream({.input = client_frame(0xC1, hex("f2 48 cd c9 c9 07 00")),
                 .events = {failed(Error::kReservedBit, 1)},
                 .sent = failing_close(Error::kReservedBit)});
}

TEST(Received, InvalidCompressedDataFailsAtTheFirstInvalidByte) {
  // [7692-6.2-INFLATE]
  const auto refused = [](std::size_t with) {
    return std::vector<Step>{failed(Error::kCompressedData, with)};
  };
  // A reserved block type; a length with a wrong complement.
  expect_stream({.role = Role::kClient,
                 .deflate = DeflateParameters{},
                 .input = hex("c1 05 06 00 00 00 00"),
                 .events = refused(3),
                 .sent = client_frame(0x88, failing_close(Error::kCompressedData).substr(2))});
  expect_stream({.role = Role::kClient,
                 .deflate = DeflateParameters{},
                 .input = hex("c1 0b 00 05 00 fa fe 48 65 6c 6c 6f 00"),
                 .events = refused(7),
                 .sent = client_frame(0x88, failing_close(Error::kCompressedData).substr(2))});
  // A reference to an empty window.
  expect_events({{0xC1, hex("f2 00 11 00 00")}}, refused(0));
}

TEST(Received, MessageThatEndsInsideABlockIsRejected) {
  // [7692-6.2-INFLATE]
  const std::vector<Step> refused = {failed(Error::kCompressedData)};
  const Bytes hello = hex("f2 48 cd c9 c9 07 00");
  const Bytes last_hello = hex("f3 48 cd c9 c9 07 00");  // with BFINAL
  const Bytes tail = hex("00 00 ff ff");
  for (std::size_t size = 1; size < hello.size(); ++size) {
    for (const Bytes& before : {Bytes(), last_hello, hello + tail}) {
      expect_events({{0xC1, before + hello.substr(0, size)}}, refused);
      expect_events({{0xC1, before + last_hello.substr(0, size)}}, refused);
    }
  }
  // One, two or three bytes of the tail.
  for (std::size_t size = 1; size < tail.size(); ++size) {
    expect_events({{0xC1, hello + tail.substr(0, size)}}, refused);
    expect_events({{0xC1, last_hello + hex("00") + tail.substr(0, size)}}, refused);
  }
  // The tail alone, which is not a whole block.
  expect_events({{0xC1, tail}}, refused);
  // An incomplete uncompressed block; with an incomplete length.
  expect_events({{0xC1, hex("00 09 00 f6 ff 48 65 6c 6c 6f")}}, refused);
  expect_events({{0xC1, hex("00 05 00 fa")}}, refused);
  // The block ends in the last byte but one: 1 and 2 unused bits of it begin the header of the empty block.
  const Bytes five = hex("da b0 71 d3 e6 2d 00 00");
  const Bytes four = hex("da b0 71 d3 66 00 00");
  expect_events({{0xC2, five}, {0xC2, four}},
                {binary(hex("b0 b1 b2 b3 b4")), binary(hex("b0 b1 b2 b3"))});
  expect_events({{0xC2, five.substr(0, 7)}}, refused);
  expect_events({{0xC2, four.substr(0, 6)}}, refused);
}

TEST(Received, EmptyCompressedPayloadIsRejected) {
  // An empty message is 00, as in §7.2.3.6. What ended the previous message must not count for this one.
  const std::vector<Bytes> complete = {
      hex("f2 48 cd c9 c9 07 00"), hex("f3 48 cd c9 c9 07 00"), hex("f3 48 cd c9 c9 07 00 00"),
      hex("f2 48 cd c9 c9 07 00 00 00 ff ff"), hex("00 05 00 fa ff 48 65 6c 6c 6f")};
  const DeflateParameters none{.server_no_context_takeover = true,
                               .client_no_context_takeover = true};
  for (const DeflateParameters& agreed : {DeflateParameters{}, none}) {
    expect_events({{0xC1, ""}}, {failed(Error::kCompressedData)}, agreed);
    expect_events({{0x41, ""}, {0x80, ""}}, {failed(Error::kCompressedData)}, agreed);
    for (const Bytes& before : complete) {
      expect_events({{0xC1, before}, {0xC1, ""}}, {text("Hello"), failed(Error::kCompressedData)},
                    agreed);
      expect_events({{0xC1, before}, {0x42, ""}, {0x00, ""}, {0x80, ""}},
                    {text("Hello"), failed(Error::kCompressedData)}, agreed);
      // An uncompressed message between them may be empty.
      expect_events({{0xC1, before}, {0x81, ""}, {0xC1, ""}},
                    {text("Hello"), text(""), failed(Error::kCompressedData)}, agreed);
    }
  }
}

TEST(Received, MessageThatEndsWithBfinalIsAccepted) {
  // [7692-7.2.2-COMPLETE] §7.2.3.4 without the empty block after it, as zlib writes it with Z_FINISH
  const Bytes hello = hex("f3 48 cd c9 c9 07 00");
  const Bytes again = hex("f3 00 11 00");  // refers to an earlier "Hello"
  expect_events({{0xC1, hello}, {0xC1, hello}, {0x81, "plain"}, {0xC1, hello}},
                {text("Hello"), text("Hello"), text("plain"), text("Hello")});
  expect_events({{0xC1, hello}, {0xC1, again}, {0xC1, hex("f2 00 11 00 00")}},
                {text("Hello"), text("Hello"), text("Hello")});
  // Cut into fragments; with empty ones.
  for (std::size_t cut = 0; cut <= hello.size(); ++cut) {
    expect_events({{0x41, hello.substr(0, cut)}, {0x80, hello.substr(cut)}, {0xC1, again}},
                  {text("Hello"), text("Hello")});
  }
  expect_events({{0x41, hello}, {0x00, again}, {0x80, ""}, {0xC1, again}},
                {text("HelloHello"), text("Hello")});
  // Several last blocks; an empty one; an uncompressed one; one after an empty block, as after a flush.
  expect_events({{0xC1, hello + again + hello}, {0xC1, again}},
                {text("HelloHelloHello"), text("Hello")});
  expect_events({{0xC1, hex("03 00")}, {0xC1, hex("03 00")}, {0xC1, hello}},
                {text(""), text(""), text("Hello")});
  expect_events({{0xC1, hex("01 05 00 fa ff 48 65 6c 6c 6f")}, {0xC1, again}},
                {text("Hello"), text("Hello")});
  expect_events({{0xC1, hex("f2 48 cd c9 c9 07 00 00 00 ff ff 03 00")}, {0xC1, again}},
                {text("Hello"), text("Hello")});
  // An empty uncompressed block with BFINAL, whose last four bytes the sender removed.
  expect_events({{0xC1, hex("01")}, {0xC1, hello}, {0xC1, hex("01")}, {0xC1, again}},
                {text(""), text("Hello"), text(""), text("Hello")});
}

TEST(Received, MessageThatStillHasItsEmptyBlockIsAccepted) {
  // [7692-7.2.2-COMPLETE] the sender did not remove 00 00 FF FF
  const Bytes hello = hex("f2 48 cd c9 c9 07 00 00 00 ff ff");
  const Bytes again = hex("f2 00 11 00 00 00 00 ff ff");
  expect_events({{0xC1, hello}, {0xC1, again}, {0xC1, hex("f2 00 11 00 00")}},
                {text("Hello"), text("Hello"), text("Hello")});
  for (std::size_t cut = 0; cut <= hello.size(); ++cut) {
    expect_events({{0x41, hello.substr(0, cut)}, {0x80, hello.substr(cut)}, {0xC1, again}},
                  {text("Hello"), text("Hello")});
  }
  expect_events({{0xC1, hex("00 00 00 ff ff")}, {0xC1, hello}, {0xC1, hex("00 00 00 ff ff")}},
                {text(""), text("Hello"), text("")});
  // Also after a block with BFINAL.
  expect_events({{0xC1, hex("f3 48 cd c9 c9 07 00 00 00 00 ff ff")}, {0xC1, again}},
                {text("Hello"), text("Hello")});
}

TEST(Received, MessageWithoutAnEmptyBlockIsAcceptedIfItEndsOnAByteBoundary) {
  // [7692-7.2.2-COMPLETE] as uncompressed blocks do, and a block of fixed codes of 64 bits
  expect_events({{0xC2, hex("da b0 71 d3 e6 2d 5b 01")}, {0xC2, hex("da b0 71 d3 e6 2d 5b 01 00")}},
                {binary(hex("b0 b1 b2 b3 b4 b5")), binary(hex("b0 b1 b2 b3 b4 b5"))});
  expect_events({{0xC1, hex("00 05 00 fa ff 48 65 6c 6c 6f")}, {0xC1, hex("f2 00 11 00 00")}},
                {text("Hello"), text("Hello")});
  expect_events(
      {{0xC1, hex("00 02 00 fd ff 48 65 00 03 00 fc ff 6c 6c 6f")}, {0xC1, hex("f2 00 11 00 00")}},
      {text("Hello"), text("Hello")});
}

TEST(Received, BfinalIsForgottenWhenMoreInputArrives) {
  // In the same message, and in the next one.
  const Bytes hello = hex("f3 48 cd c9 c9 07 00");
  expect_events({{0xC1, hello + hex("f2 48 cd")}}, {failed(Error::kCompressedData)});
  expect_events({{0x41, hello}, {0x80, hex("f2 48 cd")}}, {failed(Error::kCompressedData)});
  expect_events({{0xC1, hello}, {0xC1, hex("f2 48 cd")}},
                {text("Hello"), failed(Error::kCompressedData)});
  // Bytes after the block must be blocks: here the type 3, which is reserved.
  expect_events({{0xC1, hello + hex("ff ff")}}, {failed(Error::kCompressedData)});
}

TEST(Received, CompleteMessageIsAcceptedWithoutContextTakeover) {
  // [7692-7.2.2-COMPLETE], [7692-7.2.2-EMPTY] each message starts with an empty window, whichever way the last one ended
  const DeflateParameters none{.server_no_context_takeover = true,
                               .client_no_context_takeover = true};
  for (const Bytes& hello :
       {hex("f3 48 cd c9 c9 07 00"), hex("f2 48 cd c9 c9 07 00 00 00 ff ff"),
        hex("00 05 00 fa ff 48 65 6c 6c 6f"), hex("01 05 00 fa ff 48 65 6c 6c 6f")}) {
    expect_events({{0xC1, hello}, {0xC1, hello}, {0xC1, hex("f2 48 cd c9 c9 07 00")}},
                  {text("Hello"), text("Hello"), text("Hello")}, none);
    expect_events({{0xC1, hello}, {0xC1, hex("f2 00 11 00 00")}},
                  {text("Hello"), failed(Error::kCompressedData)}, none);
    expect_events({{0xC1, hello}, {0xC1, hex("f2 48 cd")}},
                  {text("Hello"), failed(Error::kCompressedData)}, none);
  }
}

TEST(Received, MessagesFinishedByZlibAreInflated) {
  // [7692-7.2.2-COMPLETE] zlib as the sender, with a new stream for each message. The sizes fill the pieces in which
  // messages are inflated (16 KiB) exactly, and by a byte more or less.
  std::mt19937 engine(6);
  Bytes noise;
  for (int i = 0; i < 33'000; ++i)
    noise += static_cast<char>('a' + engine() % 26);
  for (const std::size_t size : {0U, 1U, 100U, 4096U, 16383U, 16384U, 16385U, 32768U}) {
    const Bytes message = noise.substr(0, size);
    for (const int flush : {Z_FINISH, Z_SYNC_FLUSH, Z_FULL_FLUSH}) {
      const Bytes whole = deflated(message, flush);
      expect_events({{kCompressedBinary, whole}, {kCompressedBinary, whole}},
                    {binary(message), binary(message)});
    }
  }
}

TEST(Received, BlockWithBfinalDoesNotEndTheMessageOrResetTheWindow) {
  // [7692-7.2.2-BFINAL] "Hello" with BFINAL, then a block that refers to it, also in the next message
  expect_events({{0xC1, hex("f3 48 cd c9 c9 07 00 f2 00 11 00 00")}, {0xC1, hex("f2 00 11 00 00")}},
                {text("HelloHello"), text("Hello")});
}

TEST(Received, TextIsValidatedWhileItIsInflated) {
  // [6455-8.1-UTF8] in an uncompressed block, so that the input shows each byte: ff is the ninth
  expect_stream({.role = Role::kClient,
                 .deflate = DeflateParameters{},
                 .input = hex("c1 0b 00 05 00 fa ff 48 ff 6c 6c 6f 00"),
                 .events = {failed(Error::kTextNotUtf8, 9)},
                 .sent = client_frame(0x88, failing_close(Error::kTextNotUtf8).substr(2))});
  expect_events({{0xC1, hex("00 01 00 fe ff c3 00")}}, {failed(Error::kTextNotUtf8)});
  expect_events({{0x41, hex("00 02 00 fd ff c3")}, {0x80, hex("a9 00")}}, {text("é")});
}

TEST(Received, MessageMustNotReferToEarlierOnesWithoutContextTakeover) {
  // [7692-7.2.2-EMPTY]
  const DeflateParameters none{.server_no_context_takeover = true,
                               .client_no_context_takeover = true};
  expect_events({{0xC1, hex("f2 48 cd c9 c9 07 00")}, {0xC1, hex("f2 48 cd c9 c9 07 00")}},
                {text("Hello"), text("Hello")}, none);
  expect_events({{0xC1, hex("f2 48 cd c9 c9 07 00")}, {0xC1, hex("f2 00 11 00 00")}},
                {text("Hello"), failed(Error::kCompressedData)}, none);
}

TEST(Received, ContextTakeoverIsIndependentForEachDirection) {
  // [7692-7.2.2-TAKEOVER] the parameters of one direction do not affect the other
  const Bytes hello = hex("f2 48 cd c9 c9 07 00");
  const Bytes again = hex("f2 00 11 00 00");
  expect_stream({.deflate = DeflateParameters{.server_no_context_takeover = true},
                 .input = client_frame(0xC1, hello) + client_frame(0xC1, again),
                 .events = {text("Hello"), text("Hello")}});
  expect_stream({.role = Role::kClient,
                 .deflate = DeflateParameters{.client_no_context_takeover = true},
                 .input = server_frame(0xC1, hello) + server_frame(0xC1, again),
                 .events = {text("Hello"), text("Hello")}});
}

TEST(Received, WindowsOf9To15BitsAreSupported) {
  // [7692-7.2.2-WINDOW]
  const Bytes random = [] {
    std::mt19937 engine(1);
    Bytes bytes;
    for (int i = 0; i < 40'000; ++i)
      bytes += static_cast<char>(engine() & 0xFFU);
    return bytes;
  }();
  for (int bits = 9; bits <= 15; ++bits) {
    PeerDeflater peer(bits);
    const std::size_t window = std::size_t{1} << static_cast<unsigned>(bits);
    // zlib refers back at most 262 bytes less than the window.
    const Bytes first = random.substr(0, window - 300);
    DeflateParameters agreed;
    agreed.server_max_window_bits = agreed.client_max_window_bits = static_cast<std::uint8_t>(bits);
    const Bytes again = random.substr(0, 20);
    const Bytes one = client_frame(kCompressedBinary, peer.message(first));
    const Bytes two = client_frame(kCompressedBinary, peer.message(again));
    EXPECT_LT(two.size(), 20U) << "it must refer to the window";
    expect_stream(
        {.deflate = agreed, .input = one + two, .events = {binary(first), binary(again)}});
  }
}

// ------------------------------------------------------------------ limits

TEST(Limit, AppliesToTheInflatedSize) {
  // [6455-10.4-MESSAGE]
  PeerDeflater peer;
  const Limits limits{.message = 1000};
  const Bytes most(1000, 'a');
  expect_events({{kCompressedText, peer.message(most)}}, {text(most)}, {}, limits);
  peer.restart();
  expect_events({{kCompressedText, peer.message(most + 'a')}}, {failed(Error::kMessageTooBig)}, {},
                limits);
  // Bytes before the limit are validated first.
  peer.restart();
  expect_events({{kCompressedText, peer.message(Bytes(999, 'a') + "\xff" + "a")}},
                {failed(Error::kTextNotUtf8)}, {}, limits);
  peer.restart();
  expect_events({{kCompressedText, peer.message(most + "\xff")}}, {failed(Error::kMessageTooBig)},
                {}, limits);
}

TEST(Limit, AppliesToTheSumOfTheFragments) {
  PeerDeflater peer;
  const Bytes whole = peer.message(Bytes(1001, 'a'));
  expect_events({{0x41, whole.substr(0, 5)}, {0x00, whole.substr(5, 1)}, {0x80, whole.substr(6)}},
                {failed(Error::kMessageTooBig)}, {}, {.message = 1000});
}

TEST(Limit, AlsoBoundsTheCompressedSizeByTheWorstCaseOfZlib) {
  // An uncompressed block of one byte has six bytes, more than zlib ever needs.
  const Limits limits{.message = 640};
  static_assert(max_compressed(640) == 640 + 80 + 10 + 16);
  const auto blocks = [](std::size_t count) { return repeat(count, hex("00 01 00 fe ff 61")); };
  expect_events({{kCompressedText, blocks(124) + hex("00")}}, {text(Bytes(124, 'a'))}, {}, limits);
  expect_events({{kCompressedText, blocks(124) + hex("00 00 00")}}, {failed(Error::kMessageTooBig)},
                {}, limits);
  // The frame headers of all fragments are added up.
  expect_events({{0x41, blocks(100)}, {0x80, blocks(24) + hex("00")}}, {text(Bytes(124, 'a'))}, {},
                limits);
  expect_events({{0x41, blocks(100)}, {0x80, blocks(25)}}, {failed(Error::kMessageTooBig)}, {},
                limits);
}

TEST(Limit, StopsADecompressionBombBeforeItIsInMemory) {
  // [6455-10.4-MESSAGE] 64 MiB of zeros in 64 KiB
  PeerDeflater peer;
  Bytes bomb = client_frame(kCompressedBinary, peer.message(Bytes(64U << 20U, '\0')));
  ASSERT_LT(bomb.size(), 70'000U);
  Budget budget(std::size_t{1} << 40U);
  DeflatePool pool({.is_enabled = true}, &budget);
  const ConnectionSettings settings{
      .limits = {.message = 100'000}, .budget = &budget, .deflate = &pool};
  Connection connection(settings);
  connection.use_deflate({});
  Output out;
  std::size_t most = 0;
  std::span<std::byte> rest = std::as_writable_bytes(std::span(bomb));
  Event event;
  std::size_t taken = 0;
  while (event.type == Event::Type::kNeedMore && !rest.empty()) {
    std::span<std::byte> in = rest.first(1);
    rest = rest.subspan(1);
    ++taken;
    event = connection.next(in, out);
    most = std::max(most, budget.used());
  }
  EXPECT_EQ(event.error, Error::kMessageTooBig);
  EXPECT_LT(taken, 400U) << "fails at the first byte over the limit";
  EXPECT_LT(most, 300'000U) << "at most twice the message, and the window";
}

// ------------------------------------------------------------------ sending

/// A connection whose output is parsed here, without the decoder under test.
class Sender {
 public:
  explicit Sender(const DeflateParameters& agreed, DeflateSettings settings = {},
                  Role role = Role::kServer, std::size_t budget = std::size_t{1} << 40U)
      : budget_(budget),
        pool_(settings, &budget_),
        settings_{.role = role,
                  .new_masking_key = key_of_the_examples,
                  .budget = &budget_,
                  .deflate = &pool_},
        connection_(settings_) {
    connection_.use_deflate(agreed);
  }

  struct Sent {
    unsigned byte0 = 0;
    Bytes payload;
    bool operator==(const Sent&) const = default;
  };
  Sent send(Opcode opcode, std::vector<std::string_view> parts) {
    Output out;
    out.append(std::string_view("before"));
    bool was_sent = false;
    if (parts.size() == 1)
      was_sent = connection_.send(opcode, {as_span(parts[0])}, out);
    else
      was_sent = connection_.send(opcode, {as_span(parts[0]), as_span(parts[1])}, out);
    EXPECT_TRUE(was_sent);
    return take(out);
  }
  Sent ping(std::string_view payload) {
    Output out;
    out.append(std::string_view("before"));
    EXPECT_TRUE(connection_.send_control(Opcode::kPing, as_span(payload), out));
    return take(out);
  }
  Connection& connection() { return connection_; }
  Budget& budget() { return budget_; }

 private:
  Sent take(const Output& out) {
    Bytes bytes = flatten(out);
    EXPECT_EQ(bytes.substr(0, 6), "before");
    bytes = bytes.substr(6);
    const auto byte = [&](std::size_t i) {
      return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i]));
    };
    const bool is_masked = byte(1) >= 0x80;
    EXPECT_EQ(is_masked, settings_.role == Role::kClient);
    std::size_t length = byte(1) & 0x7FU;
    std::size_t header = 2;
    if (length == 126) {
      length = byte(2) * 256 + byte(3);
      header = 4;
      EXPECT_GE(length, 126U);
    } else if (length == 127) {
      length = 0;
      for (std::size_t i = 2; i < 10; ++i)
        length = length * 256 + byte(i);
      header = 10;
      EXPECT_GE(length, 65536U);
    }
    if (is_masked) {
      EXPECT_EQ(bytes.substr(header, 4), kKey);
      header += 4;
    }
    EXPECT_EQ(bytes.size(), header + length) << "one frame";
    const Bytes payload = bytes.substr(header);
    return {static_cast<unsigned>(byte(0)), is_masked ? masked(payload) : payload};
  }

  Budget budget_;
  DeflatePool pool_;
  ConnectionSettings settings_;
  Connection connection_;
};

const Bytes kLine = "The quick brown fox jumps over the lazy dog, and over the lazy dog again.";
constexpr DeflateParameters kNoTakeover{.server_no_context_takeover = true,
                                        .client_no_context_takeover = true};

TEST(Sent, MessageIsCompressedAndItsFrameHasRsv1) {
  // [7692-6.1-COMPRESSED], [7692-5-AGREED]
  for (const Role role : {Role::kServer, Role::kClient}) {
    Sender sender({}, {}, role);
    PeerInflater peer;
    const Sender::Sent first = sender.send(Opcode::kText, {kLine});
    EXPECT_EQ(first.byte0, 0xC1U);
    EXPECT_LT(first.payload.size(), kLine.size());
    EXPECT_FALSE(first.payload.ends_with(hex("0000ffff"))) << "[7692-7.2.1-TAIL]";
    EXPECT_EQ(peer.message(first.payload), kLine);
    const Sender::Sent parts = sender.send(Opcode::kBinary, {kLine, "!"});
    EXPECT_EQ(parts.byte0, 0xC2U);
    EXPECT_EQ(peer.message(parts.payload), kLine + "!");
  }
}

TEST(Sent, WindowIsKeptUnlessNoContextTakeoverIsNegotiated) {
  // [7692-7.2.1-TAKEOVER]
  Sender keeper({});
  const std::size_t first = keeper.send(Opcode::kText, {kLine}).payload.size();
  EXPECT_LT(keeper.send(Opcode::kText, {kLine}).payload.size(), first / 4);

  // [7692-7.2.1-SERVER-EMPTY], [7692-7.2.1-CLIENT-EMPTY]: no message refers to another
  for (const Role role : {Role::kServer, Role::kClient}) {
    const bool is_server = role == Role::kServer;
    Sender sender(
        {.server_no_context_takeover = is_server, .client_no_context_takeover = !is_server}, {},
        role);
    const Sender::Sent one = sender.send(Opcode::kText, {kLine});
    EXPECT_EQ(one, sender.send(Opcode::kText, {kLine}));
    EXPECT_EQ(PeerInflater().message(one.payload), kLine);
  }
}

TEST(Sent, EachCompressedFrameOfAClientHasANewMaskingKey) {
  // [6455-5.3-KEY]
  static unsigned char calls = 0;
  DeflatePool pool({.is_enabled = true}, nullptr);
  const ConnectionSettings settings{
      .role = Role::kClient,
      .new_masking_key = [] { return MaskingKey{std::byte{++calls}}; },
      .deflate = &pool};
  Connection connection(settings);
  connection.use_deflate({});
  for (char key = 1; key <= 3; ++key) {
    Output out;
    EXPECT_TRUE(connection.send(Opcode::kText, {as_span(kLine)}, out));
    EXPECT_EQ(flatten(out)[0], '\xC1');
    EXPECT_EQ(flatten(out).substr(2, 4), (Bytes{key, 0, 0, 0}));
  }
}

TEST(Sent, MessageRefersBackNoFurtherThanTheNegotiatedWindow) {
  // [7692-7.2.1-WINDOW] Text repeats at distances below and above the size of the window.
  std::mt19937 engine(2);
  Bytes noise;
  for (int i = 0; i < 70'000; ++i)
    noise += static_cast<char>('a' + engine() % 26);
  for (int bits = 9; bits <= 15; ++bits) {
    for (const Role role : {Role::kServer, Role::kClient}) {
      DeflateParameters agreed;
      (role == Role::kServer ? agreed.server_max_window_bits : agreed.client_max_window_bits) =
          static_cast<std::uint8_t>(bits);
      Sender sender(agreed, {}, role);
      PeerInflater peer(bits);
      const std::size_t window = std::size_t{1} << static_cast<unsigned>(bits);
      for (const std::size_t distance : {window / 2, window - 100, window + 100, window * 2}) {
        const Bytes message =
            noise.substr(0, 200) + noise.substr(1000, distance % 60'000) + noise.substr(0, 200);
        EXPECT_EQ(peer.message(sender.send(Opcode::kBinary, {message}).payload), message)
            << bits << " bits, " << distance;
      }
    }
  }
}

TEST(Sent, MessagesAreUncompressedIfTheWindowIsTooSmallForZlib) {
  for (const bool takes_over : {true, false}) {
    Sender sender({.server_no_context_takeover = !takes_over, .server_max_window_bits = 8});
    EXPECT_EQ(sender.send(Opcode::kText, {kLine}), (Sender::Sent{0x81, kLine}));
  }
}

TEST(Sent, MessageBelowTheThresholdIsUncompressed) {
  // [7692-6.1-PLAIN]
  Sender sender({}, {.threshold = 20});
  EXPECT_EQ(sender.send(Opcode::kText, {Bytes(19, 'a')}).byte0, 0x81U);
  EXPECT_EQ(sender.send(Opcode::kText, {Bytes(20, 'a')}).byte0, 0xC1U);
  EXPECT_EQ(sender.send(Opcode::kText, {Bytes(19, 'a'), "a"}).byte0, 0xC1U);
  Sender all({}, {.threshold = 1});
  EXPECT_EQ(all.send(Opcode::kText, {""}), (Sender::Sent{0x81, ""}));
  PeerInflater peer;
  EXPECT_EQ(peer.message(all.send(Opcode::kText, {"a"}).payload), "a");
  EXPECT_EQ(peer.message(all.send(Opcode::kText, {"b"}).payload), "b");
}

TEST(Sent, IncompressibleMessageIsUncompressedWithoutContextTakeover) {
  std::mt19937 engine(3);
  Bytes noise;
  for (int i = 0; i < 100'000; ++i)
    noise += static_cast<char>(engine() & 0xFFU);
  Sender sender(kNoTakeover);
  EXPECT_EQ(sender.send(Opcode::kBinary, {noise}), (Sender::Sent{0x82, noise}));
  EXPECT_EQ(sender.send(Opcode::kText, {kLine}).byte0, 0xC1U);
  Sender keeper({});
  PeerInflater peer;
  const Sender::Sent sent = keeper.send(Opcode::kBinary, {noise});
  EXPECT_EQ(sent.byte0, 0xC2U);
  EXPECT_GT(sent.payload.size(), noise.size());
  EXPECT_EQ(peer.message(sent.payload), noise);
  EXPECT_EQ(peer.message(keeper.send(Opcode::kText, {kLine}).payload), kLine);
}

TEST(Sent, ControlFramesAreNeverCompressed) {
  // [7692-6.1-RSV1]
  Sender sender({}, {.threshold = 1});
  EXPECT_EQ(sender.ping(Bytes(125, 'a')), (Sender::Sent{0x89, Bytes(125, 'a')}));
}

TEST(Sent, CompressedFrameUsesTheShortestLengthForm) {
  // Random bytes hardly compress, so the payload is nearly as long as the message.
  std::mt19937 engine(4);
  Bytes noise;
  for (int i = 0; i < 66'000; ++i)
    noise += static_cast<char>(engine() & 0xFFU);
  Sender sender({}, {.threshold = 1});
  PeerInflater peer;
  for (const std::size_t around : {110U, 65'500U}) {
    for (std::size_t size = around; size < around + 40; ++size) {
      const Bytes message = noise.substr(noise.size() - size);
      EXPECT_EQ(peer.message(sender.send(Opcode::kBinary, {message}).payload), message);
    }
  }
}

TEST(Sent, CompressedMessageOfAnySizeFitsIntoTheReservedSpace) {
  // Random bytes give zlib's longest output. Each window size has its own memory level.
  std::mt19937 engine(5);
  Bytes noise;
  for (int i = 0; i < 300'000; ++i)
    noise += static_cast<char>(engine() & 0xFFU);
  for (int bits = 9; bits <= 15; ++bits) {
    Sender sender({.server_max_window_bits = static_cast<std::uint8_t>(bits)}, {.threshold = 1});
    PeerInflater peer(bits);
    for (std::size_t size = 1; size < noise.size(); size = size * 5 / 3 + 1) {
      const Bytes message = noise.substr(0, size);
      EXPECT_EQ(peer.message(sender.send(Opcode::kBinary, {message}).payload), message) << bits;
    }
  }
}

// ------------------------------------------------------------------ shared by connections

TEST(Sent, FastPathIsNotUsedIfDeflateWasNegotiated) {
  DeflatePool pool({.is_enabled = true}, nullptr);
  const ConnectionSettings settings{.deflate = &pool};
  Connection connection(settings);
  connection.use_deflate({});
  Output out;
  out.extend(1000);
  out.clear();
  EXPECT_FALSE(connection.try_send_small(Opcode::kText, as_span("once and again"), out));
  EXPECT_TRUE(out.empty());
}

TEST(SharedPool, KeepsIncompleteMessagesOfConnectionsSeparate) {
  Budget budget(std::size_t{1} << 40U);
  DeflatePool pool({.is_enabled = true, .keeps_context = false}, &budget);
  const ConnectionSettings settings{.budget = &budget, .deflate = &pool};
  Connection a(settings);
  Connection b(settings);
  a.use_deflate(kNoTakeover);
  b.use_deflate(kNoTakeover);
  Output out;
  const auto give = [&out](Connection& connection, Bytes bytes) {
    std::span<std::byte> in = std::as_writable_bytes(std::span(bytes));
    const Event event = connection.next(in, out);
    return event.type == Event::Type::kNeedMore ? "(more)" : to_bytes(event.payload);
  };
  PeerDeflater peer;
  const Bytes one = client_frame(kCompressedText, peer.message("one, one, one, one"));
  peer.restart();
  const Bytes two = client_frame(kCompressedText, peer.message("two, two, two, two"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(give(a, one.substr(0, 10)), "(more)");
    EXPECT_EQ(give(b, two.substr(0, 12)), "(more)");
    EXPECT_EQ(give(a, one.substr(10)), "one, one, one, one");
    EXPECT_EQ(give(b, two.substr(12)), "two, two, two, two");
  }
}

TEST(SharedPool, HoldsNoWindowPerIdleConnectionWithoutContextTakeover) {
  Budget budget(std::size_t{1} << 40U);
  DeflatePool pool({.is_enabled = true, .keeps_context = false}, &budget);
  const ConnectionSettings settings{.budget = &budget, .deflate = &pool};
  std::vector<std::unique_ptr<Connection>> connections;
  std::size_t used = 0;
  for (int i = 0; i < 100; ++i) {
    connections.push_back(std::make_unique<Connection>(settings));
    connections.back()->use_deflate(kNoTakeover);
    Bytes bytes = client_frame(kCompressedText, hex("f2 48 cd c9 c9 07 00"));
    std::span<std::byte> in = std::as_writable_bytes(std::span(bytes));
    Output out;
    EXPECT_EQ(to_bytes(connections.back()->next(in, out).payload), "Hello");
    connections.back()->release();
    connections.back()->send(Opcode::kText, {as_span(kLine)}, out);
    if (i == 0)
      used = budget.used();
  }
  EXPECT_EQ(budget.used(), used) << "all connections share the memory of the first";
}

TEST(SharedPool, LeavesHalfOfTheRoomInTheBudgetForInflaters) {
  const std::size_t size = DeflatePool({}, nullptr).memory(15, false);
  for (const std::size_t room : {2 * size - 1, 2 * size}) {
    Budget budget(room);
    DeflatePool pool({.is_enabled = true}, &budget);
    EXPECT_EQ(pool.deflater(15) != nullptr, room == 2 * size);
    EXPECT_EQ(pool.deflater(15) != nullptr, room == 2 * size) << "the same one again";
    EXPECT_NE(pool.borrow_inflater(), nullptr);
  }
}

TEST(SharedFrame, ResetsTheSendContextOfTheConnection) {
  Sender sender({});
  PeerInflater peer;
  EXPECT_EQ(peer.message(sender.send(Opcode::kText, {kLine}).payload), kLine);
  ASSERT_TRUE(sender.connection().accepts_shared_deflate());
  // A frame that was compressed elsewhere is sent to the same peer.
  const Bytes other = "Something else that was compressed for many, without context.";
  EXPECT_EQ(peer.message(PeerDeflater().message(other)), other);
  sender.connection().forget_sent_context();
  EXPECT_EQ(peer.message(sender.send(Opcode::kText, {kLine}).payload), kLine);
  EXPECT_EQ(peer.message(sender.send(Opcode::kText, {kLine}).payload), kLine);

  EXPECT_FALSE(Sender({.server_max_window_bits = 14}).connection().accepts_shared_deflate());
  EXPECT_TRUE(Sender({.server_max_window_bits = 14}, {.window_bits = 14})
                  .connection()
                  .accepts_shared_deflate());
  Sender new_one({});
  new_one.connection().forget_sent_context();  // no context yet
  const ConnectionSettings settings;
  EXPECT_FALSE(Connection(settings).accepts_shared_deflate()) << "deflate was not negotiated";
}

// ------------------------------------------------------------------ memory

TEST(Memory, OfZlibIsChargedToTheBudget) {
  for (const bool takes_over : {true, false}) {
    for (const std::uint8_t bits : {std::uint8_t{9}, std::uint8_t{12}, std::uint8_t{15}}) {
      const DeflateSettings settings{
          .is_enabled = true, .keeps_context = takes_over, .window_bits = bits};
      const DeflateParameters agreed{.server_no_context_takeover = !takes_over,
                                     .client_no_context_takeover = !takes_over,
                                     .server_max_window_bits = bits};
      Sender sender(agreed, settings);
      EXPECT_EQ(sender.budget().used(), 0U) << "before the first message";
      for (int i = 0; i < 50; ++i) {
        sender.send(Opcode::kBinary, {Bytes(100'000, static_cast<char>(i))});
      }
      const std::size_t compressor = sender.budget().used();
      const std::size_t window = std::size_t{1} << bits;
      EXPECT_GE(compressor, 8 * window);
      EXPECT_LT(compressor, 8 * window + 8192) << "as deflate.h says";
      PeerDeflater peer;
      Bytes bytes = client_frame(kCompressedBinary, peer.message(Bytes(100'000, 'a')));
      std::span<std::byte> in = std::as_writable_bytes(std::span(bytes)).first(bytes.size() - 1);
      Output out;
      EXPECT_EQ(sender.connection().next(in, out).type, Event::Type::kNeedMore);
      // The budget also counts the message, at most doubled.
      EXPECT_LE(sender.budget().used(),
                (takes_over ? 0 : compressor) + deflate_memory(settings) + 200'000);
      EXPECT_GE(deflate_memory(settings), 32'768 + (takes_over ? compressor : 0));
      EXPECT_LT(deflate_memory(settings), 32'768 + 12'288 + (takes_over ? compressor : 0));
    }
  }
}

TEST(Memory, ShortageLeavesSentMessagesUncompressed) {
  for (const auto& agreed : {DeflateParameters{}, kNoTakeover}) {
    Sender sender(agreed, {}, Role::kServer, 100'000);
    EXPECT_EQ(sender.send(Opcode::kText, {kLine}), (Sender::Sent{0x81, kLine}));
    EXPECT_EQ(sender.budget().used(), 0U);
  }
}

TEST(Memory, ShortageFailsAConnectionThatReceivesCompressedData) {
  // [6455-10.4-BUDGET] 6,000 bytes are too few for an inflater, 20,000 for its window
  for (const std::size_t budget : {6'000U, 20'000U}) {
    for (const auto& agreed : {DeflateParameters{}, kNoTakeover}) {
      Sender sender(agreed, {}, Role::kServer, budget);
      PeerDeflater peer;
      Bytes bytes = client_frame(kCompressedBinary, peer.message(kLine));
      Output out;
      std::span<std::byte> in = std::as_writable_bytes(std::span(bytes)).first(40);
      Event event = sender.connection().next(in, out);
      if (event.type == Event::Type::kNeedMore) {
        in = std::as_writable_bytes(std::span(bytes)).subspan(40);
        event = sender.connection().next(in, out);
      }
      EXPECT_EQ(event.error, Error::kOverBudget);
      EXPECT_EQ(flatten(out), failing_close(Error::kOverBudget));
    }
  }
}

// ------------------------------------------------------------------ the reserve for context takeover

constexpr DeflateSettings kEnabled{.is_enabled = true};

TEST(Pool, SharesOneDeflaterPerWindowSizeWithoutABudget) {
  DeflatePool pool(kEnabled, nullptr);
  Deflater* const deflater = pool.deflater(15);
  EXPECT_NE(deflater, nullptr);
  EXPECT_EQ(pool.deflater(15), deflater);
  EXPECT_NE(pool.deflater(9), deflater);
  EXPECT_EQ(pool.deflater(8), nullptr) << "zlib has no window of 2^8 bytes";
}

TEST(Reserve, IsGivenToConnectionsUntilItIsUsedUp) {
  const std::size_t one = deflate_memory(kEnabled);
  Budget reserve(2 * one + one / 2);
  DeflatePool pool(kEnabled, nullptr, &reserve);
  {
    const Charge first = pool.reserve();
    EXPECT_EQ(first.size(), one);
    {
      const Charge second = pool.reserve();
      EXPECT_EQ(second.size(), one);
      EXPECT_EQ(pool.reserve().size(), 0U) << "used up";
      EXPECT_EQ(reserve.used(), 2 * one);
    }
    EXPECT_EQ(pool.reserve().size(), one) << "given back";
  }
  EXPECT_EQ(reserve.used(), 0U);
}

TEST(Reserve, IsSharedByThePoolsOfAllLoops) {
  Budget reserve(deflate_memory(kEnabled));
  DeflatePool a(kEnabled, nullptr, &reserve);
  DeflatePool b(kEnabled, nullptr, &reserve);
  const Charge charge = a.reserve();
  EXPECT_GT(charge.size(), 0U);
  EXPECT_EQ(b.reserve().size(), 0U);
}

TEST(Reserve, IsOptional) {
  DeflatePool pool(kEnabled, nullptr);
  EXPECT_EQ(pool.reserve().size(), deflate_memory(kEnabled));
}

TEST(Reserve, IsNotUsedIfTheSettingsForbidTakeover) {
  Budget reserve(std::size_t{1} << 30U);
  DeflatePool disabled({}, nullptr, &reserve);
  EXPECT_EQ(disabled.reserve().size(), 0U);
  DeflatePool forgets({.is_enabled = true, .keeps_context = false}, nullptr, &reserve);
  EXPECT_EQ(forgets.reserve().size(), 0U);
}

TEST(Reserve, KeepsOnlyTheMemoryThatTheNegotiatedParametersNeed) {
  Budget reserve(std::size_t{1} << 30U);
  DeflatePool pool(kEnabled, nullptr, &reserve);
  const ConnectionSettings settings{.deflate = &pool};
  const auto reserved = [&](const DeflateParameters& agreed) {
    Connection connection(settings);
    connection.use_deflate(agreed, pool.reserve());
    return reserve.used();
  };
  const std::size_t deflater = pool.memory(15, false);
  const std::size_t inflater = pool.memory(8, true);
  EXPECT_EQ(pool.memory(8, false), 0U);
  EXPECT_EQ(deflater + inflater, deflate_memory(kEnabled));
  EXPECT_EQ(reserved({}), deflater + inflater);
  EXPECT_EQ(reserved({.server_no_context_takeover = true}), inflater);
  EXPECT_EQ(reserved({.client_no_context_takeover = true}), deflater);
  EXPECT_EQ(reserved(kNoTakeover), 0U);
  EXPECT_EQ(reserved({.server_max_window_bits = 9}), pool.memory(9, true));
  EXPECT_LT(pool.memory(9, false), deflater / 16);
  EXPECT_EQ(reserved({.server_max_window_bits = 8}), inflater);
  EXPECT_EQ(reserved({.client_max_window_bits = 9}), deflater + inflater);
  EXPECT_EQ(reserve.used(), 0U) << "given back at the end of each connection";
}

TEST(Reserve, CoversTheMemoryThatAConnectionUses) {
  for (const std::uint8_t bits : {std::uint8_t{9}, std::uint8_t{12}, std::uint8_t{15}}) {
    std::size_t used = 0;
    for (const bool reserves : {false, true}) {
      Budget budget(std::size_t{1} << 30U);
      Budget reserve(std::size_t{1} << 30U, &budget);
      DeflatePool pool(kEnabled, &budget, &reserve);
      const ConnectionSettings settings{.deflate = &pool};
      Connection connection(settings);
      connection.use_deflate({.server_max_window_bits = bits},
                             reserves ? pool.reserve() : Charge(nullptr));
      EXPECT_EQ(budget.used(), used) << "0, and then what the first connection used";
      const std::size_t others = reserves ? budget.room() : 0;
      EXPECT_TRUE(budget.take(others)) << "other connections use up the budget";
      Output out;
      EXPECT_TRUE(connection.send(Opcode::kText, {as_span(kLine)}, out));
      EXPECT_EQ(flatten(out)[0], '\xC1') << "compressed";
      Bytes bytes = client_frame(kCompressedText, hex("f2 48 cd c9 c9 07 00"));
      std::span<std::byte> in = std::as_writable_bytes(std::span(bytes));
      EXPECT_EQ(to_bytes(connection.next(in, out).payload), "Hello");
      used = budget.used();
      budget.give(others);
    }
  }
}

TEST(Reserve, IsReturnedWhenTheConnectionIsClosedOrFails) {
  Budget reserve(std::size_t{1} << 30U);
  DeflatePool pool(kEnabled, nullptr, &reserve);
  const ConnectionSettings settings{.deflate = &pool};
  for (const Bytes& last : {client_frame(0x88, ""), client_frame(0xC1, "")}) {
    Connection connection(settings);
    connection.use_deflate({}, pool.reserve());
    EXPECT_GT(reserve.used(), 0U);
    Bytes bytes = last;
    std::span<std::byte> in = std::as_writable_bytes(std::span(bytes));
    Output out;
    connection.next(in, out);
    EXPECT_TRUE(connection.is_finished());
    EXPECT_EQ(reserve.used(), 0U);
  }
}

// ------------------------------------------------------------------ regressions, found by the plain decoder

TEST(Received, LastEmptyBlockMayHaveBfinal) {
  // [7692-7.2.2-BFINAL] The last four bytes of such a block are the same, and are removed. "Hello" and that block,
  // then a message of only that block, then one that refers to "Hello".
  expect_events({{0xC1, hex("f2 48 cd c9 c9 07 00 00 00 ff ff 01")},
                 {0xC2, hex("01")},
                 {0xC1, hex("f2 00 11 00 00")}},
                {text("Hello"), binary(""), text("Hello")});
}

TEST(Received, ReferenceBeyondTheNegotiatedWindowIsAcceptedInAnyChunks) {
  // [7692-7.2.2-WINDOW] With a window of the negotiated size, zlib accepts this whole and rejects it in chunks.
  const DeflateParameters smallest{.server_max_window_bits = 8, .client_max_window_bits = 8};
  std::mt19937 engine(6);
  Bytes noise;
  for (int i = 0; i < 600; ++i)
    noise += static_cast<char>(engine() & 0xFFU);
  const Bytes message = noise + noise.substr(0, 100);
  const Bytes compressed = PeerDeflater(15).message(message);
  ASSERT_LT(compressed.size(), 650U) << "it must refer to the window";
  expect_events({{kCompressedBinary, compressed}}, {binary(message)}, smallest);
}

TEST(Memory, BudgetIsOptional) {
  DeflatePool pool({.is_enabled = true, .threshold = 1}, nullptr);
  const ConnectionSettings settings{.deflate = &pool};
  Connection connection(settings);
  connection.use_deflate({});
  Bytes bytes = client_frame(kCompressedText, hex("f2 48 cd c9 c9 07 00"));
  std::span<std::byte> in = std::as_writable_bytes(std::span(bytes));
  Output out;
  EXPECT_EQ(to_bytes(connection.next(in, out).payload), "Hello");
  ASSERT_TRUE(connection.send(Opcode::kText, {as_span("Hello")}, out));
  EXPECT_EQ(PeerInflater().message(flatten(out).substr(2)), "Hello");
}

}  // namespace
}  // namespace ws::test
