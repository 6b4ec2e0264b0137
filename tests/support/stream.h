// Runs one stream, from one description, in every way that could make a difference:
//
//     expect_stream({.input = hex("81 85"             // FIN, text; masked, 5 bytes
//                                 "37 fa 21 3d"       // masking key
//                                 "7f 9f 4d 51 58"),  // "Hello"
//                    .events = {text("Hello")}});
//
// The ways: whole; byte by byte; cut at every point, and in short streams at every two points; with
// empty reads in between. The input ends right before a guard page or starts right after one, and is
// overwritten after use. In every way, the same events must occur, each at the same byte of the
// stream, the same bytes must be sent, in whole frames, and all memory must be released.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/run.h"

namespace ws::test {

/// How `got` differs from the expected outcome; empty if it does not. `reference`, from single bytes, tells at
/// which byte each event must occur.
inline std::string difference(const Stream& stream, const Way& way, const Outcome& got,
                              const Outcome& reference) {
  std::string why = got.complaint;
  std::size_t same = 0;
  const std::size_t common = std::min(got.steps.size(), stream.events.size());
  for (; same < common; ++same) {
    const Step& a = got.steps[same];
    const Step& b = stream.events[same];
    if (a.type != b.type || a.payload != b.payload || a.error != b.error || a.code != b.code)
      break;
  }
  if (same < std::max(got.steps.size(), stream.events.size())) {
    why += "event " + std::to_string(same + 1) + " differs; ";
  } else {
    for (std::size_t i = 0; i < got.steps.size() && i < reference.steps.size(); ++i) {
      const auto end = std::ranges::lower_bound(way.cuts, reference.steps[i].with);
      const std::size_t with = end == way.cuts.end() ? stream.input.size() : *end;
      if (got.steps[i].with != with) {
        why +=
            "event " + std::to_string(i + 1) + " is due with byte " + std::to_string(with) + "; ";
      }
    }
    for (std::size_t i = 0; i < stream.events.size() && i < reference.steps.size(); ++i) {
      if (stream.events[i].with != 0 && stream.events[i].with != reference.steps[i].with) {
        why += "event " + std::to_string(i + 1) + " occurs at another byte; ";
      }
    }
  }
  if (got.sent != stream.sent)
    why += "other bytes were sent; ";
  if (got.is_open != reference.is_open || got.is_finished != reference.is_finished ||
      got.is_mid_message != reference.is_mid_message) {
    why += "its state differs from that after single bytes; ";
  }
  if (why.empty())
    return why;
  const std::size_t cursor =
      got.steps.empty() ? 0 : got.steps[std::min(same, got.steps.size() - 1)].with;
  return "given " + way.name + ": " + why + "\nevents so far:\n" + to_string(got.steps) +
         "expected:\n" + to_string(stream.events) + "input, to the cursor:\n" +
         dump(stream.input, cursor) + "\nbytes sent:\n" + dump(got.sent) + "\nexpected:\n" +
         dump(stream.sent) + "\n";
}

/// The ways to give a stream of `size` bytes.
inline std::vector<Way> ways(std::size_t size) {
  std::vector<std::size_t> every;
  for (std::size_t i = 1; i < size; ++i)
    every.push_back(i);
  std::vector<Way> all = {
      {.name = "byte by byte", .cuts = every},
      {.name = "byte by byte after a guard page",
       .cuts = every,
       .behind_guard = true,
       .releases = true},
      {.name = "byte by byte with empty reads between", .cuts = every, .has_empty_reads = true},
      {.name = "whole before a guard page", .cuts = {}},
      {.name = "whole after a guard page", .cuts = {}, .behind_guard = true},
      {.name = "whole, released", .cuts = {}, .releases = true},
  };
  // A long stream is cut only near its ends and at each power of two.
  if (size > 400) {
    std::erase_if(every,
                  [&](std::size_t i) { return i > 64 && size - i > 64 && (i & (i - 1)) != 0; });
  }
  for (const std::size_t a : every) {
    const std::string name = "cut at " + std::to_string(a);
    all.push_back({.name = name, .cuts = {a}, .behind_guard = a % 2 == 0});
    if (size > 48)
      continue;
    for (std::size_t b = a + 1; b < size; ++b) {
      all.push_back({.name = name + " and " + std::to_string(b), .cuts = {a, b}});
    }
  }
  return all;
}

/// `file` and `line`: of the caller, for the failure message. (clang 14 lacks std::source_location.)
inline void expect_stream(const Stream& stream, const char* file = __builtin_FILE(),
                          int line = __builtin_LINE()) {
  GuardedMemory memory(stream.input.size());
  const std::vector<Way> all = ways(stream.input.size());
  const Outcome reference = run(stream, all[0], memory);  // byte by byte
  for (const Way& way : all) {
    const Outcome outcome = run(stream, way, memory);
    const std::string why = difference(stream, way, outcome, reference);
    if (!why.empty()) {
      ADD_FAILURE_AT(file, line) << why;
      return;  // the other ways would fail too
    }
  }
}

}  // namespace ws::test
