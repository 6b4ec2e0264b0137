// The text that describes dissected items. The expected text was written by hand, in the words of tshark 4.0.
#include "protocol/inspect/wire_text.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/bytes.h"

namespace ws::test {
namespace {

constexpr std::size_t kKeep = 32;

/// The only item in `bytes`, whole or cut.
class Item {
 public:
  explicit Item(const Bytes& bytes, Sender sender = Sender::kClient, bool are_frames = true,
                std::size_t keep = kKeep)
      : dissector_(sender, keep) {
    if (are_frames)
      dissector_.expect_frames();
    auto in = as_span(bytes);
    const auto item = dissector_.next(in);
    dissected_ = item.has_value() ? *item : dissector_.cut().value();
    EXPECT_TRUE(in.empty()) << "more than one item";
  }
  [[nodiscard]] const Dissected& operator*() const { return dissected_; }

 private:
  Dissector dissector_;
  Dissected dissected_;
};

std::string annotated(const Item& item) {
  std::string lines;
  for (const std::string& line : annotate(*item))
    lines += line + "\n";
  return lines;
}

const Bytes kHello = hex("81 8c 37 fa 21 3d") + masked("hello world!");
const Bytes kEcho = hex("81 12") + "Echo: hello world!";

TEST(WireSummary, EqualsWiresharksInfoColumn) {
  const struct {
    Bytes frame;
    std::string info;
  } kRows[] = {
      {kHello, "WebSocket Text [FIN] [MASKED]"},
      {kEcho, "WebSocket Text [FIN]"},
      {hex("01 83 37 fa 21 3d 7f 9f 4d"), "WebSocket Text[FRAGMENT]  [MASKED]"},
      {hex("00 01 41"), "WebSocket Continuation[FRAGMENT]"},
      {hex("80 80 37 fa 21 3d"), "WebSocket Continuation [FIN] [MASKED]"},
      {hex("82 01 41"), "WebSocket Binary [FIN]"},
      {hex("88 02 03 e8"), "WebSocket Connection Close [FIN]"},
      {hex("89 00"), "WebSocket Ping [FIN]"},
      {hex("8a 80 37 fa 21 3d"), "WebSocket Pong [FIN] [MASKED]"},
      {hex("83 00"), "WebSocket Unknown Opcode [FIN]"},
      {hex("0f 00"), "WebSocket Unknown Opcode[FRAGMENT]"},
      {hex("81"), "WebSocket, incomplete header"},
      {hex("81 fe 01 00 37 fa 21"), "WebSocket, incomplete header"},
  };
  for (const auto& row : kRows)
    EXPECT_EQ(wire_summary(*Item(row.frame)), row.info);
}

TEST(WireSummary, ShowsTheFirstLineOfAHead) {
  const auto head = [](const Bytes& bytes) {
    return wire_summary(*Item(bytes, Sender::kClient, false));
  };
  EXPECT_EQ(head("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"), "GET /echo HTTP/1.1");
  EXPECT_EQ(head("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), "GET / HTTP/1.1");
  EXPECT_EQ(head("GET / HT"), "GET / HT");
  EXPECT_EQ(head("\x16"), "\\x16") << "TLS: it ends with the invalid byte";
  const std::string target(2000, 'a');
  EXPECT_EQ(head("GET /" + target + " HTTP/1.1\r\nHost: a\r\n\r\n"),
            "GET /" + target.substr(0, kWireText - 5) + "… (2014 bytes)");
  EXPECT_EQ(wire_summary({}), "data");
}

TEST(WireFields, ListTheHeaderFieldsOnOneLine) {
  const struct {
    Bytes frame;
    std::string fields;
  } kRows[] = {
      {kHello,
       "Fin=1 Reserved=0x0 Opcode=1 Mask=1 Payload length=12 Masking-Key=37fa213d "
       "Text=\"hello world!\""},
      {kEcho, "Fin=1 Reserved=0x0 Opcode=1 Mask=0 Payload length=18 Text=\"Echo: hello world!\""},
      {hex("81 00"), "Fin=1 Reserved=0x0 Opcode=1 Mask=0 Payload length=0"},
      {hex("02 7e 01 2c") + Bytes(300, 'b'),
       "Fin=0 Reserved=0x0 Opcode=2 Mask=0 Payload length=126 Extended Payload length (16 "
       "bits)=300"},
      {hex("82 ff 00 00 00 00 00 00 00 01 00 00 00 00 41"),
       "Fin=1 Reserved=0x0 Opcode=2 Mask=1 Payload length=127 Extended Payload length (64 bits)=1 "
       "Masking-Key=00000000"},
      {hex("88 82 37 fa 21 3d 34 12"),
       "Fin=1 Reserved=0x0 Opcode=8 Mask=1 Payload length=2 Masking-Key=37fa213d Status code=1000"},
      {hex("88 05 03 e9 62 79 65"),
       "Fin=1 Reserved=0x0 Opcode=8 Mask=0 Payload length=5 Status code=1001 Reason=\"bye\""},
      {hex("88 00"), "Fin=1 Reserved=0x0 Opcode=8 Mask=0 Payload length=0"},
      {hex("88 01 03"), "Fin=1 Reserved=0x0 Opcode=8 Mask=0 Payload length=1"},
      {hex("91 00"), "Fin=1 Reserved=0x1 Opcode=1 Mask=0 Payload length=0"},
      {hex("a9 00"), "Fin=1 Reserved=0x2 Opcode=9 Mask=0 Payload length=0"},
      // compressed: no text
      {hex("c1 01 00"), "Fin=1 Reserved=0x4 Opcode=1 Mask=0 Payload length=1"},
      {hex("81"), ""},
      {hex("81 0c") + "hello",
       "Fin=1 Reserved=0x0 Opcode=1 Mask=0 Payload length=12 incomplete: 5 of 12 payload bytes "
       "Text=\"hello… (12 bytes)\""},
      {hex("82 7f ff ff ff ff ff ff ff ff 00"),
       "Fin=1 Reserved=0x0 Opcode=2 Mask=0 Payload length=127 Extended Payload length (64 "
       "bits)=18446744073709551615 incomplete: 1 of 18446744073709551615 payload bytes"},
  };
  for (const auto& row : kRows)
    EXPECT_EQ(wire_fields(*Item(row.frame)), row.fields);
}

TEST(WireFields, ShowTheErrorOfAHead) {
  const auto fields = [](const Bytes& bytes) {
    return wire_fields(*Item(bytes, Sender::kClient, false));
  };
  EXPECT_EQ(fields("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "");
  EXPECT_EQ(fields("GET / HTTP/1.1\r\n"), "incomplete head: 16 bytes");
  EXPECT_TRUE(fields("GET / HTTP/1.1\r\n\r\n").starts_with("malformed: "));
  EXPECT_EQ(wire_fields({}), "");
}

TEST(WireFields, EscapeControlCharacters) {
  EXPECT_EQ(wire_fields(*Item(hex("81 0c") + "a\nwire \x1b[2J\"")),
            "Fin=1 Reserved=0x0 Opcode=1 Mask=0 Payload length=12 Text=\"a\\nwire \\x1b[2J\"\"");
  EXPECT_EQ(wire_fields(*Item(hex("88 05 03 e8") + "a\r\\")),
            "Fin=1 Reserved=0x0 Opcode=8 Mask=0 Payload length=5 Status code=1000 "
            "Reason=\"a\\r\\\\\"");
}

TEST(WireFields, ShowTheKeptPartOfATextAndItsLength) {
  const auto text = [](const Bytes& frame, std::size_t keep) {
    const std::string fields = wire_fields(*Item(frame, Sender::kServer, true, keep));
    return fields.substr(fields.find(" Text=") + 1);
  };
  EXPECT_EQ(text(hex("81 05") + "Hello", 5), "Text=\"Hello\"");
  EXPECT_EQ(text(hex("81 05") + "Hello", 4), "Text=\"Hell… (5 bytes)\"");
  EXPECT_EQ(text(hex("81 06") + "a€bc", 3), "Text=\"a… (6 bytes)\"") << "no split character";
  EXPECT_EQ(text(hex("01 02 e2 82"), 3), "Text=\"\\xe2\\x82\"") << "ends inside a character";
  EXPECT_EQ(text(hex("81 7e 07 d0") + Bytes(2000, 'x'), 5000),
            "Text=\"" + std::string(kWireText, 'x') + "… (2000 bytes)\"");
}

TEST(WireCloseCode, HasWiresharksName) {
  EXPECT_EQ(wire_close_code(1000), "Normal Closure (1000)");
  EXPECT_EQ(wire_close_code(1002), "Protocol error (1002)");
  EXPECT_EQ(wire_close_code(1004), "---Reserved---- (1004)");
  EXPECT_EQ(wire_close_code(1007), "Invalid frame payload data (1007)");
  EXPECT_EQ(wire_close_code(1013), "Try Again Later (1013)");
  EXPECT_EQ(wire_close_code(1014), "Unknown (1014)");
  EXPECT_EQ(wire_close_code(1015), "TLS handshake (1015)");
  for (const auto code : std::initializer_list<std::uint16_t>{0, 999, 1016, 3000, 4000, 65535})
    EXPECT_EQ(wire_close_code(code), "Unknown (" + std::to_string(code) + ")");
}

TEST(Annotate, NamesEachByteOfAMaskedFrame) {
  EXPECT_EQ(annotated(Item(kHello)),
            "0000  81                       1... .... = Fin: True\n"
            "                               .000 .... = Reserved: 0x0\n"
            "                               .... 0001 = Opcode: Text (1)\n"
            "0001  8c                       1... .... = Mask: True\n"
            "                               .000 1100 = Payload length: 12\n"
            "0002  37 fa 21 3d              Masking-Key: 37fa213d\n"
            "      Masked payload           Payload\n"
            "0006  5f 9f 4d 51 58 da 56 52  68 65 6c 6c 6f 20 77 6f  hello wo\n"
            "000e  45 96 45 1c              72 6c 64 21              rld!\n"
            "                               Text: hello world!\n");
}

TEST(Annotate, ShowsAnUnmaskedPayloadOnce) {
  EXPECT_EQ(annotated(Item(hex("02 0a 00 01 41 7e 7f 80 ff 20 61 20"), Sender::kServer)),
            "0000  02                       0... .... = Fin: False\n"
            "                               .000 .... = Reserved: 0x0\n"
            "                               .... 0010 = Opcode: Binary (2)\n"
            "0001  0a                       0... .... = Mask: False\n"
            "                               .000 1010 = Payload length: 10\n"
            "      Payload\n"
            "0002  00 01 41 7e 7f 80 ff 20  ..A~...\n"
            "000a  61 20                    a\n");
}

TEST(Annotate, ShowsAnExtendedLengthOnItsOwnLine) {
  EXPECT_EQ(
      annotated(
          Item(hex("82 fe 01 2c 37 fa 21 3d") + masked(Bytes(300, 'b')), Sender::kClient, true, 9)),
      "0000  82                       1... .... = Fin: True\n"
      "                               .000 .... = Reserved: 0x0\n"
      "                               .... 0010 = Opcode: Binary (2)\n"
      "0001  fe                       1... .... = Mask: True\n"
      "                               .111 1110 = Payload length: 126 Extended Payload Length "
      "(16 bits)\n"
      "0002  01 2c                    Extended Payload length (16 bits): 300\n"
      "0004  37 fa 21 3d              Masking-Key: 37fa213d\n"
      "      Masked payload           Payload\n"
      "0008  55 98 43 5f 55 98 43 5f  62 62 62 62 62 62 62 62  bbbbbbbb\n"
      "0010  55                       62                       b\n"
      "      … and 291 bytes more\n");
  EXPECT_EQ(
      annotated(
          Item(hex("82 7f 00 00 00 00 00 01 00 00") + Bytes(65536, 'b'), Sender::kServer, true, 0)),
      "0000  82                       1... .... = Fin: True\n"
      "                               .000 .... = Reserved: 0x0\n"
      "                               .... 0010 = Opcode: Binary (2)\n"
      "0001  7f                       0... .... = Mask: False\n"
      "                               .111 1111 = Payload length: 127 Extended Payload Length "
      "(64 bits)\n"
      "0002  00 00 00 00 00 01 00 00  Extended Payload length (64 bits): 65536\n"
      "      Payload\n"
      "      … and 65,536 bytes more\n");
}

TEST(Annotate, ShowsTheCodeAndReasonOfAClose) {
  EXPECT_EQ(annotated(Item(hex("88 87 37 fa 21 3d 34 12 4e 55 57 dc 0e"))),
            "0000  88                       1... .... = Fin: True\n"
            "                               .000 .... = Reserved: 0x0\n"
            "                               .... 1000 = Opcode: Connection Close (8)\n"
            "0001  87                       1... .... = Mask: True\n"
            "                               .000 0111 = Payload length: 7\n"
            "0002  37 fa 21 3d              Masking-Key: 37fa213d\n"
            "      Masked payload           Payload\n"
            "0006  34 12 4e 55 57 dc 0e     03 e8 6f 68 60 26 2f     ..oh`&/\n"
            "                               Status code: Normal Closure (1000)\n"
            "                               Reason: oh`&/\n");
}

TEST(Annotate, OmitsTheMissingCodeAndReasonOfAClose) {
  const auto last_line = [](const Bytes& frame) {
    return annotate(*Item(frame, Sender::kServer)).back();
  };
  EXPECT_EQ(last_line(hex("88 02 03 e8")),
            "                               Status code: Normal Closure (1000)");
  EXPECT_EQ(last_line(hex("88 01 03")), "0002  03                       .");
  EXPECT_EQ(last_line(hex("88 00")),
            "                               .000 0000 = Payload length: 0");
}

TEST(Annotate, ShowsNoTextLineForAnEmptyText) {
  EXPECT_EQ(annotate(*Item(hex("81 00"), Sender::kServer)).back(),
            "                               .000 0000 = Payload length: 0");
}

TEST(Annotate, ShowsInvalidHeaderBitsUnchanged) {
  EXPECT_EQ(annotated(Item(hex("7b 80 00 00 00 00"))),
            "0000  7b                       0... .... = Fin: False\n"
            "                               .111 .... = Reserved: 0x7\n"
            "                               .... 1011 = Opcode: Unknown (11)\n"
            "0001  80                       1... .... = Mask: True\n"
            "                               .000 0000 = Payload length: 0\n"
            "0002  00 00 00 00              Masking-Key: 00000000\n");
  EXPECT_EQ(annotate(*Item(hex("87 00"), Sender::kServer))[2],
            "                               .... 0111 = Opcode: Unknown (7)");
}

TEST(Annotate, MarksACutItem) {
  EXPECT_EQ(annotated(Item(hex("81 7e 01"))),
            "0000  81 7e 01\n"
            "      incomplete header: 3 bytes\n");
  EXPECT_EQ(annotated(Item(hex("81 0c") + "hello")),
            "0000  81                       1... .... = Fin: True\n"
            "                               .000 .... = Reserved: 0x0\n"
            "                               .... 0001 = Opcode: Text (1)\n"
            "0001  0c                       0... .... = Mask: False\n"
            "                               .000 1100 = Payload length: 12\n"
            "      Payload\n"
            "0002  68 65 6c 6c 6f           hello\n"
            "      incomplete: 5 of 12 payload bytes\n"
            "                               Text: hello… (12 bytes)\n");
}

TEST(Annotate, ShowsAHeadLineByLine) {
  EXPECT_EQ(
      annotated(Item("GET /echo HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n", Sender::kClient, false)),
      "0000  GET /echo HTTP/1.1\\r\\n\n"
      "0014  Host: a\\r\\n\n"
      "001d  X: \\xff\\r\\n\n"
      "0023  \\r\\n\n");
  EXPECT_EQ(annotated(Item("GET / HTTP/1.1\r\nHo", Sender::kClient, false)),
            "0000  GET / HTTP/1.1\\r\\n\n"
            "0010  Ho\n"
            "      incomplete head: 18 bytes\n");
  EXPECT_EQ(annotated(Item("GET / HTTP/1.1\r\nX\r\n", Sender::kClient, false)),
            "0000  GET / HTTP/1.1\\r\\n\n"
            "0010  X\\r\\n\n"
            "      malformed: " +
                cite(Error::kFieldSyntax) + "\n");
}

TEST(Annotate, ShowsTheBytesOfData) {
  Dissector dissector(Sender::kServer, 10);
  const Bytes body = "not found\n!!";
  const Bytes head = "HTTP/1.1 404 Not Found\r\nContent-Length: 12\r\n\r\n";
  const Bytes answer = head + body + "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n?";
  auto in = as_span(answer);
  ASSERT_TRUE(dissector.next(in).has_value());
  const auto data = dissector.next(in);
  ASSERT_TRUE(data.has_value());
  EXPECT_EQ(annotate(*data), (std::vector<std::string>{
                                 "      Data (12 bytes)", "0000  6e 6f 74 20 66 6f 75 6e  not foun",
                                 "0008  64 0a                    d.", "      … and 2 bytes more"}));
  ASSERT_TRUE(dissector.next(in).has_value());
  EXPECT_EQ(annotate(dissector.next(in).value()),
            (std::vector<std::string>{"      Data (1 bytes)", "0000  3f                       ?"}));
}

}  // namespace
}  // namespace ws::test
