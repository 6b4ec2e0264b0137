// The opening handshake, the server's half: RFC 6455 §4.2. One HTTP request that asks to leave HTTP, and its answer.
// The client's half is in client_handshake.
//
//      client                                   server
//      GET /echo HTTP/1.1                       HTTP/1.1 101 Switching Protocols
//      Host: localhost:8080                     upgrade: websocket
//      Upgrade: websocket                       connection: upgrade
//      Connection: Upgrade                      sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
//      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==
//      Sec-WebSocket-Version: 13
//
// The key proves nothing about who asks. It proves that whoever answers understood the question: no
// cache and no other protocol gives back its hash.
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

/// Base64 of the SHA-1 of key and GUID: always 28 characters. §4.2.2, step 5.4
using AcceptKey = std::array<char, 28>;
[[nodiscard]] AcceptKey accept_key(std::string_view key);

/// The value of a client's Sec-WebSocket-Key: Base64 of `nonce`, 16 random bytes. §4.1, item 7
[[nodiscard]] std::string websocket_key(std::span<const std::byte, 16> nonce);

/// What an upgrade request comes to. §4.2.1
struct Upgrade {
  Error error = Error::kNone;  ///< why not, if not
  AcceptKey accept{};
  std::string_view subprotocol;            ///< the chosen one, a view into `supported`; empty: none
  std::optional<DeflateAnswer> deflate{};  ///< empty: not agreed on
};

/// Judges a complete request whose path is an endpoint's. `supported`: the server's subprotocols;
/// the first of the client's that is among them is chosen, since the client lists them by
/// preference; so is the first of its offers of permessage-deflate that is valid.
[[nodiscard]] Upgrade judge_upgrade(const HttpRequest& request,
                                    std::span<const std::string> supported,
                                    const DeflateSettings& deflate = {});

/// Appends the 101. `fields`: further field lines, each with its CRLF.
void write_switching_protocols(const Upgrade& upgrade, std::string_view fields, Output& out);

}  // namespace ws
