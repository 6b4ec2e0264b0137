// The interface that an application implements.
//
// An endpoint does not write to a socket. It calls the session, which frames, queues and limits the output.
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

/// A client's opening request. Valid during the call that it is passed to.
struct Opening {
  const HttpRequest& request;    ///< target and fields
  std::string_view subprotocol;  ///< chosen by the server; empty: none
  const Fd& socket;              ///< used by `peer`
  /// The address of the client. Makes a system call.
  [[nodiscard]] SocketAddress peer() const { return peer_address(socket); }
};

/// How a session ended.
struct Ending {
  /// The close code (RFC 6455 §7.1.5):
  ///  - if a Close was received: its code, or 1005 if it had none
  ///  - if the connection ended without a Close from the peer (FIN, reset, or no answer to our Close): 1006
  ///  - if we failed the connection: the code of our Close
  ///  - if the endpoint threw: 1011
  std::uint16_t code;
  std::string_view reason;  ///< from the peer, or our description; valid during the call
  /// True if the connection failed or was reset, or the endpoint threw. False after a Close, after a FIN without a
  /// Close, and if the peer did not answer our Close.
  bool is_error;
};

class Endpoint {
 public:
  virtual ~Endpoint() = default;

  /// Returns 101 to accept the client, or an HTTP status of 400 or more to refuse it.
  virtual int admit(const Opening&) { return 101; }
  /// The session is open and can send from now on.
  virtual void opened(Session&, const Opening&) {}
  /// Handles a complete message; text is valid UTF-8. `payload` is valid during the call and may be modified.
  virtual void message(Session& session, Opcode opcode, std::span<std::byte> payload) = 0;
  /// Called once for each session that was opened. The session can no longer send.
  virtual void closed(Session&, const Ending&) {}
  /// Called at the end of a loop iteration before the cork is flushed, perhaps several times. An endpoint that collects
  /// output during the iteration sends it here.
  virtual void iteration_ended() {}
};

}  // namespace ws
