// The client's part of the opening handshake: RFC 6455 §3 and §4.1. Parses the URI, writes the request and validates
// the response.
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

/// The parts of a ws:// URI. §3
struct Uri {
  std::string host;  ///< without the brackets of an IPv6 address
  std::uint16_t port = 80;
  std::string authority;  ///< for the Host field; includes the port unless it is 80
  std::string resource;   ///< path and query, at least "/"
};
/// Parses a ws:// URI. Returns nullopt if `uri` is malformed, has a fragment, or has another scheme (wss: is not
/// supported).
[[nodiscard]] std::optional<Uri> parse_uri(std::string_view uri);

/// Writes a client's request and validates the response. The data members are the parameters of the request. §4.1
struct ClientHandshake {
  Uri uri;
  std::array<std::byte, 16> nonce{};  ///< random, new for each connection
  std::vector<std::string> subprotocols;
  std::string origin;               ///< empty: no Origin field
  std::vector<std::string> fields;  ///< additional field lines, "Name: value"
  DeflateSettings deflate{};

  /// Appends the request to `out`.
  void write_request(Output& out) const;
  struct Established {
    Error error = Error::kNone;                  ///< if not kNone, the handshake failed
    std::string subprotocol{};                   ///< chosen by the server; empty: none
    std::optional<DeflateParameters> deflate{};  ///< nullopt: not negotiated
  };
  /// Validates a complete response.
  [[nodiscard]] Established validate_response(const HttpResponse& response) const;
};

}  // namespace ws
