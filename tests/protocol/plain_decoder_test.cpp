// Tests the tests' own decoder with the examples of RFC 6455 and RFC 7692, and with the edge cases of their rules.
#include "tests/support/plain_decoder.h"

#include <gtest/gtest.h>

#include <ostream>

#include "tests/support/bytes.h"
#include "tests/support/plain_extensions.h"

namespace ws::plain {

void PrintTo(const Event& event, std::ostream* out) {
  *out << "event " << static_cast<int>(event.kind) << ", code " << event.code << ", "
       << testing::PrintToString(event.payload);
}

namespace {

using test::hex;
using test::masked;
using test::repeat;
using Kind = Event::Kind;

std::vector<Event> from_server(std::string_view stream) {
  return decode(stream, {.is_from_client = false});
}
std::vector<Event> failed(unsigned code) {
  return {{Kind::kFailed, "", code}};
}

// §5.7, in its order.
TEST(PlainDecoder, DecodesTheExamplesOfRfc6455) {
  const std::vector<Event> hello = {{Kind::kText, "Hello"}};
  EXPECT_EQ(from_server(hex("81 05 48 65 6c 6c 6f")), hello);
  EXPECT_EQ(decode(hex("81 85 37 fa 21 3d 7f 9f 4d 51 58")), hello);
  EXPECT_EQ(from_server(hex("01 03 48 65 6c") + hex("80 02 6c 6f")), hello);
  EXPECT_EQ(from_server(hex("89 05 48 65 6c 6c 6f")), (std::vector<Event>{{Kind::kPing, "Hello"}}));
  EXPECT_EQ(decode(hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58")),
            (std::vector<Event>{{Kind::kPong, "Hello"}}));
  const std::string kilo(256, 'k');
  EXPECT_EQ(from_server(hex("82 7e 01 00") + kilo), (std::vector<Event>{{Kind::kBinary, kilo}}));
  const std::string large(65536, 'l');
  EXPECT_EQ(from_server(hex("82 7f 00 00 00 00 00 01 00 00") + large),
            (std::vector<Event>{{Kind::kBinary, large}}));
}

TEST(PlainDecoder, ReportsNoEventForAnIncompleteMessage) {
  const std::string stream = hex("81 85 37 fa 21 3d 7f 9f 4d 51 58");
  for (std::size_t size = 0; size < stream.size(); ++size)
    EXPECT_EQ(decode(stream.substr(0, size)), std::vector<Event>{}) << size;
  EXPECT_EQ(from_server(hex("01 03 48 65 6c")), std::vector<Event>{}) << "a fragment";
}

TEST(PlainDecoder, FailsAtTheFirstByteThatBreaksARule) {
  for (const char* byte0 : {"91", "a1", "c1", "83", "87", "8b", "8f", "08", "09", "0a"})
    EXPECT_EQ(decode(hex(byte0)), failed(1002)) << byte0;
  EXPECT_EQ(decode(hex("81 05")), failed(1002)) << "a client that does not mask";
  EXPECT_EQ(from_server(hex("81 85")), failed(1002)) << "a server that masks";
  for (const char* control : {"88 fe", "89 fe", "8a ff"})
    EXPECT_EQ(decode(hex(control)), failed(1002)) << control;
  EXPECT_EQ(decode(hex("81 fe 00 7d")), failed(1002));
  EXPECT_EQ(decode(hex("81 ff 00 00 00 00 00 00 ff ff")), failed(1002));
  EXPECT_EQ(decode(hex("81 ff 80 00 00 00 00 01 00 00")), failed(1002));
}

TEST(PlainDecoder, RejectsFragmentsOutOfOrder) {
  EXPECT_EQ(from_server(hex("80 00")), failed(1002)) << "nothing to continue";
  EXPECT_EQ(from_server(hex("01 00 81 00")), failed(1002)) << "one message inside another";
  EXPECT_EQ(from_server(hex("02 01 61 89 01 70 00 00 80 01 62")),
            (std::vector<Event>{{Kind::kPing, "p"}, {Kind::kBinary, "ab"}}));
}

TEST(PlainDecoder, RejectsMessagesAboveItsLimits) {
  const Settings small = {.is_from_client = false, .largest_message = 3, .most_frames = 2};
  EXPECT_EQ(decode(hex("82 03 61 62 63"), small), (std::vector<Event>{{Kind::kBinary, "abc"}}));
  EXPECT_EQ(decode(hex("82 04"), small), failed(1009));
  EXPECT_EQ(decode(hex("02 02 61 62 80 02"), small), failed(1009));
  EXPECT_EQ(decode(hex("02 00 80 00 02 00 80 00"), small),
            (std::vector<Event>{{Kind::kBinary, ""}, {Kind::kBinary, ""}}));
  EXPECT_EQ(decode(hex("02 00 00 00 80 00"), small), failed(1008));
  EXPECT_EQ(decode(hex("02 01 61 80 7f 7f ff ff ff ff ff ff ff"), small), failed(1009));
}

TEST(PlainDecoder, ValidatesACloseAndIgnoresLaterBytes) {
  EXPECT_EQ(from_server(hex("88 00 ff")), (std::vector<Event>{{Kind::kClose, "", 1005}}));
  EXPECT_EQ(from_server(hex("88 05 03 e8 62 79 65 ff")),
            (std::vector<Event>{{Kind::kClose, "bye", 1000}}));
  EXPECT_EQ(from_server(hex("88 01 03")), failed(1002));
  EXPECT_EQ(from_server(hex("88 03 03 e8 ff")), failed(1007));
  EXPECT_EQ(from_server(hex("88 03 03 e8 c3")), failed(1007)) << "an incomplete character";
}

TEST(PlainDecoder, AcceptsOnlyCodesThatACloseFrameMayHave) {
  std::string sendable;
  for (unsigned code = 0; code <= 0xFFFF; ++code) {
    const bool is_first = is_code_of_a_close_frame(code) && !is_code_of_a_close_frame(code - 1U);
    const bool is_last = is_code_of_a_close_frame(code) && !is_code_of_a_close_frame(code + 1U);
    if (is_first)
      sendable += std::to_string(code) + "-";
    if (is_last)
      sendable += std::to_string(code) + " ";
  }
  EXPECT_EQ(sendable, "1000-1003 1007-1014 3000-4999 ");
}

TEST(PlainDecoder, ClassifiesUtf8AsWholeUnfinishedOrBroken) {
  for (const char* whole : {"", "00 7f", "c2 80", "df bf", "e0 a0 80", "ed 9f bf", "ee 80 80",
                            "ef bf bf", "f0 90 80 80", "f4 8f bf bf"})
    EXPECT_EQ(judge_utf8(hex(whole)), Utf8::kWhole) << whole;
  for (const char* unfinished : {"c2", "e0", "e0 a0", "ed 9f", "ef", "f0", "f0 90", "f4 8f bf"})
    EXPECT_EQ(judge_utf8(hex(unfinished)), Utf8::kUnfinished) << unfinished;
  // Only the last byte of each is invalid.
  for (const char* broken : {"80", "bf", "c0", "c1", "c2 7f", "c2 c0", "e0 9f", "ed a0", "ed bf",
                             "f0 8f", "f4 90", "f5", "f7", "f8", "fe", "ff", "e1 80 41"})
    EXPECT_EQ(judge_utf8(hex(broken)), Utf8::kBroken) << broken;
}

TEST(PlainDecoder, FailsATextAtItsFirstBadByte) {
  EXPECT_EQ(decode(hex("81 85 37 fa 21 3d") + masked("\xff")), failed(1007)) << "4 bytes to come";
  EXPECT_EQ(from_server(hex("81 01 c3")), failed(1007)) << "ends inside a character";
  EXPECT_EQ(from_server(hex("01 01 c3 80 01 a9")), (std::vector<Event>{{Kind::kText, "é"}}));
  EXPECT_EQ(from_server(hex("01 01 c3 80 01 41")), failed(1007));
  EXPECT_EQ(from_server(hex("82 01 c3")), (std::vector<Event>{{Kind::kBinary, hex("c3")}}));
}

TEST(PlainDecoder, SplitsSentBytesIntoFrames) {
  const std::vector<Frame> frames = read_frames(hex("8a 01 61") + hex("88 82 37 fa 21 3d 34 12") +
                                                hex("82 7e 00 7e") + repeat(126, "x"));
  ASSERT_EQ(frames.size(), 3U);
  EXPECT_EQ(frames[0].payload, "a");
  EXPECT_FALSE(frames[0].is_masked);
  EXPECT_EQ(frames[1].byte0, 0x88U);
  EXPECT_EQ(frames[1].payload, hex("03 e8"));
  EXPECT_TRUE(frames[1].is_masked);
  EXPECT_EQ(frames[2].payload, repeat(126, "x"));
  EXPECT_THROW(read_frames(hex("8a 02 61")), Ended);
}

// ------------------------------------------------------------------ RFC 7692

std::vector<Event> inflated(std::string_view stream, bool takes_over = true,
                            std::uint64_t largest = 1000) {
  return decode(stream, {.is_from_client = false,
                         .largest_message = largest,
                         .deflate = Settings::Deflate{.keeps_context = takes_over,
                                                      .largest_compressed = 100}});
}
const std::string kHello = hex("c1 07 f2 48 cd c9 c9 07 00");

// §7.2.3, in its order.
TEST(PlainDecoder, DecodesTheExamplesOfRfc7692) {
  const std::vector<Event> hello = {{Kind::kText, "Hello"}};
  const std::vector<Event> twice = {{Kind::kText, "Hello"}, {Kind::kText, "Hello"}};
  EXPECT_EQ(inflated(kHello), hello);
  EXPECT_EQ(inflated(hex("41 03 f2 48 cd 80 04 c9 c9 07 00")), hello);
  EXPECT_EQ(inflated(kHello + kHello), twice);
  EXPECT_EQ(inflated(kHello + hex("c1 05 f2 00 11 00 00")), twice);
  EXPECT_EQ(inflated(hex("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00")), hello);
  EXPECT_EQ(inflated(hex("c1 08 f3 48 cd c9 c9 07 00 00")), hello);
  EXPECT_EQ(inflated(hex("c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00")), hello);
}

TEST(PlainDecoder, KeepsTheWindowAfterBfinalAndDropsItWithoutTakeover) {
  EXPECT_EQ(inflated(hex("c1 0c f3 48 cd c9 c9 07 00 f2 00 11 00 00") +  //
                     hex("c1 05 f2 00 11 00 00")),
            (std::vector<Event>{{Kind::kText, "HelloHello"}, {Kind::kText, "Hello"}}));
  EXPECT_EQ(inflated(kHello + hex("c1 05 f2 00 11 00 00"), false),
            (std::vector<Event>{{Kind::kText, "Hello"}, {Kind::kFailed, "", 1007}}));
  EXPECT_EQ(inflated(kHello + kHello, false),
            (std::vector<Event>{{Kind::kText, "Hello"}, {Kind::kText, "Hello"}}));
}

TEST(PlainDecoder, RejectsACompressedMessageThatEndsInsideABlock) {
  for (std::size_t size = 0; size < 7; ++size) {
    const std::string cut = std::string("\xc1") + static_cast<char>(size) + kHello.substr(2, size);
    EXPECT_EQ(inflated(cut), failed(1007)) << size;
  }
  EXPECT_EQ(inflated(hex("c1 08 f2 48 cd c9 c9 07 00 00")), failed(1007)) << "a part of the tail";
  EXPECT_EQ(inflated(hex("c1 0a f2 48 cd c9 c9 07 00 00 00 ff")), failed(1007));
  EXPECT_EQ(inflated(hex("c1 0a f3 48 cd c9 c9 07 00 f2 48 cd")), failed(1007)) << "after BFINAL";
  EXPECT_EQ(inflated(hex("c1 01 00 c1 00")),
            (std::vector<Event>{{Kind::kText, ""}, {Kind::kFailed, "", 1007}}))
      << "empty";
  // An empty block is a whole message, with BFINAL too.
  EXPECT_EQ(inflated(hex("c2 01 00") + hex("c2 01 01")),
            (std::vector<Event>{{Kind::kBinary, ""}, {Kind::kBinary, ""}}));
  // The tail is not text: a stored block of four bytes must not read them from the tail.
  EXPECT_EQ(inflated(hex("c2 05 00 04 00 fb ff")), failed(1007));
}

TEST(PlainDecoder, AcceptsACompressedMessageThatIsCompleteWithoutItsTail) {
  const std::vector<Event> two = {{Kind::kText, "Hello"}, {Kind::kText, "Hello"}};
  EXPECT_EQ(inflated(hex("c1 07 f3 48 cd c9 c9 07 00") + hex("c1 04 f3 00 11 00")), two);
  EXPECT_EQ(inflated(hex("c1 0b f2 48 cd c9 c9 07 00 00 00 ff ff") + hex("c1 05 f2 00 11 00 00")),
            two);
  EXPECT_EQ(inflated(hex("c1 0a 00 05 00 fa ff 48 65 6c 6c 6f") + hex("c1 05 f2 00 11 00 00")),
            two);
}

TEST(PlainDecoder, RejectsInvalidBlocksInvalidTextAndTooLargeMessages) {
  EXPECT_EQ(inflated(hex("c1 60 06")), failed(1007)) << "an invalid block type";
  EXPECT_EQ(inflated(hex("c1 60 aa 54 00 98")), failed(1007)) << "also after another block";
  EXPECT_EQ(inflated(hex("c1 60 00 05 00 fa ff 48 ff")), failed(1007)) << "invalid in UTF-8";
  EXPECT_EQ(inflated(hex("c1 60 00 05 00 fa ff 48 65 6c 6c 6f"), true, 4), failed(1009));
  EXPECT_EQ(inflated(hex("c1 60 00 05 00 fa ff 48 65 6c 6c ff"), true, 4), failed(1009));
  EXPECT_EQ(inflated(hex("c1 60 00 05 00 fa ff 48 65 6c ff 6f"), true, 4), failed(1007));
  EXPECT_EQ(inflated(hex("c1 7e 00 7e")), failed(1009)) << "too many compressed bytes";
}

TEST(PlainDecoder, AcceptsRsv1OnlyOnTheFirstFrameOfAMessage) {
  for (const char* byte0 : {"c0", "40", "c8", "c9", "ca", "e1", "d1"})
    EXPECT_EQ(inflated(hex(byte0)), failed(1002)) << byte0;
  EXPECT_EQ(from_server(kHello), failed(1002)) << "no extension was negotiated";
}

// ------------------------------------------------------------------ §9.1

TEST(PlainExtensions, ParseValidFieldsAndRejectInvalidOnes) {
  const std::vector<std::pair<std::string, Extensions>> sound = {
      {"foo", {"foo"}},  // the first three are the examples of §9.1
      {"bar; baz=2", {"bar; baz=2"}},
      {"foo, bar; baz=2", {"foo", "bar; baz=2"}},
      {" , a ;b =\t2;c,, ", {"a; b=2; c"}},
      {"a; b=\"2\\3\"", {"a; b=23"}},
  };
  for (const auto& [field, extensions] : sound)
    EXPECT_EQ(read_extensions({field}), extensions) << field;
  for (const char* field : {"", ",", ";", "a;", "a; ;b", "a b", "a; b=", "a; b=1 2", "a; b=\"\"",
                            "a; b=\"1", "a; b=\"1,2\"", "a; b=\"1\\\"", "\"a\"", "a; b c", "(a)"})
    EXPECT_EQ(read_extensions({field}), std::nullopt) << field;
  EXPECT_EQ(read_extensions({"a", "b"}), (Extensions{"a", "b"}));
  EXPECT_EQ(read_extensions({"a", ""}), std::nullopt);
  EXPECT_EQ(read_extensions({}), Extensions{});
}

}  // namespace
}  // namespace ws::plain
