// Assembling messages from fragments: RFC 6455 §5.4; and the budget for their memory.
#include "protocol/frame/message.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/bytes.h"

namespace ws::test {
namespace {

FrameHeader data_frame(Opcode opcode, bool fin, std::uint64_t payload_length) {
  return {.fin = fin, .opcode = opcode, .payload_length = payload_length};
}

/// Adds one whole frame.
Error add(MessageAssembler& message, Opcode opcode, bool fin, std::string_view payload) {
  if (!message.is_open()) {
    message.begin(data_frame(opcode, fin, payload.size()), nullptr);
  } else if (const Error e = message.begin_frame(data_frame(opcode, fin, payload.size()));
             e != Error::kNone) {
    return e;
  }
  if (const Error e = message.append(as_span(payload)); e != Error::kNone)
    return e;
  return message.end_frame(fin);
}

TEST(ValidateDataFrame, RejectsMisplacedOpcodesAndTooLargeMessages) {
  const struct {
    const char* rule;
    Opcode opcode;
    bool open;
    std::uint64_t payload_length;
    Error error;
  } kRows[] = {
      {"text begins a message", Opcode::kText, false, 0, Error::kNone},
      {"binary begins a message", Opcode::kBinary, false, 10, Error::kNone},
      {"a continuation continues a message", Opcode::kContinuation, true, 10, Error::kNone},
      {"[6455-5.4-CONTINUATION]", Opcode::kContinuation, false, 0, Error::kLoneContinuation},
      {"[6455-5.4-INTERLEAVE] text", Opcode::kText, true, 0, Error::kInterleavedMessage},
      {"[6455-5.4-INTERLEAVE] binary", Opcode::kBinary, true, 0, Error::kInterleavedMessage},
      {"[6455-10.4-MESSAGE] N + 1", Opcode::kText, false, 11, Error::kMessageTooBig},
      {"[6455-10.4-MESSAGE] N + 1 in a continuation", Opcode::kContinuation, true, 11,
       Error::kMessageTooBig},
      {"the opcode is checked before the length", Opcode::kContinuation, false, 11,
       Error::kLoneContinuation},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(validate_data_frame(data_frame(row.opcode, true, row.payload_length), row.open, 10),
              row.error)
        << row.rule;
  }
}

TEST(Message, JoinsItsFragmentsInOrder) {
  const Limits limits;
  MessageAssembler message(limits, nullptr);
  EXPECT_FALSE(message.is_open());
  EXPECT_EQ(add(message, Opcode::kText, false, "Hel"), Error::kNone);
  EXPECT_TRUE(message.is_open());
  EXPECT_EQ(add(message, Opcode::kContinuation, false, ""), Error::kNone);
  EXPECT_EQ(add(message, Opcode::kContinuation, true, "lo"), Error::kNone);
  EXPECT_FALSE(message.is_open());
  EXPECT_EQ(message.opcode(), Opcode::kText) << "the first fragment's, not the continuation's";
  EXPECT_EQ(to_bytes(message.payload()), "Hello");
}

TEST(Message, RejectsAFragmentThatExceedsTheMessageLimit) {
  Limits limits;
  limits.message = 10;
  for (const std::size_t first : {0U, 1U, 9U, 10U}) {
    SCOPED_TRACE("[6455-10.4-MESSAGE] " + std::to_string(first) + " bytes in the first fragment");
    MessageAssembler fits(limits, nullptr);
    EXPECT_EQ(add(fits, Opcode::kBinary, false, Bytes(first, 'a')), Error::kNone);
    EXPECT_EQ(add(fits, Opcode::kContinuation, true, Bytes(10 - first, 'b')), Error::kNone) << "N";
    MessageAssembler does_not(limits, nullptr);
    EXPECT_EQ(add(does_not, Opcode::kBinary, false, Bytes(first, 'a')), Error::kNone);
    EXPECT_EQ(does_not.begin_frame(data_frame(Opcode::kContinuation, true, 11 - first)),
              Error::kMessageTooBig)
        << "N + 1, rejected at the header";
  }
}

TEST(Message, AddsFragmentLengthsWithoutOverflow) {
  Limits limits;
  limits.message = std::numeric_limits<std::uint64_t>::max();
  MessageAssembler message(limits, nullptr);
  EXPECT_EQ(add(message, Opcode::kBinary, false, "0123456789"), Error::kNone);
  EXPECT_EQ(message.begin_frame(data_frame(Opcode::kContinuation, true, 0x7fffffffffffffff)),
            Error::kNone);
  limits.message = 0x7fffffffffffffff;
  MessageAssembler smaller(limits, nullptr);
  EXPECT_EQ(add(smaller, Opcode::kBinary, false, "0123456789"), Error::kNone);
  EXPECT_EQ(smaller.begin_frame(data_frame(Opcode::kContinuation, true, 0x7fffffffffffffff - 9)),
            Error::kMessageTooBig);
  EXPECT_EQ(smaller.begin_frame(data_frame(Opcode::kContinuation, true, 0x7fffffffffffffff - 10)),
            Error::kNone);
}

TEST(Message, CountsEmptyFragmentsAgainstTheFragmentLimit) {
  Limits limits;
  limits.fragments = 3;
  MessageAssembler message(limits, nullptr);
  EXPECT_EQ(add(message, Opcode::kText, false, ""), Error::kNone);
  EXPECT_EQ(add(message, Opcode::kContinuation, false, ""), Error::kNone);
  EXPECT_EQ(add(message, Opcode::kContinuation, false, ""), Error::kNone) << "N";
  EXPECT_EQ(add(message, Opcode::kContinuation, true, ""), Error::kTooManyFragments)
      << "[6455-10.4-FRAGMENTS] N + 1";
}

TEST(Message, AcceptsASingleFrameEvenIfTheFragmentLimitIsZero) {
  // The fragment limit does not apply to a message of one frame.
  for (const std::uint32_t fragments : {0U, 1U}) {
    Limits limits;
    limits.fragments = fragments;
    MessageAssembler message(limits, nullptr);
    EXPECT_EQ(add(message, Opcode::kText, false, "a"), Error::kNone);
    EXPECT_EQ(add(message, Opcode::kContinuation, true, "b"), Error::kTooManyFragments)
        << fragments;
  }
}

TEST(Message, FailsAtTheFirstBadByteOfItsText) {
  // [6455-8.1-UTF8] U+20AC is e2 82 ac: a fragment may end inside it, a message may not
  const Limits limits;
  MessageAssembler message(limits, nullptr);
  EXPECT_EQ(add(message, Opcode::kText, false, hex("e2 82")), Error::kNone);
  EXPECT_EQ(message.begin_frame(data_frame(Opcode::kContinuation, false, 1000)), Error::kNone);
  EXPECT_EQ(message.append(as_span(hex("ac"))), Error::kNone);
  EXPECT_EQ(message.append(as_span(hex("e2 41"))), Error::kTextNotUtf8)
      << "long before the frame is complete";

  MessageAssembler torn(limits, nullptr);
  EXPECT_EQ(add(torn, Opcode::kText, true, hex("e2 82")), Error::kTextNotUtf8)
      << "ends inside a character";

  MessageAssembler binary(limits, nullptr);
  EXPECT_EQ(add(binary, Opcode::kBinary, true, hex("ff fe")), Error::kNone);
}

TEST(Message, ChargesTheBudgetForItsBytesAndReleasesThem) {
  const Limits limits;
  Budget budget(1 << 20);
  {
    MessageAssembler message(limits, &budget);
    message.begin(data_frame(Opcode::kBinary, true, 5000), nullptr);
    for (std::size_t came = 1; came <= 5000; ++came) {
      ASSERT_EQ(message.append(as_span("x")), Error::kNone);
      ASSERT_GE(budget.used(), came);
      ASSERT_LE(budget.used(), 2 * came) << "memory is at most twice the received bytes";
    }
  }
  EXPECT_EQ(budget.used(), 0U);
}

TEST(Message, RejectsBytesThatExceedTheBudget) {
  const Limits limits;
  for (const std::size_t size : {100U, 101U}) {
    Budget budget(100);
    {
      MessageAssembler message(limits, &budget);
      message.begin(data_frame(Opcode::kBinary, true, size), nullptr);
      // [6455-10.4-BUDGET] N and N + 1
      EXPECT_EQ(message.append(as_span(Bytes(size, 'x'))),
                size <= 100 ? Error::kNone : Error::kOverBudget);
      EXPECT_EQ(budget.used(), size <= 100 ? 100U : 0U) << "a refused charge does not count";
    }
    EXPECT_EQ(budget.used(), 0U);
  }
}

}  // namespace
}  // namespace ws::test
