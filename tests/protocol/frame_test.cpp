// The frame header: RFC 6455 §5.2, and the examples of §5.7.
#include "protocol/frame/frame.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tests/support/bytes.h"

namespace ws::test {
namespace {

using Status = HeaderResult::Status;

/// Parses a copy of `bytes` that ends before a guard page.
HeaderResult parse(std::string_view bytes, Role role, FrameHeader& header) {
  GuardedMemory memory(bytes.size());
  return parse_frame_header(memory.before_guard(bytes), role, header);
}

/// Expects that `bytes` is a whole header, that no prefix of it is, and that later bytes change nothing.
FrameHeader expect_header(const Bytes& bytes, Role role) {
  FrameHeader header;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(parse(bytes.substr(0, size), role, header).status, Status::kNeedMore) << size;
  }
  for (const std::string_view behind :
       {"", "\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}) {
    header = FrameHeader{};
    const HeaderResult result = parse(bytes + Bytes(behind), role, header);
    EXPECT_EQ(result.status, Status::kHeader);
    EXPECT_EQ(result.error, Error::kNone);
    EXPECT_EQ(result.size, bytes.size());
  }
  return header;
}

/// Expects `error` at the last byte of `bytes`: not earlier, and with any later bytes.
void expect_error(const Bytes& bytes, Role role, Error error) {
  FrameHeader header;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(parse(bytes.substr(0, size), role, header).status, Status::kNeedMore) << size;
  }
  for (const std::string_view behind :
       {"", "\xff", "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"}) {
    const HeaderResult result = parse(bytes + Bytes(behind), role, header);
    EXPECT_EQ(result.status, Status::kError);
    EXPECT_EQ(describe(result.error).text, describe(error).text);
  }
}

TEST(FrameHeader, ParsesAndSerializesTheExamplesOfSection5_7) {
  const struct {
    const char* name;
    Role reader;
    Bytes bytes;
    bool fin;
    Opcode opcode;
    bool masked;
    std::uint64_t payload_length;
  } kRows[] = {
      {"a single-frame unmasked text message", Role::kClient, hex("81 05"), true, Opcode::kText,
       false, 5},
      {"a single-frame masked text message", Role::kServer, hex("81 85 37 fa 21 3d"), true,
       Opcode::kText, true, 5},
      {"a fragmented unmasked text message: first", Role::kClient, hex("01 03"), false,
       Opcode::kText, false, 3},
      {"a fragmented unmasked text message: last", Role::kClient, hex("80 02"), true,
       Opcode::kContinuation, false, 2},
      {"unmasked ping request", Role::kClient, hex("89 05"), true, Opcode::kPing, false, 5},
      {"masked ping response", Role::kServer, hex("8a 85 37 fa 21 3d"), true, Opcode::kPong, true,
       5},
      {"256 bytes binary message", Role::kClient, hex("82 7e 0100"), true, Opcode::kBinary, false,
       256},
      {"64KiB binary message", Role::kClient, hex("82 7f 0000000000010000"), true, Opcode::kBinary,
       false, 65536},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    const FrameHeader header = expect_header(row.bytes, row.reader);
    EXPECT_EQ(header.fin, row.fin);
    EXPECT_EQ(header.opcode, row.opcode);
    EXPECT_EQ(header.masked, row.masked);
    EXPECT_EQ(header.payload_length, row.payload_length);
    if (row.masked) {
      EXPECT_EQ(to_bytes(header.masking_key), kKey);
    }
    std::array<std::byte, kMaxHeaderSize> written{};
    EXPECT_EQ(to_bytes(std::span(written).first(serialize_frame_header(header, written))),
              row.bytes);
  }
}

TEST(FrameHeader, ParsesAndSerializesEachLengthInItsShortestForm) {
  // Each length has one encoding, for reading and for writing.
  const struct {
    std::uint64_t payload_length;
    Bytes unmasked;
    Bytes masked;
  } kRows[] = {
      {0, hex("82 00"), hex("82 80 37 fa 21 3d")},
      {1, hex("82 01"), hex("82 81 37 fa 21 3d")},
      {125, hex("82 7d"), hex("82 fd 37 fa 21 3d")},
      {126, hex("82 7e 00 7e"), hex("82 fe 00 7e 37 fa 21 3d")},
      {65535, hex("82 7e ff ff"), hex("82 fe ff ff 37 fa 21 3d")},
      {65536, hex("82 7f 00 00 00 00 00 01 00 00"),
       hex("82 ff 00 00 00 00 00 01 00 00 37 fa 21 3d")},
      {0x0102030405060708, hex("82 7f 01 02 03 04 05 06 07 08"),
       hex("82 ff 01 02 03 04 05 06 07 08 37 fa 21 3d")},
      {0x7fffffffffffffff, hex("82 7f 7f ff ff ff ff ff ff ff"),
       hex("82 ff 7f ff ff ff ff ff ff ff 37 fa 21 3d")},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.payload_length);
    for (const bool masked : {false, true}) {
      const Bytes& bytes = masked ? row.masked : row.unmasked;
      const FrameHeader header = expect_header(bytes, masked ? Role::kServer : Role::kClient);
      EXPECT_EQ(header.payload_length, row.payload_length);
      std::array<std::byte, kMaxHeaderSize> written{};
      EXPECT_EQ(to_bytes(std::span(written).first(serialize_frame_header(header, written))), bytes);
    }
  }
}

