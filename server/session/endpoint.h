// The one interface that an application implements.
//
// An endpoint cannot reach a socket: it sees a session, and what it sends there is framed, queued and
// limited by the session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/frame/frame.h"
#include "protocol/http/http_message.h"
#include "server/net/socket.h"

namespace ws {

class Session;

/// What a client asked for. Valid during the call that it is passed to.
struct Opening {
  const HttpRequest& request;    ///< target and fields
  std::string_view subprotocol;  ///< the one that was agreed on; empty: none
  const Fd& socket;
  /// The client's address, asked of the kernel: most endpoints never do.
  [[nodiscard]] SocketAddress peer() const { return peer_address(socket); }
};

/// How a session ended.
struct Ending {
  /// The peer's close code (1005: it gave none), 1006 if TCP ended without a Close, or the code that we
  /// failed the connection with. RFC 6455 §7.1.5
  std::uint16_t code;
  std::string_view reason;  ///< the peer's, or what was wrong
  bool is_error;            ///< the peer broke a rule, or the connection was lost
};

class Endpoint {
 public:
  virtual ~Endpoint() = default;

  /// 101 lets the client in; an HTTP status of 400 or more refuses it.
  virtual int admit(const Opening&) { return 101; }
  /// The session is open: it may be sent to from now on.
  virtual void opened(Session&, const Opening&) {}
  /// A whole message; text is valid UTF-8. `payload` is valid during the call, and may be changed.
  virtual void message(Session& session, Opcode opcode, std::span<std::byte> payload) = 0;
  /// Called once for each session that was opened; it can no longer be sent to.
  virtual void closed(Session&, const Ending&) {}
  /// The turn of the loop ends: what was put off for one write leaves now.
  virtual void turn_ended() {}
};

}  // namespace ws
