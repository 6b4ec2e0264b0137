// Close payloads and status codes: RFC 6455 §5.5.1 and §7.4.
#include "protocol/frame/close.h"

#include <gtest/gtest.h>

#include "tests/support/bytes.h"

namespace ws::test {
namespace {

TEST(CloseCode, MayBeSentOnlyIfSection7_4OrIanaAllowsIt) {
  // [6455-7.4-CODE] Each row is a range of the standard or of IANA's registry of close codes.
  const struct {
    unsigned first;
    unsigned last;
    bool may_be_sent;
    const char* meaning;
  } kRows[] = {
      {0, 999, false, "not used"},
      {1000, 1000, true, "normal closure"},
      {1001, 1001, true, "going away"},
      {1002, 1002, true, "protocol error"},
      {1003, 1003, true, "unsupported data"},
      {1004, 1004, false, "reserved"},
      {1005, 1005, false, "no status received: never on the wire"},
      {1006, 1006, false, "abnormal closure: never on the wire"},
      {1007, 1007, true, "invalid payload data"},
      {1008, 1008, true, "policy violation"},
      {1009, 1009, true, "message too big"},
      {1010, 1010, true, "mandatory extension"},
      {1011, 1011, true, "internal error"},
      {1012, 1012, true, "service restart (IANA)"},
      {1013, 1013, true, "try again later (IANA)"},
      {1014, 1014, true, "bad gateway (IANA)"},
      {1015, 1015, false, "TLS handshake: never on the wire"},
      {1016, 2999, false, "for later standards"},
      {3000, 3999, true, "registered with IANA by libraries and applications"},
      {4000, 4999, true, "private use"},
      {5000, 65535, false, "above all ranges"},
  };
  unsigned code = 0;
  for (const auto& row : kRows) {
    ASSERT_EQ(code, row.first) << "the table has a gap";
    for (; code <= row.last; ++code) {
      ASSERT_EQ(may_be_sent(static_cast<std::uint16_t>(code)), row.may_be_sent)
          << code << ": " << row.meaning;
      const Bytes payload = {static_cast<char>(code >> 8U), static_cast<char>(code & 0xFFU)};
      const ClosePayload close = parse_close_payload(as_span(payload));
      ASSERT_EQ(close.error, row.may_be_sent ? Error::kNone : Error::kCloseCode) << code;
      ASSERT_EQ(close.code, code);
    }
  }
  EXPECT_EQ(code, 65536U);
}

TEST(ClosePayload, MustBeEmptyOrAValidCodeAndAUtf8Reason) {
  const struct {
    const char* name;
    Bytes payload;
    Error error;
    std::uint16_t code;
    Bytes reason;
  } kRows[] = {
      {"empty: reported as 1005", "", Error::kNone, 1005, ""},
      {"[6455-5.5.1-BODY] half a code", hex("03"), Error::kCloseLength, 1005, ""},
      {"a code", hex("03 e8"), Error::kNone, 1000, ""},
      {"a code and a reason", hex("03 e9") + "going away", Error::kNone, 1001, "going away"},
      {"the longest reason", hex("0f a0") + Bytes(123, 'r'), Error::kNone, 4000, Bytes(123, 'r')},
      {"a non-ASCII reason", hex("03 e8  c3 a9  e2 82 ac  f0 9f 98 80"), Error::kNone, 1000, "é€😀"},
      {"[6455-5.5.1-REASON] a bad byte", hex("03 e8 ff"), Error::kCloseReasonNotUtf8, 1000,
       hex("ff")},
      {"[6455-5.5.1-REASON] ends inside a character", hex("03 e8 e2 82"),
       Error::kCloseReasonNotUtf8, 1000, hex("e2 82")},
      {"[6455-5.5.1-REASON] a surrogate", hex("03 e8 ed a0 80"), Error::kCloseReasonNotUtf8, 1000,
       hex("ed a0 80")},
      {"[6455-7.4-CODE] is checked before the reason", hex("03 ed ff"), Error::kCloseCode, 1005,
       hex("ff")},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    GuardedMemory memory(row.payload.size());
    const ClosePayload close = parse_close_payload(memory.before_guard(row.payload));
    EXPECT_EQ(close.error, row.error);
    EXPECT_EQ(close.code, row.code);
    if (row.error == Error::kNone) {
      EXPECT_EQ(to_bytes(close.reason), row.reason);
    }
  }
}

TEST(CloseReason, IsTruncatedTo123BytesAtACharacterBoundary) {
  const struct {
    const char* name;
    Bytes reason;
    std::size_t fits;
  } kRows[] = {
      {"empty", "", 0},
      {"N", Bytes(123, 'r'), 123},
      {"N + 1", Bytes(124, 'r'), 123},
      {"far longer", Bytes(10'000, 'r'), 123},
      {"a character ends at the cut", Bytes(121, 'r') + "é" + "r", 123},
      {"two bytes across the cut", Bytes(122, 'r') + "é", 122},
      {"three bytes, one before the cut", Bytes(122, 'r') + "€", 122},
      {"three bytes, two before the cut", Bytes(121, 'r') + "€", 121},
      {"four bytes, one before the cut", Bytes(122, 'r') + "😀", 122},
      {"four bytes, three before the cut", Bytes(120, 'r') + "😀", 120},
      {"not UTF-8, an error of the caller: no reason is sent", Bytes(200, '\x80'), 0},
      {"four bytes right up to the cut", Bytes(119, 'r') + "😀" + "r", 123},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    const std::string_view cut = fit_close_reason(row.reason);
    EXPECT_EQ(cut, row.reason.substr(0, row.fits));
    EXPECT_EQ(cut.data(), row.reason.data()) << "a view, not a copy";
  }
}

TEST(CloseCodeNames, MatchTheIanaRegistryAndWireshark) {
  const struct {
    std::uint16_t code;
    std::string_view meaning;
    std::string_view wireshark;
  } kRows[] = {
      {999, "registered with IANA", "Unknown"},
      {1000, "normal closure", "Normal Closure"},
      {1004, "reserved", "---Reserved----"},
      {1007, "invalid payload data", "Invalid frame payload data"},
      {1011, "internal error", "Internal Server"},
      {1014, "bad gateway", "Unknown"},
      {1015, "TLS handshake failed", "TLS handshake"},
      {1016, "registered with IANA", "Unknown"},
      {3999, "registered with IANA", "Unknown"},
      {4000, "private use", "Unknown"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(close_code_meaning(row.code), row.meaning) << row.code;
    EXPECT_EQ(wireshark_close_code_name(row.code), row.wireshark) << row.code;
  }
}

}  // namespace
}  // namespace ws::test
