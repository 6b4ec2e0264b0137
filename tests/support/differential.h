// Compares a connection with the plain decoder: the same events, and the answers that they require.
//
// For tests and fuzzers; must not use GoogleTest.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/deflate/extensions.h"
#include "tests/support/plain_decoder.h"
#include "tests/support/plain_extensions.h"
#include "tests/support/run.h"

namespace ws::test {

/// The behaviour of a test's application.
struct Application {
  bool closes_first = false;  ///< sends a Close before the first byte is read
  bool echoes = false;        ///< text; answers a binary message with a Close
};

inline void install(const Application& application, Stream& stream) {
  if (application.closes_first)
    stream.first = [](Connection& connection, Output& out) { connection.close(1001, "", out); };
  if (application.echoes) {
    stream.then = [](Connection& connection, const Event& event, Output& out) {
      if (event.type == Event::Type::kText)
        connection.send(Opcode::kText, {event.payload}, out);
      if (event.type == Event::Type::kBinary)
        connection.close(4000, "text only", out);
    };
  }
}

/// A frame that must be sent. For a Close that fails the connection, only the code is known.
struct DueFrame {
  unsigned byte0;
  std::string payload;
  bool has_any_reason = false;
};

inline std::vector<DueFrame> due_frames(const std::vector<plain::Event>& events,
                                        const Application& application) {
  using Kind = plain::Event::Kind;
  std::vector<DueFrame> due;
  bool is_open = true;
  const auto add = [&](unsigned byte0, std::string payload, bool has_any_reason = false) {
    if (is_open)  // §5.5.1: nothing after a Close
      due.push_back({byte0, std::move(payload), has_any_reason});
    if (byte0 == 0x88)
      is_open = false;
  };
  const auto with_code = [](unsigned code, std::string_view reason) {
    std::string payload = {static_cast<char>(code / 256), static_cast<char>(code % 256)};
    return payload.append(reason);
  };
  if (application.closes_first)
    add(0x88, with_code(1001, ""));
  for (const plain::Event& event : events) {
    if (event.kind == Kind::kPing)
      add(0x8A, event.payload);
    if (event.kind == Kind::kClose)
      add(0x88, event.code == 1005 ? "" : with_code(event.code, ""));
    if (event.kind == Kind::kFailed)
      add(0x88, with_code(event.code, ""), true);
    if (application.echoes && event.kind == Kind::kText)
      add(0x81, event.payload);
    if (application.echoes && event.kind == Kind::kBinary)
      add(0x88, with_code(4000, "text only"));
  }
  return due;
}

/// `context`: the messages that this endpoint has sent; null if it may not compress.
inline bool is_due(plain::Frame sent, const DueFrame& due, plain::Context* context) {
  if (context != nullptr && (sent.byte0 == 0xC1 || sent.byte0 == 0xC2)) {
    const std::string octets = std::move(sent.payload);
    sent.payload = context->look_at(octets, due.payload.size() + 1).text;
    sent.byte0 -= 0x40;
    if (context->end(octets, due.payload.size() + 1) != plain::Ending::kWithTail)
      return false;
  }
  if (sent.byte0 != due.byte0)
    return false;
  if (!due.has_any_reason)
    return sent.payload == due.payload;
  return sent.payload.starts_with(due.payload) && sent.payload.size() <= 125 &&
         plain::judge_utf8(sent.payload.substr(2)) == plain::Utf8::kWhole;
}

/// Converts to an event of the plain decoder, which reports only the close code of a broken rule.
inline plain::Event to_plain(const Step& step) {
  using Kind = plain::Event::Kind;
  switch (step.type) {
    case Event::Type::kText:
      return {Kind::kText, step.payload};
    case Event::Type::kBinary:
      return {Kind::kBinary, step.payload};
    case Event::Type::kPing:
      return {Kind::kPing, step.payload};
    case Event::Type::kPong:
      return {Kind::kPong, step.payload};
    case Event::Type::kClose:
      return {Kind::kClose, step.payload, step.code};
    default:
      return {Kind::kFailed, step.payload, step.code};
  }
}

/// Converts to a list of the plain parser.
inline std::optional<plain::Extensions> to_plain(
    const std::optional<std::vector<Extension>>& extensions) {
  if (!extensions.has_value())
    return std::nullopt;
  plain::Extensions listed;
  for (const Extension& extension : *extensions) {
    std::string& text = listed.emplace_back(extension.name);
    for (const ExtensionParameter& parameter : extension.parameters) {
      text.append("; ").append(parameter.name);
      if (parameter.value.has_value())
        text.append("=").append(*parameter.value);
    }
  }
  return listed;
}

inline std::string to_string(const plain::Event& event) {
  static constexpr const char* kNames[] = {"text", "binary", "ping", "pong", "close", "failed"};
  return std::string(kNames[static_cast<std::size_t>(event.kind)]) + " " +
         std::to_string(event.code) + ", " + std::to_string(event.payload.size()) + " bytes\n" +
         dump(event.payload);
}

/// The first difference between the `outcome` of `stream` and the plain decoder; empty if they agree.
inline std::string difference_from_plain(const Stream& stream, const Application& application,
                                         const Outcome& outcome) {
  const bool is_server = stream.role == Role::kServer;
  plain::Settings settings = {.is_from_client = is_server,
                              .largest_message = stream.limits.message,
                              .most_frames = stream.limits.fragments};
  std::optional<plain::Context> context;  // of the messages that this endpoint sends
  if (stream.deflate.has_value()) {
    const bool client_takes_over = !stream.deflate->client_no_context_takeover;
    const bool server_takes_over = !stream.deflate->server_no_context_takeover;
    settings.deflate = {.keeps_context = is_server ? client_takes_over : server_takes_over,
                        .largest_compressed = max_compressed(stream.limits.message)};
    context.emplace(is_server ? server_takes_over : client_takes_over);
  }
  const std::vector<plain::Event> events = plain::decode(stream.input, settings);
  for (std::size_t i = 0; i < std::max(events.size(), outcome.steps.size()); ++i) {
    const std::string which = "event " + std::to_string(i + 1) + ": ";
    if (i >= outcome.steps.size())
      return which + "missing: " + to_string(events[i]);
    const plain::Event got = to_plain(outcome.steps[i]);
    if (i >= events.size())
      return which + "unexpected: " + to_string(got);
    if (got != events[i])
      return which + "expected " + to_string(events[i]) + "\nbut got " + to_string(got);
  }

  const std::vector<DueFrame> due = due_frames(events, application);
  const std::vector<plain::Frame> sent = plain::read_frames(outcome.sent);
  if (sent.size() != due.size()) {
    return "sent " + std::to_string(sent.size()) + " frames, but " + std::to_string(due.size()) +
           " were expected";
  }
  for (std::size_t i = 0; i < sent.size(); ++i) {
    if (!is_due(sent[i], due[i], context.has_value() ? &*context : nullptr) ||
        sent[i].is_masked == is_server)
      return "frame " + std::to_string(i + 1) + " that was sent differs\n" + dump(outcome.sent);
  }
  return {};
}

}  // namespace ws::test
