// The opening handshake, the client's half: RFC 6455 §3 and §4.1. The URI, the request, and what the response comes to.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/deflate/extensions.h"
#include "protocol/error.h"
#include "protocol/http/http_message.h"
#include "protocol/output.h"

namespace ws {

/// A ws:// URI taken apart. §3
struct Uri {
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 80;
  std::string authority;  ///< for the Host field: the port only if it is not 80
  std::string resource;   ///< path and query, at least "/"
};
/// nullopt if it is malformed, has a fragment, or is not ws: (wss: is not spoken here).
[[nodiscard]] std::optional<Uri> parse_uri(std::string_view uri);

/// What a client asks for. §4.1
struct ClientHandshake {
  Uri uri;
  std::array<std::byte, 16> nonce{};  ///< random, fresh for each connection
  std::vector<std::string> subprotocols;
  std::string origin;               ///< empty: none
  std::vector<std::string> fields;  ///< further field lines, "Name: value"
  DeflateSettings deflate{};

  /// Appends the request.
  void write_request(Output& out) const;
  /// What a response comes to.
  struct Established {
    Error error = Error::kNone;  ///< why the connection is not established, if not
    std::string subprotocol{};   ///< the chosen one; empty: none
    std::optional<DeflateParameters> deflate{};
  };
  /// Judges a complete response.
  [[nodiscard]] Established judge_response(const HttpResponse& response) const;
};

}  // namespace ws