TEST(FrameHeader, IsRejectedAtTheFirstByteThatBreaksARule) {
  const struct {
    const char* rule;
    Role reader;
    Bytes bytes;
    Error error;
  } kRows[] = {
      {"[6455-5.2-RSV] RSV1", Role::kServer, hex("c1"), Error::kReservedBit},
      {"[6455-5.2-RSV] RSV2", Role::kServer, hex("a1"), Error::kReservedBit},
      {"[6455-5.2-RSV] RSV3", Role::kServer, hex("91"), Error::kReservedBit},
      {"[6455-5.2-RSV] all of them, in a control frame", Role::kClient, hex("f9"),
       Error::kReservedBit},
      {"[6455-5.2-RSV] comes before the opcode", Role::kClient, hex("c3"), Error::kReservedBit},
      {"[6455-5.2-OPCODE] data, whole", Role::kServer, hex("83"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] data, a fragment", Role::kClient, hex("07"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] control", Role::kServer, hex("8b"), Error::kReservedOpcode},
      {"[6455-5.2-OPCODE] control, the last", Role::kClient, hex("8f"), Error::kReservedOpcode},
      {"[6455-5.5-FIN] close", Role::kServer, hex("08"), Error::kControlFragmented},
      {"[6455-5.5-FIN] ping", Role::kServer, hex("09"), Error::kControlFragmented},
      {"[6455-5.5-FIN] pong", Role::kClient, hex("0a"), Error::kControlFragmented},
      {"[6455-5.1-MASK] text", Role::kServer, hex("81 05"), Error::kNotMasked},
      {"[6455-5.1-MASK] empty payload", Role::kServer, hex("89 00"), Error::kNotMasked},
      {"[6455-5.1-MASK] comes before the length", Role::kServer, hex("89 7e"), Error::kNotMasked},
      {"[6455-5.1-NOMASK] text", Role::kClient, hex("81 85"), Error::kMasked},
      {"[6455-5.1-NOMASK] empty payload", Role::kClient, hex("88 80"), Error::kMasked},
      {"[6455-5.5-LENGTH] 16 bits", Role::kServer, hex("89 fe"), Error::kControlTooLong},
      {"[6455-5.5-LENGTH] 64 bits", Role::kClient, hex("8a 7f"), Error::kControlTooLong},
      {"[6455-5.5-LENGTH] close", Role::kClient, hex("88 7e"), Error::kControlTooLong},
      {"[6455-5.2-MINLEN] 0 in 16 bits", Role::kServer, hex("82 fe 00 00"),
       Error::kLengthNotMinimal},
      {"[6455-5.2-MINLEN] 125 in 16 bits", Role::kClient, hex("82 7e 00 7d"),
       Error::kLengthNotMinimal},
      {"[6455-5.2-MINLEN] 0 in 64 bits", Role::kClient, hex("82 7f 00 00 00 00 00 00 00 00"),
       Error::kLengthNotMinimal},
      {"[6455-5.2-MINLEN] 126 in 64 bits", Role::kServer, hex("82 ff 00 00 00 00 00 00 00 7e"),
       Error::kLengthNotMinimal},
      {"[6455-5.2-MINLEN] 65535 in 64 bits", Role::kServer, hex("82 ff 00 00 00 00 00 00 ff ff"),
       Error::kLengthNotMinimal},
      {"[6455-5.2-TOPBIT] only this bit", Role::kServer, hex("82 ff 80 00 00 00 00 00 00 00"),
       Error::kLengthTopBit},
      {"[6455-5.2-TOPBIT] all bits", Role::kClient, hex("82 7f ff ff ff ff ff ff ff ff"),
       Error::kLengthTopBit},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.rule);
    expect_error(row.bytes, row.reader, row.error);
  }
}

