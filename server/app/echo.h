// The echo endpoints: /echo as in the Spring WebFlux article (README.md), and /echo/raw for conformance suites and load
// generators.
#pragma once

#include "server/session/endpoint.h"

namespace ws {

/// Answers each message with `Echo: ` and its payload, as a text message.
class Echo final : public Endpoint {
 public:
  void message(Session& session, Opcode opcode, std::span<std::byte> payload) override;
  void closed(Session& session, const Ending& ending) override;
};

/// Sends each message back unchanged, with the same opcode.
class RawEcho final : public Endpoint {
 public:
  void message(Session& session, Opcode opcode, std::span<std::byte> payload) override;
};

}  // namespace ws
