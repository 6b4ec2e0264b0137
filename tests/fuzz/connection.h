// A connection in either role: whole, in single bytes and cut, a stream must give the same events and the same sent
// bytes, and they must be those that the plain decoder, which shares no code with it, expects. The invariants of `run`
// must hold too: memory is released, nothing is sent without an event, and only whole frames are sent.
#pragma once

#include <optional>

#include "tests/fuzz/input.h"
#include "tests/support/differential.h"

namespace ws::fuzz {

inline bool is_documented(const test::Step& step) {
  switch (step.type) {
    case Event::Type::kNeedMore:
      return false;
    case Event::Type::kText:
    case Event::Type::kBinary:
      return step.code == 0 && step.error == Error::kNone;
    case Event::Type::kPing:
    case Event::Type::kPong:
      return step.code == 0 && step.error == Error::kNone &&
             step.payload.size() <= kMaxControlPayload;
    case Event::Type::kClose:
      return step.error == Error::kNone &&
             (may_be_sent(step.code) ||
              (step.code == close_code::kNoStatus && step.payload.empty()));
    case Event::Type::kFailed:
      return step.error >= Error::kReservedBit && step.error <= Error::kCloseReasonNotUtf8 &&
             step.code == describe(step.error).code;
  }
  return false;
}

inline bool is_last(Event::Type type) {
  return type == Event::Type::kClose || type == Event::Type::kFailed;
}

inline void require_same(const test::Outcome& a, const test::Outcome& b) {
  require(a.steps.size() == b.steps.size(), "a different number of events when cut");
  for (std::size_t i = 0; i < a.steps.size(); ++i) {
    const test::Step& x = a.steps[i];
    const test::Step& y = b.steps[i];
    require(x.type == y.type && x.payload == y.payload && x.error == y.error && x.code == y.code,
            "a different event when cut");
  }
  require(a.sent == b.sent, "other bytes sent when cut");
  require(a.is_open == b.is_open && a.is_finished == b.is_finished &&
              a.is_mid_message == b.is_mid_message,
          "a different state when cut");
}

inline void check_connection(Role role, const Input& input,
                             const std::optional<DeflateParameters>& deflate = {}) {
  static test::GuardedMemory memory(1 << 16);
  if (input.stream.size() > 1 << 16)
    return;
  test::Stream stream;
  stream.role = role;
  stream.input = input.stream;
  stream.deflate = deflate;
  stream.deflate_settings = {.is_enabled = true, .threshold = 1};
  if ((input.choice & 1U) != 0) {  // limits that a short input reaches
    stream.limits.message = 40;
    stream.limits.fragments = 3;
  }
  const test::Application application = {
      .closes_first = (input.choice & 2U) != 0,
      .echoes = (input.choice & 4U) != 0  // which may close in the middle
  };
  install(application, stream);

  const test::Outcome whole = run(stream, {.name = "whole", .cuts = {}}, memory);
  std::vector<std::size_t> every;
  for (std::size_t i = 1; i < stream.input.size(); ++i)
    every.push_back(i);
  const bool releases = (input.choice & 8U) != 0;
  for (const test::Way& way :
       {test::Way{.name = "cut", .cuts = input.cuts, .releases = releases},
        test::Way{.name = "byte by byte", .cuts = every, .behind_guard = true}}) {
    const test::Outcome cut = run(stream, way, memory);
    require(cut.complaint.empty(), cut.complaint.c_str());
    require_same(whole, cut);
  }

  require(whole.complaint.empty(), whole.complaint.c_str());
  const std::string difference = difference_from_plain(stream, application, whole);
  require(difference.empty(), difference.c_str());
  for (std::size_t i = 0; i < whole.steps.size(); ++i) {
    const test::Step& step = whole.steps[i];
    require(is_documented(step), "an undocumented event");
    require(is_last(step.type) == (whole.is_finished && i + 1 == whole.steps.size()),
            "an event after the last, or an end without one");
    require(step.payload.size() <= std::max<std::uint64_t>(stream.limits.message, 125),
            "a message above its limit");
  }
}

/// With permessage-deflate: the first byte of the stream gives the negotiated parameters.
inline void check_deflating_connection(Role role, Input input) {
  if (input.stream.empty())
    return;
  const auto agreed = static_cast<unsigned char>(input.stream.front());
  input.stream.remove_prefix(1);
  check_connection(
      role, input,
      DeflateParameters{.server_no_context_takeover = (agreed & 1U) != 0,
                        .client_no_context_takeover = (agreed & 2U) != 0,
                        .server_max_window_bits = static_cast<std::uint8_t>(8 + (agreed >> 2U) % 8),
                        .client_max_window_bits = static_cast<std::uint8_t>(8 + (agreed >> 5U))});
}

}  // namespace ws::fuzz
