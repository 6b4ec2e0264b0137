// The connection after the handshake, for either role: RFC 6455 §5 to §8.
//
// Each stream runs whole, byte by byte, split at every position, and next to guard pages: see stream.h.
#include "protocol/frame/connection.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/stream.h"

namespace ws::test {
namespace {

/// Masks `frame`, which has up to 125 payload bytes, as a client does.
Bytes masked_frame(const Bytes& frame) {
  return frame.substr(0, 1) + static_cast<char>(frame[1] | '\x80') + Bytes(kKey) +
         masked(frame.substr(2));
}

// ------------------------------------------------------------------ §5.7, the examples

// [6455-6.2-FRAMES] The frames of the RFC, byte for byte. [6455-6.2-TYPE] The opcode selects text or binary.
// [6455-5.2-FIN] FIN marks the last fragment. [6455-5.4-ORDER] Fragments are joined in order of arrival.

TEST(Section5_7, ASingleFrameUnmaskedTextMessageIsDelivered) {
  expect_stream({.role = Role::kClient,
                 .input = hex("81"                // FIN, text
                              "05"                // not masked, 5 bytes
                              "48 65 6c 6c 6f"),  // "Hello"
                 .events = {text("Hello")}});
}

TEST(Section5_7, ASingleFrameMaskedTextMessageIsDelivered) {
  expect_stream({.input = hex("81"                // FIN, text
                              "85"                // masked, 5 bytes
                              "37 fa 21 3d"       // masking key
                              "7f 9f 4d 51 58"),  // "Hello"
                 .events = {text("Hello")}});
}

TEST(Section5_7, AFragmentedUnmaskedTextMessageIsReassembled) {
  expect_stream({.role = Role::kClient,
                 .input = hex("01 03 48 65 6c"  // text, 3 bytes: "Hel"
                              "80 02 6c 6f"),   // FIN, continuation, 2 bytes: "lo"
                 .events = {text("Hello")}});
}

TEST(Section5_7, APingIsAnsweredWithAPongOfTheSamePayload) {
  // [6455-5.5.2-PONG] the pong has the ping's payload; a client masks it, a server does not
  expect_stream({.role = Role::kClient,
                 .input = hex("89 05 48 65 6c 6c 6f"),  // FIN, ping, 5 bytes: "Hello"
                 .events = {ping("Hello")},
                 .sent = hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58")});  // FIN, pong, masked
  expect_stream({.input = hex("89 85 37 fa 21 3d 7f 9f 4d 51 58"),
                 .events = {ping("Hello")},
                 .sent = hex("8a 05 48 65 6c 6c 6f")});
  expect_stream({.input = hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"), .events = {pong("Hello")}});
}

TEST(Section5_7, A256ByteBinaryMessageIsDelivered) {
  const Bytes payload = repeat(16, "0123456789\xff\xfe\xfd\xfc\xfb\xfa");
  expect_stream({.role = Role::kClient,
                 .input = hex("82 7e 0100") + payload,  // FIN, binary; 256 bytes
                 .events = {binary(payload)}});
  expect_stream(
      {.input = hex("82 fe 0100 37 fa 21 3d") + masked(payload), .events = {binary(payload)}});
}

TEST(Section5_7, A64KibibyteBinaryMessageIsDelivered) {
  const Bytes payload = repeat(4096, "0123456789\xff\xfe\xfd\xfc\xfb\xfa");
  expect_stream({.role = Role::kClient,
                 .input = hex("82 7f 0000000000010000") + payload,  // FIN, binary; 65,536 bytes
                 .events = {binary(payload)}});
  expect_stream({.input = hex("82 ff 0000000000010000 37 fa 21 3d") + masked(payload),
                 .events = {binary(payload)}});
}

// ------------------------------------------------------------------ §5.2, §5.5: a frame's header

TEST(Header, MustUseTheShortestLengthFormInACompleteFrame) {
  // [6455-5.2-MINLEN] The fast path, which handles complete frames, must not accept a longer form.
  for (const std::size_t size : {1U, 125U}) {
    const Bytes length = {'\0', static_cast<char>(size)};
    expect_stream({.input = hex("82 fe") + length + Bytes(kKey) + masked(Bytes(size, 'a')),
                   .events = {failed(Error::kLengthNotMinimal, 4)},
                   .sent = failing_close(Error::kLengthNotMinimal)});
  }
  expect_stream({.input = hex("82 fe 00 7e") + Bytes(kKey) + masked(Bytes(126, 'a')),
                 .events = {binary(Bytes(126, 'a'))}});
}

TEST(Server, FailsTheConnectionAtTheFirstInvalidHeaderByte) {
  // [6455-7.1.7-FAIL] Bytes after the invalid byte, here a text message, are ignored.
  const Bytes behind = hex("81 85 37 fa 21 3d 7f 9f 4d 51 58");
  const struct {
    const char* rule;
    Bytes bytes;  // the last byte is the first invalid one
    Error error;
  } kRows[] = {
      {"[6455-5.2-RSV] RSV1", hex("c1"), Error::kReservedBit},
      {"[6455-5.2-RSV] RSV2", hex("a2"), Error::kReservedBit},
      {"[6455-5.2-RSV] RSV3", hex("99"), Error::kReservedBit},
      {"[6455-5.2-RSV] RSV1 and RSV2", hex("e8"), Error::kReservedBit},
      {"[6455-5.2-RSV] RSV1 and RSV3", hex("d0"), Error::kReservedBit},
      {"[6455-5.2-RSV] RSV2 and RSV3", hex("ba"), Error::kReservedBit},
      {"[6455-5.2-RSV] all three", hex("71"), Error::kReservedBit},
      {"[6455-5.2-OPCODE] 3", hex("83"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] 4", hex("04"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] 5", hex("85"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] 6", hex("86"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] 7", hex("87"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] B", hex("8b"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] C", hex("8c"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] D", hex("8d"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] E", hex("8e"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] F", hex("0f"), Error::kReservedOpcode},
      {"[6455-5.5-FIN] a close in fragments", hex("08"), Error::kControlFragmented},
      {"[6455-5.5-FIN] a ping in fragments", hex("09"), Error::kControlFragmented},
      {"[6455-5.5-FIN] a pong in fragments", hex("0a"), Error::kControlFragmented},
      {"[6455-5.1-MASK] text without a mask", hex("81 05"), Error::kNotMasked},
      {"[6455-5.1-MASK] an empty ping without a mask", hex("89 00"), Error::kNotMasked},
      {"[6455-5.5-LENGTH] a ping of 126 bytes", hex("89 fe"), Error::kControlTooLong},
      {"[6455-5.5-LENGTH] a close of 126 bytes", hex("88 fe"), Error::kControlTooLong},
      {"[6455-5.5-LENGTH] a pong of 64 KiB", hex("8a ff"), Error::kControlTooLong},
      {"[6455-5.2-MINLEN] 0 in 16 bits", hex("81 fe 00 00"), Error::kLengthNotMinimal},
      {"[6455-5.2-MINLEN] 125 in 16 bits", hex("81 fe 00 7d"), Error::kLengthNotMinimal},
      {"[6455-5.2-MINLEN] 5 in 64 bits", hex("81 ff 00 00 00 00 00 00 00 05"),
       Error::kLengthNotMinimal},
      {"[6455-5.2-MINLEN] 65535 in 64 bits", hex("81 ff 00 00 00 00 00 00 ff ff"),
       Error::kLengthNotMinimal},
      {"[6455-5.2-TOPBIT]", hex("81 ff 80 00 00 00 00 01 00 00"), Error::kLengthTopBit},
      {"[6455-5.4-CONTINUATION]", hex("80 82 37 fa 21 3d"), Error::kLoneContinuation},
      {"[6455-5.4-CONTINUATION] without FIN", hex("00 80 37 fa 21 3d"), Error::kLoneContinuation},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.rule);
    for (const Bytes& rest : {Bytes(), behind}) {
      expect_stream({.input = row.bytes + rest,
                     .events = {failed(row.error, row.bytes.size())},
                     .sent = failing_close(row.error)});
    }
    // After a message: the message is delivered first.
    const Bytes before = hex("81 82 37 fa 21 3d 5f 93");  // "hi"
    expect_stream({.input = before + row.bytes,
                   .events = {text("hi"), failed(row.error, before.size() + row.bytes.size())},
                   .sent = failing_close(row.error)});
  }
}

TEST(Client, FailsTheConnectionAtTheFirstInvalidByteOfAFrame) {
  // The same rules, except that frames must be unmasked. The client's Close is masked.
  const struct {
    const char* rule;
    Bytes bytes;
    Error error;
  } kRows[] = {
      {"[6455-5.2-RSV] RSV1", hex("c1"), Error::kReservedBit},
      {"[6455-5.2-OPCODE] 3", hex("83"), Error::kReservedOpcode},
      {"[6455-5.5-FIN] a ping in fragments", hex("09"), Error::kControlFragmented},
      {"[6455-5.1-NOMASK] text with a mask", hex("81 85"), Error::kMasked},
      {"[6455-5.1-NOMASK] an empty close with a mask", hex("88 80"), Error::kMasked},
      {"[6455-5.5-LENGTH] a ping of 126 bytes", hex("89 7e"), Error::kControlTooLong},
      {"[6455-5.2-MINLEN] 125 in 16 bits", hex("81 7e 00 7d"), Error::kLengthNotMinimal},
      {"[6455-5.2-TOPBIT]", hex("82 7f 80 00 00 00 00 01 00 00"), Error::kLengthTopBit},
      {"[6455-5.4-CONTINUATION]", hex("80 02"), Error::kLoneContinuation},
      {"[6455-8.1-UTF8]", hex("81 03 61 ff"), Error::kTextNotUtf8},
      {"[6455-5.5.1-BODY]", hex("88 01 03"), Error::kCloseLength},
      {"[6455-7.4-CODE] 1005", hex("88 02 03 ed"), Error::kCloseCode},
      {"[6455-5.5.1-REASON]", hex("88 03 03 e8 ff"), Error::kCloseReasonNotUtf8},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.rule);
    for (const Bytes& rest : {Bytes(), hex("81 02 68 69")}) {  // ignored
      expect_stream({.role = Role::kClient,
                     .input = hex("81 02 68 69") + row.bytes + rest,  // after "hi"
                     .events = {text("hi"), failed(row.error, 4 + row.bytes.size())},
                     .sent = masked_frame(failing_close(row.error))});
    }
  }
}

TEST(Connection, DeliversAPayloadOfAnyLength) {
  for (const std::size_t size :
       {0U, 1U, 2U, 7U, 8U, 124U, 125U, 126U, 127U, 255U, 256U, 300U, 65535U, 65536U, 65537U}) {
    SCOPED_TRACE(size);
    const auto byte = [](std::size_t value) { return static_cast<char>(value & 0xFF); };
    const Bytes payload = repeat(size, "*");
    Bytes length;
    if (size < 126) {
      length = {byte(size)};
    } else if (size < 65536) {
      length = {126, byte(size >> 8), byte(size)};
    } else {
      length = {127, 0, 0, 0, 0, 0, byte(size >> 16), byte(size >> 8), byte(size)};
    }
    expect_stream(
        {.role = Role::kClient, .input = hex("81") + length + payload, .events = {text(payload)}});
    length[0] = static_cast<char>(length[0] | '\x80');
    expect_stream(
        {.input = hex("82") + length + Bytes(kKey) + masked(payload), .events = {binary(payload)}});
  }
}

TEST(ControlFrame, CarriesUpTo125Bytes) {
  const Bytes payload(125, 'p');  // N; for N + 1 see [6455-5.5-LENGTH] above
  expect_stream({.input = hex("89 fd 37 fa 21 3d") + masked(payload),
                 .events = {ping(payload)},
                 .sent = hex("8a 7d") + payload});
  expect_stream({.input = hex("89 80 37 fa 21 3d"), .events = {ping("")}, .sent = hex("8a 00")});
}

TEST(Pong, IsNotAnsweredIfItIsUnsolicited) {
  // [6455-5.5.3-UNSOLICITED]
  expect_stream({.input = hex("8a 80 37 fa 21 3d"), .events = {pong("")}});
  expect_stream({.role = Role::kClient, .input = hex("8a 02 68 69"), .events = {pong("hi")}});
}

// ------------------------------------------------------------------ §5.4: fragments

TEST(Fragments, MayHaveControlFramesBetweenThem) {
  // [6455-5.4-CONTROL]
  expect_stream({.role = Role::kClient,
                 .input = hex("01 03 48 65 6c"  // text, "Hel"
                              "89 02 68 69"     // ping, "hi"
                              "8a 00"           // pong, empty
                              "00 00"           // continuation, empty
                              "8a 01 21"        // pong, "!"
                              "80 02 6c 6f"),   // FIN, continuation, "lo"
                 .events = {ping("hi"), pong(""), pong("!"), text("Hello")},
                 .sent = hex("8a 82 37 fa 21 3d 5f 93")});
}

TEST(Fragments, MayBeEmpty) {
  expect_stream({.role = Role::kClient,
                 .input = hex("02 00"             // binary, empty
                              "00 00"             // continuation, empty
                              "80 00"             // FIN, continuation, empty
                              "01 00 80 01 61"),  // text, empty; FIN, continuation, "a"
                 .events = {binary(""), text("a")}});
}

TEST(Fragments, MustNotBeInterleavedWithAnotherMessage) {
  // [6455-5.4-INTERLEAVE] detected at the end of the header
  expect_stream({.role = Role::kClient,
                 .input = hex("01 03 48 65 6c"  // text, "Hel"
                              "81 02 6c 6f"),   // FIN, text
                 .events = {failed(Error::kInterleavedMessage, 7)},
                 .sent = masked_frame(failing_close(Error::kInterleavedMessage))});
}

TEST(ContinuationFrame, IsRejectedAfterACompleteMessage) {
  // [6455-5.4-CONTINUATION] a continuation frame after a complete message is an error
  const Bytes start =
      hex("02 81 37 fa 21 3d 56"    // binary, "a"
          "80 81 37 fa 21 3d 55");  // FIN, continuation, "b"
  expect_stream({.input = start + hex("80 81 37 fa 21 3d 54"),
                 .events = {binary("ab"), failed(Error::kLoneContinuation, start.size() + 6)},
                 .sent = failing_close(Error::kLoneContinuation)});
}

TEST(Messages, AreDeliveredSeparatelyIfTheyArriveInOneRead) {
  // [6455-6.2-TYPE] [6455-5.4-CONTINUATION] each message has its own type and fragments
  expect_stream({.role = Role::kClient,
                 .input = hex("81 01 61"           // text, "a"
                              "82 01 62"           // binary, "b"
                              "01 01 63 80 01 64"  // text in two fragments, "cd"
                              "81 00"              // text, empty
                              "82 00"              // binary, empty
                              "81 03 e2 82 ac"),   // text, "€"
                 .events = {text("a"), binary("b"), text("cd"), text(""), binary(""), text("€")}});
}

// ------------------------------------------------------------------ §8.1: UTF-8

TEST(Text, FailsAtTheFirstInvalidUtf8ByteEvenInAnIncompleteFrame) {
  // [6455-8.1-UTF8] Each frame declares 100 bytes, most of which never arrive.
  const struct {
    const char* name;
    Bytes text;  // the last byte is the first invalid one
  } kRows[] = {
      {"not a first byte", hex("80")},
      {"not a first byte, after ASCII", Bytes("Hello, world") + hex("ff")},
      {"overlong slash, two bytes", hex("c0")},
      {"overlong slash, three bytes", hex("e0 80")},
      {"overlong, four bytes", hex("f0 8f")},
      {"a surrogate", Bytes("κόσμε") + hex("ed a0")},
      {"above U+10FFFF", hex("f4 90")},
      {"a missing continuation byte", hex("e2 82 41")},
      {"an extra continuation byte", Bytes("é") + hex("80")},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    const Bytes close = failing_close(Error::kTextNotUtf8);
    expect_stream(
        {.input = hex("81 e4 37 fa 21 3d") + masked(row.text),  // FIN, text; masked, 100 bytes
         .events = {failed(Error::kTextNotUtf8, 6 + row.text.size())},
         .sent = close});
    // In a continuation frame: the character starts in the previous fragment.
    const Bytes head = row.text.substr(0, row.text.size() - 1);
    const Bytes first =
        hex("01") + static_cast<char>(0x80 + head.size()) + Bytes(kKey) + masked(head);
    expect_stream({.input = first + hex("00 e4 37 fa 21 3d") + masked(row.text.substr(head.size())),
                   .events = {failed(Error::kTextNotUtf8, first.size() + 7)},
                   .sent = close});
    // In a complete frame: the same result.
    expect_stream({.input = hex("81") + static_cast<char>(0x80 + row.text.size()) + Bytes(kKey) +
                            masked(row.text),
                   .events = {failed(Error::kTextNotUtf8, 6 + row.text.size())},
                   .sent = close});
    // Binary messages are not validated.
    expect_stream({.input = hex("82") + static_cast<char>(0x80 + row.text.size()) + Bytes(kKey) +
                            masked(row.text),
                   .events = {binary(row.text)}});
  }
}

TEST(Text, MaySplitACharacterBetweenFragmentsButMustEndWithAWholeOne) {
  expect_stream({.input = hex("01 82 37 fa 21 3d d5 78"  // text, e2 82
                              "00 80 37 fa 21 3d"        // continuation, empty
                              "80 81 37 fa 21 3d 9b"),   // FIN, continuation, ac
                 .events = {text("€")}});
  // [6455-8.1-UTF8] in one frame, in two fragments, and with an empty last fragment
  expect_stream({.input = hex("81 82 37 fa 21 3d d5 78"),
                 .events = {failed(Error::kTextNotUtf8, 8)},
                 .sent = failing_close(Error::kTextNotUtf8)});
  expect_stream({.input = hex("01 81 37 fa 21 3d d5"
                              "80 81 37 fa 21 3d b5"),
                 .events = {failed(Error::kTextNotUtf8, 14)},
                 .sent = failing_close(Error::kTextNotUtf8)});
  expect_stream({.input = hex("01 82 37 fa 21 3d d5 78"
                              "80 80 37 fa 21 3d"),
                 .events = {failed(Error::kTextNotUtf8, 14)},
                 .sent = failing_close(Error::kTextNotUtf8)});
}

// ------------------------------------------------------------------ §10.4: limits, at N and N + 1

TEST(MessageLimit, AppliesToASingleFrameAndToTheSumOfFragments) {
  Limits limits;
  limits.message = 4;
  const Bytes close = failing_close(Error::kMessageTooBig);
  expect_stream({.limits = limits,
                 .input = hex("82 84 37 fa 21 3d 56 98 42 59"),  // N: "abcd"
                 .events = {binary("abcd")}});
  // [6455-10.4-MESSAGE] N + 1: fails at the end of the header
  expect_stream({.limits = limits,
                 .input = hex("82 85 37 fa 21 3d 56 98 42 59 52"),
                 .events = {failed(Error::kMessageTooBig, 6)},
                 .sent = close});
  expect_stream({.limits = limits,
                 .input = hex("02 83 37 fa 21 3d 56 98 42"  // "abc"
                              "80 81 37 fa 21 3d 53"),      // "d": N
                 .events = {binary("abcd")}});
  expect_stream({.limits = limits,
                 .input = hex("02 83 37 fa 21 3d 56 98 42"  // "abc"
                              "80 82 37 fa 21 3d 53 9f"),   // "de": N + 1
                 .events = {failed(Error::kMessageTooBig, 15)},
                 .sent = close});
  // The limit applies to each message, not to the connection; control frames do not count.
  expect_stream({.limits = limits,
                 .input = hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"
                              "82 84 37 fa 21 3d 56 98 42 59"
                              "82 84 37 fa 21 3d 56 98 42 59"),
                 .events = {pong("Hello"), binary("abcd"), binary("abcd")}});
  // A limit of 0 allows only empty messages.
  limits.message = 0;
  expect_stream({.limits = limits,
                 .input = hex("82 80 37 fa 21 3d 82 81 37 fa 21 3d 56"),
                 .events = {binary(""), failed(Error::kMessageTooBig, 12)},
                 .sent = close});
}

TEST(FragmentLimit, CountsEmptyFragmentsAndRestartsWithEachMessage) {
  Limits limits;
  limits.fragments = 3;
  const Bytes message =
      hex("01 00"     // text, empty
          "00 01 61"  // continuation, "a"
          "80 00");   // FIN, continuation, empty: N
  expect_stream({.role = Role::kClient,
                 .limits = limits,
                 .input = message + message + hex("81 01 61") + message,
                 .events = {text("a"), text("a"), text("a"), text("a")}});
  // [6455-10.4-FRAGMENTS] N + 1, with and without payload and FIN
  for (const Bytes& last :
       {hex("80 80 37 fa 21 3d"), hex("00 80 37 fa 21 3d"), hex("80 81 37 fa 21 3d")}) {
    expect_stream({.limits = limits,
                   .input = hex("01 80 37 fa 21 3d"
                                "00 80 37 fa 21 3d"
                                "89 80 37 fa 21 3d"  // a ping does not count
                                "00 80 37 fa 21 3d") +
                            last,
                   .events = {ping(""), failed(Error::kTooManyFragments, 30)},
                   .sent = hex("8a 00") + failing_close(Error::kTooManyFragments)});
  }
}

TEST(FragmentLimit, IsEnforcedWithTheDefaultLimits) {
  const std::size_t n = Limits{}.fragments;
  for (const std::size_t extra : {0U, 1U}) {
    Bytes bytes =
        hex("02 00") + repeat(n - 2 + extra, std::string_view("\x00\x00", 2)) + hex("80 00");
    const ConnectionSettings settings{.role = Role::kClient,
                                      .new_masking_key = key_of_the_examples};
    Connection connection(settings);
    Output out;
    std::span<std::byte> in = std::as_writable_bytes(std::span(bytes));
    const Event event = connection.next(in, out);
    EXPECT_EQ(event.type, extra == 0 ? Event::Type::kBinary : Event::Type::kFailed);
    EXPECT_EQ(event.code, extra == 0 ? 0 : 1008);
  }
}

TEST(DeclaredLength, DoesNotCauseAnAllocation) {
  // 64 KiB to 2^62 bytes: the header of a message over the limit fails the connection; for other messages, only the
  // received bytes are stored.
  for (unsigned bits = 16; bits <= 62; ++bits) {
    SCOPED_TRACE("2^" + std::to_string(bits));
    Bytes header = hex("82 ff 00 00 00 00 00 00 00 00 37 fa 21 3d");
    header[9 - bits / 8] = static_cast<char>(1U << bits % 8);
    Bytes bytes = header + masked(Bytes(1000, 'x'));

    Limits boundless;
    boundless.message = UINT64_MAX;
    for (const Limits& limits : {Limits{}, boundless}) {
      Budget budget(1 << 20);
      const ConnectionSettings settings{.limits = limits, .budget = &budget};
      Connection connection(settings);
      Output out;
      Bytes copy = bytes;
      std::span<std::byte> in = std::as_writable_bytes(std::span(copy));
      const Event event = connection.next(in, out);
      if ((std::uint64_t{1} << bits) <= limits.message) {
        EXPECT_EQ(event.type, Event::Type::kNeedMore);
        EXPECT_GE(budget.used(), 1000U);
        EXPECT_LE(budget.used(), 2000U);
      } else {
        EXPECT_EQ(event.error, Error::kMessageTooBig);
        EXPECT_EQ(budget.used(), 0U);
      }
    }
  }
}

TEST(Budget, FailsTheConnectionIfAMessageExceedsIt) {
  // [6455-10.4-BUDGET] Only a message that arrives in several reads is charged: here 100 bytes in two reads.
  const Bytes bytes = hex("82 e4 37 fa 21 3d") + masked(Bytes(100, 'x'));
  for (const std::size_t limit : {99U, 100U}) {
    SCOPED_TRACE(limit);
    Budget budget(limit);
    const ConnectionSettings settings{.budget = &budget};
    Connection connection(settings);
    Output out;
    Bytes copy = bytes;
    const auto all = std::as_writable_bytes(std::span(copy));
    std::span<std::byte> in = all.first(6);
    EXPECT_EQ(connection.next(in, out).type, Event::Type::kNeedMore);
    EXPECT_EQ(budget.used(), 0U);
    in = all.subspan(6);
    const Event event = connection.next(in, out);
    if (limit == 100) {
      EXPECT_EQ(event.type, Event::Type::kBinary);
      EXPECT_EQ(budget.used(), 100U) << "charged while the application uses the payload";
      connection.release();
    } else {
      EXPECT_EQ(event.error, Error::kOverBudget);
      EXPECT_EQ(event.code, 1013);
      EXPECT_EQ(flatten(out), failing_close(Error::kOverBudget));
    }
    EXPECT_EQ(budget.used(), 0U);
  }
}

TEST(Memory, IsHeldOnlyInTheMiddleOfAMessage) {
  Budget budget(1 << 20);
  const ConnectionSettings settings{
      .role = Role::kClient, .new_masking_key = key_of_the_examples, .budget = &budget};
  Output out;
  const struct {
    const char* name;
    Bytes bytes;
    bool is_mid_message;
    bool is_held;
  } kRows[] = {
      {"nothing", "", false, false},
      {"a whole message", hex("81 02 68 69"), false, false},
      {"part of a header", hex("81"), true, false},
      {"a header", hex("81 02"), true, false},
      {"part of a payload", hex("81 02 68"), true, true},
      {"a first fragment", hex("01 02 68 69"), true, true},
      {"a first fragment, empty", hex("01 00"), true, false},
      {"part of a ping", hex("89 02 68"), true, false},
      {"a ping", hex("89 02 68 69"), false, false},
      {"a message in fragments", hex("01 01 68 80 01 69"), false, false},
      {"a fragment, then a broken rule", hex("01 01 68 81 01 69"), false, false},
      {"a fragment, then a close", hex("01 01 68 88 00"), false, false},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    {
      Connection connection(settings);
      Bytes copy = row.bytes;
      std::span<std::byte> in = std::as_writable_bytes(std::span(copy));
      while (connection.next(in, out).type != Event::Type::kNeedMore) {
      }
      EXPECT_EQ(connection.is_mid_message(), row.is_mid_message);
      EXPECT_EQ(budget.used() != 0, row.is_held);
    }
    EXPECT_EQ(budget.used(), 0U) << "the destructor gives back the memory";
  }
}

// [6455-10.4-SLOW] Bytes of a control frame within a message do not count as progress, wherever the input is split.
TEST(Progress, CountsOnlyPayloadOfTheIncompleteMessage) {
  const ConnectionSettings settings{.role = Role::kClient, .new_masking_key = key_of_the_examples};
  const Bytes stream = hex("01 03 61 62 63"        // text, "abc"
                           "89 05 48 65 6c 6c 6f"  // a ping
                           "00 00"                 // an empty fragment
                           "8a 7d") +
                       Bytes(125, 'p')           // a pong
                       + hex("00 04 64 65 66");  // "def" of a fragment of 4 bytes
  for (std::size_t a = 0; a <= stream.size(); ++a) {
    for (std::size_t b = a; b <= stream.size(); ++b) {
      Connection connection(settings);
      Output out;
      std::size_t progress = 0;
      std::size_t begin = 0;
      for (const std::size_t end : {a, b, stream.size()}) {
        Bytes part = stream.substr(begin, end - begin);
        std::span<std::byte> in = std::as_writable_bytes(std::span(part));
        while (connection.next(in, out).type != Event::Type::kNeedMore) {
        }
        progress += connection.consume_progress();
        begin = end;
      }
      ASSERT_EQ(progress, 6U) << "cut at " << a << " and " << b;
      EXPECT_EQ(connection.consume_progress(), 0U) << "counted once";
    }
  }
}

TEST(Progress, IsZeroWithoutAnIncompleteMessage) {
  const ConnectionSettings settings{.role = Role::kClient, .new_masking_key = key_of_the_examples};
  for (const Bytes& stream : {Bytes(), hex("81 02 68 69"), hex("89 05 48 65"), hex("81")}) {
    Connection connection(settings);
    Output out;
    Bytes copy = stream;
    std::span<std::byte> in = std::as_writable_bytes(std::span(copy));
    while (connection.next(in, out).type != Event::Type::kNeedMore) {
    }
    EXPECT_EQ(connection.consume_progress(), 0U) << dump(stream);
  }
}

// ------------------------------------------------------------------ §5.5.1, §7: closing

TEST(PeersClose, IsAnsweredWithItsCodeAndEndsTheConnection) {
  // [6455-5.5.1-ANSWER]
  const struct {
    const char* name;
    Bytes payload;
    Step event;
    Bytes sent;
  } kRows[] = {
      {"empty", "", closed(1005), hex("88 00")},
      {"1000", hex("03 e8"), closed(1000), hex("88 02 03 e8")},
      {"1001 with a reason", hex("03 e9") + "bye", closed(1001, "bye"), hex("88 02 03 e9")},
      {"3000", hex("0b b8"), closed(3000), hex("88 02 0b b8")},
      {"4999, the longest reason", hex("13 87") + Bytes(123, 'r'), closed(4999, Bytes(123, 'r')),
       hex("88 02 13 87")},
      {"1 byte [6455-5.5.1-BODY]", hex("03"), failed(Error::kCloseLength),
       failing_close(Error::kCloseLength)},
      {"999 [6455-7.4-CODE]", hex("03 e7"), failed(Error::kCloseCode),
       failing_close(Error::kCloseCode)},
      {"1004", hex("03 ec"), failed(Error::kCloseCode), failing_close(Error::kCloseCode)},
      {"1005", hex("03 ed"), failed(Error::kCloseCode), failing_close(Error::kCloseCode)},
      {"1006", hex("03 ee"), failed(Error::kCloseCode), failing_close(Error::kCloseCode)},
      {"1015", hex("03 f7"), failed(Error::kCloseCode), failing_close(Error::kCloseCode)},
      {"5000", hex("13 88"), failed(Error::kCloseCode), failing_close(Error::kCloseCode)},
      {"a reason that is not UTF-8 [6455-5.5.1-REASON]", hex("03 e8 c3 28"),
       failed(Error::kCloseReasonNotUtf8), failing_close(Error::kCloseReasonNotUtf8)},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    Step event = row.event;
    event.with = 6 + row.payload.size();
    const Bytes bytes = hex("88") + static_cast<char>(0x80 + row.payload.size()) + Bytes(kKey) +
                        masked(row.payload);
    expect_stream({.input = bytes, .events = {event}, .sent = row.sent});
    // [6455-5.5.1-DISCARD] later bytes are ignored: a ping, then an invalid frame
    expect_stream(
        {.input = bytes + hex("89 80 37 fa 21 3d ff ff ff"), .events = {event}, .sent = row.sent});
    // Inside an incomplete message, which is discarded.
    const Bytes fragment = hex("01 81 37 fa 21 3d 56");
    event.with += fragment.size();
    expect_stream({.input = fragment + bytes + hex("80 80 37 fa 21 3d"),
                   .events = {event},
                   .sent = row.sent});
  }
}

TEST(PeersClose, IsAnsweredByAClientWithAMaskedClose) {
  expect_stream({.role = Role::kClient,
                 .input = hex("88 05 03 e8 62 79 65"),  // 1000, "bye"
                 .events = {closed(1000, "bye")},
                 .sent = hex("88 82 37 fa 21 3d 34 12")});
}

TEST(OurClose, IsSentOnceAndMessagesAreDeliveredUntilThePeersClose) {
  const auto close = [](Connection& connection, Output& out) {
    EXPECT_TRUE(connection.close(1001, "bye", out));
    EXPECT_TRUE(connection.awaits_close());
    EXPECT_FALSE(connection.is_open());
    EXPECT_FALSE(connection.close(1000, "", out)) << "we send only one Close";
  };
  const Bytes ours = hex("88 05 03 e9 62 79 65");
  expect_stream({.input = hex("88 82 37 fa 21 3d 34 13"),  // 1001
                 .events = {closed(1001)},
                 .sent = ours,
                 .first = close});
  // [6455-5.5.1-LAST] Messages before the peer's Close are delivered; a ping is reported, but not answered.
  expect_stream({.input = hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"  // text, "Hello"
                              "89 80 37 fa 21 3d"                 // ping
                              "88 80 37 fa 21 3d"                 // close, empty
                              "81 85 37 fa 21 3d"),               // ignored
                 .events = {text("Hello"), ping(""), closed(1005)},
                 .sent = ours,
                 .first = close});
  // [6455-7.1.7-FAIL] an invalid frame after our Close: no second Close
  expect_stream({.input = hex("83"),
                 .events = {failed(Error::kReservedOpcode, 1)},
                 .sent = ours,
                 .first = close});
  expect_stream({.input = hex("88 82 37 fa 21 3d 34 11"),  // 1003, not our code
                 .events = {closed(1003)},
                 .sent = ours,
                 .first = close});
}

TEST(Client, DeliversMessagesButAnswersNoPingAfterItsClose) {
  // Messages before the server's Close are delivered; its ping is not answered.
  expect_stream({.role = Role::kClient,
                 .input = hex("81 02 68 69"    // text, "hi"
                              "89 00"          // ping
                              "88 02 03 e8"    // close, 1000
                              "81 02 68 69"),  // ignored
                 .events = {text("hi"), ping(""), closed(1000)},
                 .sent = hex("88 85 37 fa 21 3d") + masked(hex("03 e8 62 79 65")),
                 .first = [](Connection& connection, Output& out) {
                   EXPECT_TRUE(connection.close(1000, "bye", out));
                 }});
}

TEST(OurClose, IsTheLastFrameThatWeSend) {
  // [6455-5.5.1-LAST]
  const ConnectionSettings settings;
  Connection connection(settings);
  Output out;
  ASSERT_TRUE(connection.close(1000, "", out));
  EXPECT_FALSE(connection.send(Opcode::kText, {as_span("late")}, out));
  EXPECT_FALSE(connection.send_control(Opcode::kPing, {}, out));
  EXPECT_FALSE(connection.send_control(Opcode::kPong, {}, out));
  EXPECT_FALSE(connection.close(1000, "", out));
  EXPECT_FALSE(connection.is_finished()) << "the peer's Close has not arrived";
  EXPECT_EQ(flatten(out), hex("88 02 03 e8"));
}

TEST(OurClose, OmitsCode1005AndTruncatesALongReason) {
  // [6455-7.1.2-CLOSE] [6455-7.4-CODE] 1005 stands for no code, and is not sent
  const struct {
    std::uint16_t code;
    Bytes reason;
    Bytes sent;
  } kRows[] = {
      {1005, "", hex("88 00")},
      {1000, "", hex("88 02 03 e8")},
      {4321, "so", hex("88 04 10 e1 73 6f")},
      {1000, Bytes(123, 'r'), hex("88 7d 03 e8") + Bytes(123, 'r')},  // N
      {1000, Bytes(124, 'r'), hex("88 7d 03 e8") + Bytes(123, 'r')},  // N + 1
      {1000, Bytes(122, 'r') + "é",
       hex("88 7c 03 e8") + Bytes(122, 'r')},  // cut before a character
  };
  for (const auto& row : kRows) {
    const ConnectionSettings settings;
    Connection connection(settings);
    Output out;
    EXPECT_TRUE(connection.close(row.code, row.reason, out));
    EXPECT_EQ(flatten(out), row.sent);
  }
}

TEST(Connection, SendsOneCloseIfTheApplicationFailsItTwice) {
  const ConnectionSettings settings;
  Connection connection(settings);
  Output out;
  const Event event = connection.fail(Error::kOutOfMemory, out);
  EXPECT_EQ(event.type, Event::Type::kFailed);
  EXPECT_EQ(event.code, 1011);
  EXPECT_TRUE(connection.is_finished());
  EXPECT_FALSE(connection.awaits_close());
  connection.fail(Error::kTextNotUtf8, out);
  EXPECT_EQ(flatten(out), failing_close(Error::kOutOfMemory));
}

TEST(MessagesBeforeAnError, AreDeliveredAndMayBeAnsweredBeforeTheClose) {
  expect_stream({.input = hex("81 81 37 fa 21 3d 56"  // text, "a"
                              "81 81 37 fa 21 3d 55"  // text, "b"
                              "83"                    // a reserved opcode
                              "81 81 37 fa 21 3d 54"),
                 .events = {text("a"), text("b"), failed(Error::kReservedOpcode, 15)},
                 .sent = hex("81 01 61  81 01 62") + failing_close(Error::kReservedOpcode),
                 .then = [](Connection& connection, const Event& event, Output& out) {
                   connection.send(Opcode::kText, {event.payload}, out);
                 }});
}

TEST(Application, MayCloseBetweenTwoEvents) {
  // A Close in reply to one event affects the next event, even if both arrived in one read.
  expect_stream({.input = hex("81 81 37 fa 21 3d 56"  // text, "a"
                              "89 80 37 fa 21 3d"     // ping: after our Close, no pong
                              "88 80 37 fa 21 3d"),   // close
                 .events = {text("a"), ping(""), closed(1005)},
                 .sent = hex("88 02 0f a0"),
                 .then = [](Connection& connection, const Event& event, Output& out) {
                   if (event.type == Event::Type::kText)
                     connection.close(4000, "", out);
                 }});
}

// ------------------------------------------------------------------ sending

TEST(Client, MasksEachFrameWithANewKey) {
  // [6455-5.1-MASK] [6455-5.3-KEY]
  static int calls = 0;
  const ConnectionSettings settings{
      .role = Role::kClient, .new_masking_key = [] {
        const std::byte first{static_cast<unsigned char>(++calls)};
        return MaskingKey{first, std::byte{0}, std::byte{0}, std::byte{0}};
      }};
  Connection connection(settings);
  Output out;
  connection.send(Opcode::kText, {as_span("AA")}, out);
  connection.send_control(Opcode::kPing, as_span("AA"), out);
  connection.close(1005, "", out);
  EXPECT_EQ(flatten(out), hex("81 82 01 00 00 00 40 41"  // 41 ^ 01, 41
                              "89 82 02 00 00 00 43 41"
                              "88 80 03 00 00 00"));
}

TEST(Sending, JoinsThePartsOfAMessageInOrder) {
  // [6455-6.1-FRAME] one frame: FIN, text or binary; [6455-5.1-NOMASK] a server does not mask
  const ConnectionSettings server;
  const ConnectionSettings client{.role = Role::kClient, .new_masking_key = key_of_the_examples};
  Output out;
  Connection(server).send(Opcode::kText, {as_span("Echo: "), as_span(""), as_span("Hello")}, out);
  EXPECT_EQ(flatten(out), hex("81 0b") + "Echo: Hello");
  out.clear();
  // The masking key continues across parts: 6 bytes, then 5 from key byte 2.
  Connection(client).send(Opcode::kText, {as_span("Echo: "), as_span(""), as_span("Hello")}, out);
  EXPECT_EQ(flatten(out), hex("81 8b 37 fa 21 3d") + masked("Echo: Hello"));
  out.clear();
  Connection(server).send(Opcode::kBinary, {}, out);
  EXPECT_EQ(flatten(out), hex("82 00"));
}

TEST(Client, MasksMessagePartsOfAnySize) {
  const ConnectionSettings client{.role = Role::kClient, .new_masking_key = key_of_the_examples};
  const Bytes text = repeat(10, "0123456789");
  for (std::size_t a = 0; a <= 20; ++a) {
    for (std::size_t b = a; b <= a + 20; ++b) {
      Output out;
      const auto all = as_span(text);
      Connection(client).send(Opcode::kText, {all.first(a), all.subspan(a, b - a), all.subspan(b)},
                              out);
      ASSERT_EQ(flatten(out), hex("81 e4 37 fa 21 3d") + masked(text)) << a << " " << b;
    }
  }
}

TEST(Server, LendsLargePartsOfAMessageAndCopiesSmallOnes) {
  const ConnectionSettings server;
  const ConnectionSettings client{.role = Role::kClient, .new_masking_key = key_of_the_examples};
  const Bytes n(Connection::kLendFrom, 'N');
  const Bytes less(Connection::kLendFrom - 1, 'n');
  EXPECT_EQ(Connection::kLendFrom, 16384U);

  Output out;
  Connection(server).send(Opcode::kBinary, {as_span(less)}, out);
  EXPECT_FALSE(out.lends());
  EXPECT_TRUE(flatten(out) == hex("82 7e 3f ff") + less);

  out.clear();
  Connection(server).send(Opcode::kBinary,
                          {as_span("a"), as_span(n), as_span("b"), as_span(less), as_span(n)}, out);
  EXPECT_TRUE(out.lends());
  // 1 + 16384 + 1 + 16383 + 16384 = 49153 = c001
  EXPECT_TRUE(flatten(out) == hex("82 7e c0 01") + "a" + n + "b" + less + n);
  std::vector<const std::byte*> lent;
  out.for_each_piece([&](Output::Bytes piece) { lent.push_back(piece.data()); });
  ASSERT_EQ(lent.size(), 4U);  // header and a, n, b and less, n
  EXPECT_EQ(lent[1], as_span(n).data());
  EXPECT_EQ(lent[3], as_span(n).data());

  out.clear();
  Connection(client).send(Opcode::kBinary, {as_span(n)}, out);
  EXPECT_FALSE(out.lends()) << "masked bytes are a copy";
  EXPECT_TRUE(flatten(out) == hex("82 fe 40 00 37 fa 21 3d") + masked(n));
}

TEST(Sending, UsesTheShortestLengthForm) {
  // [6455-5.2-MINLEN], and the reserved bits are 0 [6455-5.2-RSV]
  const ConnectionSettings server;
  const struct {
    std::size_t size;
    Bytes header;
  } kRows[] = {
      {0, hex("81 00")},
      {125, hex("81 7d")},
      {126, hex("81 7e 00 7e")},
      {65535, hex("81 7e ff ff")},
      {65536, hex("81 7f 00 00 00 00 00 01 00 00")},
  };
  for (const auto& row : kRows) {
    const Bytes payload(row.size, 'x');
    Output out;
    Connection(server).send(Opcode::kText, {as_span(payload)}, out);
    EXPECT_TRUE(flatten(out) == row.header + payload) << row.size;
  }
}

#if FBF_FAST
// The bytes that the fast path writes. If a message needs the general path, it must write nothing.
TEST(TrySendSmall, WritesTheWholeFrameOrNothing) {
  const ConnectionSettings server;
  Output roomy;
  roomy.extend(1 << 20);
  roomy.clear();
  const struct {
    std::size_t size;
    Bytes header;  // empty: needs the general path
  } kRows[] = {
      {0, ""},
      {1, hex("82 01")},
      {125, hex("82 7d")},
      {126, hex("82 7e 00 7e")},
      {127, hex("82 7e 00 7f")},
      {256, hex("82 7e 01 00")},
      {16383, hex("82 7e 3f ff")},
      {16384, ""},
  };
  for (const auto& row : kRows) {
    const Bytes payload(row.size, 'x');
    roomy.clear();
    EXPECT_EQ(Connection(server).try_send_small(Opcode::kBinary, as_span(payload), roomy),
              !row.header.empty())
        << row.size;
    EXPECT_TRUE(flatten(roomy) == (row.header.empty() ? "" : row.header + payload)) << row.size;
  }

  roomy.clear();
  Output none;
  EXPECT_FALSE(Connection(server).try_send_small(Opcode::kText, as_span("no room"), none));
  EXPECT_TRUE(none.empty());
  const ConnectionSettings client{.role = Role::kClient, .new_masking_key = key_of_the_examples};
  EXPECT_FALSE(Connection(client).try_send_small(Opcode::kText, as_span("unmasked"), roomy));
  EXPECT_TRUE(roomy.empty());

  // [6455-5.5.1-LAST]
  Connection closing(server);
  closing.close(1000, "", roomy);
  EXPECT_FALSE(closing.try_send_small(Opcode::kText, as_span("one more thing"), roomy));
  EXPECT_EQ(flatten(roomy), hex("88 02 03 e8"));
}
#endif

// ------------------------------------------------------------------ in place

TEST(Payload, IsAViewIntoTheInputIfTheWholeMessageIsInOneRead) {
  const ConnectionSettings settings;
  Connection connection(settings);
  Output out;
  Bytes bytes = hex("81 85 37 fa 21 3d 7f 9f 4d 51 58");
  const auto all = std::as_writable_bytes(std::span(bytes));
  std::span<std::byte> in = all;
  const Event event = connection.next(in, out);
  EXPECT_EQ(event.payload.data(), all.data() + 6);
  EXPECT_EQ(to_bytes(event.payload), "Hello") << "unmasked in place";
  EXPECT_TRUE(in.empty());
  EXPECT_FALSE(connection.is_mid_message());
}

TEST(Payload, IsValidUntilTheNextCallIfTheMessageWasSplit) {
  Budget budget(1000);
  const ConnectionSettings settings{.budget = &budget};
  Connection connection(settings);
  Output out;
  Bytes bytes =
      hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"
          "8a 80 37 fa 21 3d");
  const auto all = std::as_writable_bytes(std::span(bytes));
  std::span<std::byte> in = all.first(8);
  EXPECT_EQ(connection.next(in, out).type, Event::Type::kNeedMore);
  in = all.subspan(8);
  const Event event = connection.next(in, out);
  std::ranges::fill(all.first(11), std::byte{0xEE});  // the caller reuses those bytes
  EXPECT_EQ(to_bytes(event.payload), "Hello");
  EXPECT_NE(budget.used(), 0U);
  EXPECT_EQ(connection.next(in, out).type, Event::Type::kPong);
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Connection, UsesAtMost64Bytes) {
  // Between messages, a connection without compression has no other memory.
  EXPECT_LE(sizeof(Connection), 64U);
}

}  // namespace
}  // namespace ws::test