TEST(FrameHeader, ReportsTheFirstBrokenRuleForAllPairsOfFirstBytes) {
  // All 65,536 pairs, for both roles, compared with a plain version of the rules.
  for (const Role reader : {Role::kServer, Role::kClient}) {
    for (unsigned byte0 = 0; byte0 < 256; ++byte0) {
      for (unsigned byte1 = 0; byte1 < 256; ++byte1) {
        const unsigned opcode = byte0 % 16;
        const unsigned rsv = byte0 / 16 % 8;
        const bool fin = byte0 >= 128;
        const bool mask = byte1 >= 128;
        const unsigned length = byte1 % 128;
        Error error = Error::kNone;
        if (rsv != 0) {
          error = Error::kReservedBit;
        } else if ((opcode >= 3 && opcode <= 7) || opcode >= 11) {
          error = Error::kReservedOpcode;
        } else if (opcode >= 8 && !fin) {
          error = Error::kControlFragmented;
        } else if (reader == Role::kServer && !mask) {
          error = Error::kNotMasked;
        } else if (reader == Role::kClient && mask) {
          error = Error::kMasked;
        } else if (opcode >= 8 && length > 125) {
          error = Error::kControlTooLong;
        }
        const std::byte bytes[] = {static_cast<std::byte>(byte0), static_cast<std::byte>(byte1)};
        FrameHeader header;
        const HeaderResult result = parse_frame_header(bytes, reader, header);
        ASSERT_EQ(result.error, error) << byte0 << " " << byte1;
        if (error != Error::kNone) {
          ASSERT_EQ(result.status, Status::kError);
          continue;
        }
        const bool is_complete = !mask && length < 126;
        ASSERT_EQ(result.status, is_complete ? Status::kHeader : Status::kNeedMore)
            << byte0 << " " << byte1;
        ASSERT_EQ(header.fin, fin);
        ASSERT_EQ(header.opcode, static_cast<Opcode>(opcode));
      }
    }
  }
}

/// Compares a header as read by an observer with the same header as parsed by an endpoint.
void expect_same(const FrameHeader& a, const FrameHeader& b) {
  EXPECT_EQ(a.fin, b.fin);
  EXPECT_EQ(a.rsv1, b.rsv1);
  EXPECT_EQ(a.rsv2, b.rsv2);
  EXPECT_EQ(a.rsv3, b.rsv3);
  EXPECT_EQ(a.opcode, b.opcode);
  EXPECT_EQ(a.masked, b.masked);
  EXPECT_EQ(a.payload_length, b.payload_length);
  if (a.masked && b.masked) {
    EXPECT_EQ(a.masking_key, b.masking_key);
  }
}

constexpr MaskingKey kMaskingKey = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21},
                                    std::byte{0x3d}};

