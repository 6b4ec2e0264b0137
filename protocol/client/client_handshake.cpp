#include "protocol/client/client_handshake.h"

#include <algorithm>

#include "protocol/http/handshake.h"
#include "protocol/text.h"

namespace ws {
namespace {

std::string_view name_of(std::string_view field_line) {
  return field_line.substr(0, field_line.find(':'));
}

}  // namespace

bool ClientHandshake::sets_field(std::string_view name) {
  constexpr std::string_view kOurs = "Sec-WebSocket-";
  return equals_ignoring_case(name, "Upgrade") || equals_ignoring_case(name, "Connection") ||
         equals_ignoring_case(name.substr(0, kOurs.size()), kOurs);
}

void ClientHandshake::write_request(Output& out) const {
  const auto is_replaced = [this](std::string_view name) {
    return std::ranges::any_of(fields, [name](std::string_view line) {
      return equals_ignoring_case(name_of(line), name);
    });
  };
  // [6455-4.1-REQUEST]; optional fields: [6455-4.1-ORIGIN], [6455-4.1-SUBPROTOCOL], [6455-4.1-FIELDS]
  std::string request = "GET " + uri.resource + " HTTP/1.1\r\n";
  // RFC 9110 §7.2: the Host field should come first.
  if (!is_replaced("Host"))
    request += "Host: " + uri.authority + "\r\n";
  for (const std::string& field : fields) {
    if (equals_ignoring_case(name_of(field), "Host"))
      request += field + "\r\n";
  }
  request +=
      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + websocket_key(nonce) +
      "\r\nSec-WebSocket-Version: 13\r\n";
  if (!origin.empty() && !is_replaced("Origin"))
    request += "Origin: " + origin + "\r\n";
  for (std::size_t i = 0; i < subprotocols.size(); ++i) {
    request += (i == 0 ? "Sec-WebSocket-Protocol: " : ", ") + subprotocols[i];
  }
  if (!subprotocols.empty())
    request += "\r\n";
  if (deflate.is_enabled)
    request += "Sec-WebSocket-Extensions: " + offer_deflate(deflate) + "\r\n";
  for (const std::string& field : fields) {
    if (!equals_ignoring_case(name_of(field), "Host"))
      request += field + "\r\n";
  }
  request += "\r\n";
  out.append(request);
}

ClientHandshake::Established ClientHandshake::validate_response(
    const HttpResponse& response) const {
  if (response.status() != 101)
    return {Error::kStatus};  // [6455-4.1-STATUS]
  // [6455-4.1-UPGRADE] the value must be exactly "websocket", since a list would mean that the server switched to
  // several protocols
  if (response.count("Upgrade") != 1 ||
      !equals_ignoring_case(*response.find("Upgrade"), "websocket")) {
    return {Error::kUpgradeField};
  }
  // [6455-4.1-CONNECTION]
  if (!response.lists("Connection", "Upgrade"))
    return {Error::kConnectionField};
  // [6455-4.1-ACCEPT] the hash of our key proves that the server understood the request
  const AcceptKey wanted = accept_key(websocket_key(nonce));
  if (response.count("Sec-WebSocket-Accept") != 1 ||
      response.find("Sec-WebSocket-Accept") != std::string_view(wanted.data(), wanted.size())) {
    return {Error::kAccept};
  }
  Established established;
  // [6455-4.1-EXTENSION] only an extension that we offered
  const auto extensions = parse_extensions(response.values("Sec-WebSocket-Extensions"));
  established.error = !extensions.has_value()
                          ? Error::kExtensionSyntax
                          : validate_deflate_answer(*extensions, deflate, established.deflate);
  // [6455-4.1-SUBPROTOCOL-OFFERED] at most one subprotocol, and only one that we offered
  const std::size_t chosen = response.count("Sec-WebSocket-Protocol");
  if (established.error == Error::kNone && chosen != 0) {
    established.subprotocol = *response.find("Sec-WebSocket-Protocol");
    if (chosen > 1 ||
        std::ranges::find(subprotocols, established.subprotocol) == subprotocols.end())
      established.error = Error::kUnofferedSubprotocol;
  }
  return established;
}

}  // namespace ws
