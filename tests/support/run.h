// Gives a connection one stream in one way, and checks the invariants that hold for every stream.
//
// For tests (stream.h) and fuzzers; must not use GoogleTest.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/deflate/deflate.h"
#include "protocol/frame/connection.h"
#include "protocol/inspect/dissector.h"
#include "tests/support/bytes.h"

namespace ws::test {

/// An event with a copy of its payload.
struct Step {
  Event::Type type = Event::Type::kNeedMore;
  Bytes payload{};
  Error error = Error::kNone;
  std::uint16_t code = 0;
  std::size_t with = 0;  ///< bytes of the stream received so far; as an expectation, 0: any number
};
inline Step text(Bytes payload) {
  return {.type = Event::Type::kText, .payload = std::move(payload)};
}
inline Step binary(Bytes payload) {
  return {.type = Event::Type::kBinary, .payload = std::move(payload)};
}
inline Step ping(Bytes payload) {
  return {.type = Event::Type::kPing, .payload = std::move(payload)};
}
inline Step pong(Bytes payload) {
  return {.type = Event::Type::kPong, .payload = std::move(payload)};
}
inline Step closed(std::uint16_t code, Bytes reason = {}) {
  return {.type = Event::Type::kClose, .payload = std::move(reason), .code = code};
}
/// `with`: the number of bytes after which the broken rule must be detected.
inline Step failed(Error error, std::size_t with = 0) {
  return {.type = Event::Type::kFailed, .error = error, .code = describe(error).code, .with = with};
}

/// The Close frame that a server sends: 88, length, code, reason.
inline Bytes close_frame(std::uint16_t code, std::string_view reason = {}) {
  Bytes bytes = "\x88";
  bytes += static_cast<char>(2 + reason.size());
  bytes += static_cast<char>(code >> 8);
  bytes += static_cast<char>(code & 0xFF);
  return bytes.append(reason);
}
/// The Close frame that it sends when it fails the connection.
inline Bytes failing_close(Error error) {
  return close_frame(describe(error).code, describe(error).text);
}

/// Client connections mask with the key of RFC 6455 §5.7.
inline MaskingKey key_of_the_examples() {
  return {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};
}

inline Bytes flatten(const Output& out) {
  Bytes bytes;
  out.for_each_piece([&](Output::Bytes piece) { bytes += to_bytes(piece); });
  return bytes;
}

struct Stream {
  Role role = Role::kServer;
  Limits limits{};
  std::optional<DeflateParameters> deflate{};  ///< as negotiated
  DeflateSettings deflate_settings{};
  Bytes input{};
  std::vector<Step> events{};
  Bytes sent{};
  /// The application's actions before the first byte, and after each event.
  std::function<void(Connection&, Output&)> first{};
  std::function<void(Connection&, const Event&, Output&)> then{};
};

/// How a stream is given to a connection.
struct Way {
  std::string name;
  std::vector<std::size_t> cuts;  ///< where a read ends and the next begins
  bool behind_guard = false;  ///< the input starts after a guard page; otherwise it ends before one
  bool has_empty_reads = false;
  bool releases = false;  ///< calls release() after each event
};

struct Outcome {
  std::vector<Step> steps;
  Bytes sent;
  bool is_open = false;
  bool is_finished = false;
  bool is_mid_message = false;
  std::string complaint;  ///< the invariant that does not hold
};

/// True if `sent` ends at the end of a frame.
inline bool is_whole_frames(const Bytes& sent, Role role) {
  Dissector dissector(role == Role::kServer ? Sender::kServer : Sender::kClient, 0);
  dissector.expect_frames();
  auto rest = as_span(sent);
  while (dissector.next(rest).has_value()) {
  }
  return !dissector.cut().has_value();
}

inline Outcome run(const Stream& stream, const Way& way, GuardedMemory& memory) {
  Outcome outcome;
  Budget budget(std::size_t{1} << 40U);
  {
    DeflatePool pool(stream.deflate_settings, &budget);
    const ConnectionSettings settings{.role = stream.role,
                                      .limits = stream.limits,
                                      .new_masking_key = key_of_the_examples,
                                      .budget = &budget,
                                      .deflate = &pool};
    Connection connection(settings);
    if (stream.deflate.has_value())
      connection.use_deflate(*stream.deflate);
    Output out;
    const auto take_output = [&] {
      outcome.sent += flatten(out);
      out.clear();
    };
    const auto read = [&](std::size_t begin, std::size_t end) {
      const std::string_view part = std::string_view(stream.input).substr(begin, end - begin);
      const std::span<std::byte> all =
          way.behind_guard ? memory.behind_guard(part) : memory.before_guard(part);
      std::span<std::byte> in = all;
      for (;;) {
        const std::size_t left = in.size();
        const Event event = connection.next(in, out);
        if (in.size() > left)
          outcome.complaint = "the input grew";
        if (event.type == Event::Type::kNeedMore) {
          if (!in.empty())
            outcome.complaint = "asked for more but left input";
          if (!out.empty())
            outcome.complaint = "sent bytes without an event";
          break;
        }
        outcome.steps.push_back({.type = event.type,
                                 .payload = to_bytes(event.payload),
                                 .error = event.error,
                                 .code = event.code,
                                 .with = end});
        if (stream.then)
          stream.then(connection, event, out);
        take_output();
        if (way.releases)
          connection.release();
      }
      std::ranges::fill(all,
                        std::byte{0xEE});  // the connection must have copied the bytes it needs
    };

    if (stream.first)
      stream.first(connection, out);
    take_output();
    std::size_t begin = 0;
    for (const std::size_t cut : way.cuts) {
      read(begin, cut);
      if (way.has_empty_reads)
        read(cut, cut);
      begin = cut;
    }
    read(begin, stream.input.size());
    outcome.is_open = connection.is_open();
    outcome.is_finished = connection.is_finished();
    outcome.is_mid_message = connection.is_mid_message();
    if (!outcome.is_mid_message && budget.used() != 0 && !stream.deflate.has_value())
      outcome.complaint = "holds memory between messages";
    if (outcome.is_finished && outcome.is_mid_message)
      outcome.complaint = "has finished but holds a partial message";
  }
  if (budget.used() != 0)
    outcome.complaint = "did not release its memory";
  if (!is_whole_frames(outcome.sent, stream.role))
    outcome.complaint = "sent a partial frame";
  return outcome;
}

inline std::string to_string(const Step& step) {
  static constexpr const char* kNames[] = {"need more", "text",  "binary", "ping",
                                           "pong",      "close", "failed"};
  std::string line = kNames[static_cast<std::size_t>(step.type)];
  if (step.code != 0)
    line += " " + std::to_string(step.code);
  if (step.error != Error::kNone) {
    line += " [" + std::string(describe(step.error).tag) + "] " +
            std::string(describe(step.error).text);
  }
  if (!step.payload.empty())
    line += ", " + std::to_string(step.payload.size()) + " bytes";
  if (step.with != 0)
    line += ", with byte " + std::to_string(step.with);
  if (!step.payload.empty())
    line += "\n" + dump(step.payload);
  return line;
}

inline std::string to_string(const std::vector<Step>& steps) {
  std::string lines;
  for (const Step& step : steps)
    lines += "  " + to_string(step) + "\n";
  return steps.empty() ? "  (none)\n" : lines;
}

}  // namespace ws::test
