#include "server/app/chat.h"

#include <string>

#include "protocol/text.h"
#include "server/app/payload_text.h"
#include "server/log/log.h"
#include "server/session/session.h"

namespace ws {

void Chat::opened(Session& session, const Opening&) {
  constexpr std::string_view kWelcome = "Welcome to broadcast chat!";
  room_.join(session);
  // Count after joining. The server of the article (README.md) counts before joining, so it logs a total of 0 for its
  // first client.
  count(session, "New client connected: ", 1);
  session.send(Opcode::kText, {as_bytes(kWelcome)});
}

void Chat::message(Session& session, Opcode opcode, std::span<std::byte> payload) {
  constexpr std::string_view kPrefix = "Broadcast: ";
  std::string storage;
  const std::string_view text = message_text(opcode, payload, storage);
  log(LogLevel::kInfo, {"Received from ", session.id().text(), ": ", text});
  if (!room_.broadcast(session, Opcode::kText, {as_bytes(kPrefix), as_bytes(text)})) {
    session.fail(Error::kOverBudget);
  }
}

void Chat::closed(Session& session, const Ending& ending) {
  const std::size_t members = room_.size();
  room_.leave(session);
  if (ending.is_error) {
    log(LogLevel::kError, {"Error in session ", session.id().text(), ": ", ending.reason});
  }
  count(session, "Client disconnect: ", room_.size() < members ? -1 : 0);
}

/// Counts and logs under one lock, so that all loops log their totals in the order in which they counted.
void Chat::count(const Session& session, std::string_view what, std::ptrdiff_t change) {
  const std::lock_guard lock(parts_.mutex);
  parts_.total += static_cast<std::size_t>(change);
  log(LogLevel::kInfo, {what, session.id().text(), ", Total: ", std::to_string(parts_.total)});
}

}  // namespace ws
