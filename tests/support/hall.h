#pragma once

#include <cstddef>
#include <span>

#include "server/app/room.h"
#include "server/session/endpoint.h"

namespace ws::test {

/// Adds each opened session to the room, and does nothing else.
class Hall final : public Endpoint {
 public:
  explicit Hall(Room& room) : room_(room) {}
  void opened(Session& session, const Opening&) override { room_.join(session); }
  void message(Session&, Opcode, std::span<std::byte>) override {}

 private:
  Room& room_;
};

}  // namespace ws::test
