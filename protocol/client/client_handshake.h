// The client's part of the opening handshake: RFC 6455 §4.1. Writes the request and validates the response.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/client/uri.h"
#include "protocol/deflate/extensions.h"
#include "protocol/error.h"
#include "protocol/http/http_message.h"
#include "protocol/output.h"

namespace ws {

/// Writes a client's request and validates the response. The data members are the parameters of the request. §4.1
struct ClientHandshake {
  Uri uri;
  std::array<std::byte, 16> nonce{};  ///< random, new for each connection
  std::vector<std::string> subprotocols;
  std::string origin;  ///< empty: no Origin field
  /// Additional field lines, "Name: value". A line replaces our field of the same name, except the fields that make the
  /// request an upgrade: see sets_field.
  std::vector<std::string> fields;
  DeflateSettings deflate{};

  /// True for the names of fields that the handshake always sets: Upgrade, Connection and Sec-WebSocket-*. `fields` must
  /// not have them.
  [[nodiscard]] static bool sets_field(std::string_view name);
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
