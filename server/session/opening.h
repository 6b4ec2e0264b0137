// The opening handshake of one session: the bytes of a request head in, the 101 or a refusal out. RFC 6455 §4.2
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "protocol/budget.h"
#include "protocol/http/http_message.h"
#include "server/http/router.h"
#include "server/net/fd.h"
#include "server/session/block.h"
#include "server/session/session_context.h"

namespace ws {

/// A request head that did not come in one read. Most do, and need none.
struct PartialHead {
  explicit PartialHead(Budget& budget) : bytes(budget) {}
  HttpRequest request;
  Block bytes;
};

/// What came of the bytes so far.
struct OpeningResult {
  enum class Status : std::uint8_t {
    kNeedMore,
    kRefused,   ///< `answer` is to be sent, and the session ends
    kAccepted,  ///< `answer` says which route and upgrade
  };
  Status status = Status::kNeedMore;
  Answer answer{};
  const HttpRequest* request = nullptr;  ///< if it was accepted
  std::span<std::byte> rest{};           ///< bytes that came after the head
};

/// Reads `bytes`, which follow what `head` holds; null if they are the first. A complete head is answered by the router
/// and then by its endpoint's `admit`. The result's request and rest lie in `bytes`, `head` and the context.
OpeningResult read_opening(std::unique_ptr<PartialHead>& head, std::span<std::byte> bytes,
                           const Fd& socket, SessionContext& context);

}  // namespace ws
