// The one interface that an application implements.
//
// An endpoint never touches a socket: it calls the session, which frames, queues and limits its output.
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
  std::string_view subprotocol;  ///< the one that we chose; empty: none
  const Fd& socket;              ///< for `peer`
  /// The client's address, asked of the kernel: most endpoints never do.
  [[nodiscard]] SocketAddress peer() const { return peer_address(socket); }
};

/// How a session ended.
struct Ending {
  /// The peer's close code (1005: its Close had none); 1006 if no Close came (FIN, reset, or a timeout of ours); the
  /// code of our Close if we failed the connection; 1011 if the endpoint threw. RFC 6455 §7.1.5
  std::uint16_t code;
  std::string_view reason;  ///< the peer's, or our description; valid during the call
  /// A broken rule, a reset, an exception, or a ping or write timeout. Not: a Close, a FIN without one, or a Close of
  /// ours that was not answered.
  bool is_error;
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
  /// Called before output is flushed at the end of a loop iteration, perhaps several times: send now what was delayed
  /// to be sent in one write.
  virtual void turn_ended() {}
};

}  // namespace ws