TEST(ReadFrameHeader, AgreesWithParseFrameHeaderOnValidHeaders) {
  // All pairs of first bytes; those with an extended length, with three values of it.
  const std::vector<Bytes> none = {""};
  const std::vector<Bytes> in_16_bits = {hex("00 7e"), hex("01 2c"), hex("ff ff")};
  const std::vector<Bytes> in_64_bits = {hex("00 00 00 00 00 01 00 00"),
                                         hex("01 02 03 04 05 06 07 08"),
                                         hex("7f ff ff ff ff ff ff ff")};
  int accepted = 0;
  for (unsigned byte0 = 0; byte0 < 256; ++byte0) {
    for (unsigned byte1 = 0; byte1 < 256; ++byte1) {
      const unsigned length = byte1 % 128;
      for (const Bytes& more : length == 127 ? in_64_bits : length == 126 ? in_16_bits : none) {
        const Bytes bytes = Bytes({static_cast<char>(byte0), static_cast<char>(byte1)}) + more +
                            Bytes(byte1 >= 128 ? kKey : "");
        FrameHeader read;
        ASSERT_EQ(read_frame_header(as_span(bytes), read), bytes.size());
        for (const Role role : {Role::kServer, Role::kClient}) {
          FrameHeader parsed;
          const HeaderResult result = parse_frame_header(as_span(bytes), role, parsed);
          if (result.status != Status::kHeader)
            continue;
          ++accepted;
          ASSERT_EQ(result.size, bytes.size());
          expect_same(read, parsed);
        }
        // Headers that break a rule are read too.
        expect_same(read, {.fin = byte0 >= 128,
                           .rsv1 = byte0 / 64 % 2 == 1,
                           .rsv2 = byte0 / 32 % 2 == 1,
                           .rsv3 = byte0 / 16 % 2 == 1,
                           .opcode = static_cast<Opcode>(byte0 % 16),
                           .masked = byte1 >= 128,
                           .masking_key = kMaskingKey,
                           .payload_length = length < 126 ? length : read.payload_length});
        ASSERT_FALSE(HasFailure()) << byte0 << " " << byte1;
      }
    }
  }
  // Data: 3 opcodes, with or without FIN, 126 short lengths and 3 of each extended form. Control: 3 opcodes, 126
  // lengths. Each role accepts one value of the MASK bit.
  EXPECT_EQ(accepted, 2 * (3 * 2 * (126 + 3 + 3) + 3 * 126));
}

TEST(ReadFrameHeader, ReadsHeadersThatBreakTheRules) {
  const struct {
    Bytes bytes;
    FrameHeader header;
  } kRows[] = {
      {hex("f3 00"), {.rsv1 = true, .rsv2 = true, .rsv3 = true, .opcode = static_cast<Opcode>(3)}},
      {hex("09 7e 00 01"), {.fin = false, .opcode = Opcode::kPing, .payload_length = 1}},
      {hex("81 7e 00 7d"), {.payload_length = 125}},
      {hex("81 7f 00 00 00 00 00 00 00 05"), {.payload_length = 5}},
      {hex("81 7f ff ff ff ff ff ff ff fe"), {.payload_length = UINT64_MAX - 1}},
      {hex("82 ff 80 00 00 00 00 00 00 00 37 fa 21 3d"),
       {.opcode = Opcode::kBinary,
        .masked = true,
        .masking_key = kMaskingKey,
        .payload_length = std::uint64_t{1} << 63U}},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(dump(row.bytes));
    FrameHeader header;
    for (std::size_t size = 0; size < row.bytes.size(); ++size) {
      GuardedMemory memory(size);
      EXPECT_EQ(read_frame_header(memory.before_guard(row.bytes.substr(0, size)), header), 0U);
    }
    for (const char* behind : {"", "behind"}) {
      GuardedMemory memory(row.bytes.size() + 6);
      header = {};
      EXPECT_EQ(read_frame_header(memory.before_guard(row.bytes + behind), header),
                row.bytes.size());
      expect_same(header, row.header);
    }
  }
}

TEST(FrameHeader, SerializesEachBitInItsPlace) {
  const struct {
    FrameHeader header;
    Bytes bytes;
  } kRows[] = {
      {{.fin = false, .opcode = Opcode::kContinuation}, hex("00 00")},
      {{.fin = false, .opcode = Opcode::kText}, hex("01 00")},
      {{.fin = false, .rsv1 = true, .opcode = Opcode::kContinuation}, hex("40 00")},
      {{.fin = false, .rsv2 = true, .opcode = Opcode::kContinuation}, hex("20 00")},
      {{.fin = false, .rsv3 = true, .opcode = Opcode::kContinuation}, hex("10 00")},
      {{.opcode = Opcode::kClose, .payload_length = 2}, hex("88 02")},
      {{.opcode = Opcode::kPong, .payload_length = 125}, hex("8a 7d")},
  };
  for (const auto& row : kRows) {
    std::array<std::byte, kMaxHeaderSize> written{};
    EXPECT_EQ(to_bytes(std::span(written).first(serialize_frame_header(row.header, written))),
              row.bytes);
  }
}

TEST(Opcode, IsControlIfItsTopBitIsSet) {
  for (const Opcode data : {Opcode::kContinuation, Opcode::kText, Opcode::kBinary}) {
    EXPECT_FALSE(is_control(data));
  }
  for (const Opcode control : {Opcode::kClose, Opcode::kPing, Opcode::kPong}) {
    EXPECT_TRUE(is_control(control));
  }
}

}  // namespace
}  // namespace ws::test
