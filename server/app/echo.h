// The two echoes: /echo as the seed's article has it, and /echo/raw for conformance suites and load
// generators.
#pragma once

#include "server/session/endpoint.h"

namespace ws {

/// Answers each message with the text `Echo: ` and its payload as text.
class Echo final : public Endpoint {
 public:
  void message(Session& session, Opcode opcode, std::span<std::byte> payload) override;
  void closed(Session& session, const Ending& ending) override;
};

/// Answers each message with itself, type and all.
class RawEcho final : public Endpoint {
 public:
  void message(Session& session, Opcode opcode, std::span<std::byte> payload) override;
};

}  // namespace ws
