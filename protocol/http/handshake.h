// The server's part of the opening handshake: RFC 6455 §4.2. Validates the upgrade request and writes the 101 response.
// The client's part is in protocol/client/client_handshake.h.
//
//      client                                   server
//      GET /echo HTTP/1.1                       HTTP/1.1 101 Switching Protocols
//      Host: localhost:8080                     upgrade: websocket
//      Upgrade: websocket                       connection: upgrade
//      Connection: Upgrade                      sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
//      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
//      Sec-WebSocket-Version: 13
//
// The key does not authenticate the client. The response contains a hash of the key, which proves that the server
// understands WebSocket: a cache or a server of another protocol would not return this hash.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/deflate/extensions.h"
#include "protocol/error.h"
#include "protocol/http/http_message.h"
#include "protocol/output.h"

namespace ws {

/// The value of Sec-WebSocket-Accept: Base64(SHA-1(key + GUID)), always 28 characters. §4.2.2, step 5.4
using AcceptKey = std::array<char, 28>;
[[nodiscard]] AcceptKey accept_key(std::string_view key);

/// Returns the value of Sec-WebSocket-Key: the Base64 of `nonce`, which must be random. §4.1, item 7
[[nodiscard]] std::string websocket_key(std::span<const std::byte, 16> nonce);

/// The result of validating an upgrade request. §4.2.1
struct Upgrade {
  Error error = Error::kNone;  ///< if not kNone, the request is refused
  AcceptKey accept{};
  std::string_view subprotocol;            ///< view into the argument `supported`, or empty
  std::optional<DeflateAnswer> deflate{};  ///< nullopt: not negotiated
};

/// True if `request` asks to switch to WebSocket: Upgrade: websocket and Connection: Upgrade over HTTP/1.1. §4.2.1
[[nodiscard]] bool is_upgrade(const HttpRequest& request);
/// Validates a complete upgrade request. The caller has already found an endpoint for the path. Chooses the client's
/// first subprotocol that is in `supported`, and the client's first valid offer of permessage-deflate, since clients
/// list both in order of preference.
[[nodiscard]] Upgrade validate_upgrade(const HttpRequest& request,
                                       std::span<const std::string> supported,
                                       const DeflateSettings& deflate = {});

/// Appends the 101 response. `fields`: additional field lines, each with CRLF.
void write_switching_protocols(const Upgrade& upgrade, std::string_view fields, Output& out);

}  // namespace ws
