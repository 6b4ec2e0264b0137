// The chat of the seed's article: what one says, all the others hear.
#pragma once

#include "server/endpoint.h"
#include "server/room.h"

namespace ws {

class Chat final : public Endpoint {
 public:
  explicit Chat(Budget& budget, DeflatePool* deflate = nullptr) : room_(budget, deflate) {}

  void opened(Session& session, const Opening& opening) override;
  void message(Session& session, Opcode opcode, std::span<std::byte> payload) override;
  void closed(Session& session, const Ending& ending) override;
  void turn_ended() override { room_.flush(); }

 private:
  Room room_;
};

}  // namespace ws
