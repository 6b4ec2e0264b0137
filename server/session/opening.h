// The opening handshake of a session: reads a request head and returns the 101 or a refusal. RFC 6455 §4.2
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "protocol/budget.h"
#include "protocol/http/http_message.h"
#include "server/http/router.h"
#include "server/net/transport.h"
#include "server/session/block.h"
#include "server/session/session_context.h"

namespace ws {

/// Collects a request head that arrives in several reads. Most heads arrive in one read and need no PartialHead.
struct PartialHead {
  explicit PartialHead(Budget& budget) : bytes(budget) {}
  HttpRequest request;
  Block bytes;
};

/// The result of the opening handshake after the bytes that were read so far.
struct OpeningResult {
  enum class Status : std::uint8_t {
    kNeedMore,
    kRefused,   ///< send `answer` and end the session
    kAccepted,  ///< `answer` has the route and the upgrade
  };
  Status status = Status::kNeedMore;
  Answer answer{};
  const HttpRequest* request = nullptr;  ///< only for kAccepted
  std::span<std::byte> rest{};           ///< bytes after the head
  Charge windows{nullptr};               ///< memory reserved for context takeover
};

/// Parses `bytes`, which follow the bytes in `head` (null: none), and keeps an incomplete request in `head`.
/// Passes a complete request to the router and, if the router accepts it, to `admit` of the endpoint. The result refers
/// to memory of `bytes`, `head` and `context`.
OpeningResult read_opening(std::unique_ptr<PartialHead>& head, std::span<std::byte> bytes,
                           const Transport& transport, SessionContext& context);

}  // namespace ws
