// The chat of the Spring WebFlux article (README.md): each message is sent to all other members.
#pragma once

#include <mutex>

#include "server/app/room.h"
#include "server/session/endpoint.h"

namespace ws {

/// State that the chats of all loops share.
struct ChatParts {
  RoomParts room{};
  std::mutex mutex{};
  std::size_t total = 0;  ///< members in all loops; guarded by `mutex`
};

/// The chat endpoint of one loop.
class Chat final : public Endpoint {
 public:
  Chat(ChatParts& parts, SessionContext& context, const SessionTable& sessions)
      : parts_(parts), room_(parts.room, context, sessions) {}

  void opened(Session& session, const Opening& opening) override;
  void message(Session& session, Opcode opcode, std::span<std::byte> payload) override;
  void closed(Session& session, const Ending& ending) override;
  void iteration_ended() override { room_.end_iteration(); }

 private:
  void count(const Session& session, std::string_view what, std::ptrdiff_t change);

  ChatParts& parts_;
  Room room_;
};

}  // namespace ws
