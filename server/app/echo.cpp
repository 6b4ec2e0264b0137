#include "server/app/echo.h"

#include <string>

#include "protocol/text.h"
#include "server/app/payload_text.h"
#include "server/log/log.h"
#include "server/session/session.h"

namespace ws {

void Echo::message(Session& session, Opcode opcode, std::span<std::byte> payload) {
  constexpr std::string_view kPrefix = "Echo: ";
  std::string storage;
  const std::string_view text = message_text(opcode, payload, storage);
  log(LogLevel::kInfo, {"Received: ", text});
  session.send(Opcode::kText, {as_bytes(kPrefix), as_bytes(text)});
}

void Echo::closed(Session&, const Ending& ending) {
  if (ending.is_error)
    log(LogLevel::kError, {"Error: ", ending.reason});
}

void RawEcho::message(Session& session, Opcode opcode, std::span<std::byte> payload) {
  session.send(opcode, payload);
}

}  // namespace ws
