#include "protocol/client/client_handshake.h"

#include <algorithm>

#include "protocol/authority.h"
#include "protocol/http/handshake.h"
#include "protocol/text.h"

namespace ws {

std::optional<Uri> parse_uri(std::string_view text) {
  Uri uri;
  // [6455-3-URI] "ws:" "//" host [ ":" port ] path [ "?" query ], without a fragment
  constexpr std::string_view kScheme = "ws://";
  if (text.size() < kScheme.size() ||
      !equals_ignoring_case(text.substr(0, kScheme.size()), kScheme) ||
      !std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; }) ||
      text.find('#') != std::string_view::npos) {
    return std::nullopt;
  }
  text.remove_prefix(kScheme.size());
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  const std::optional<Authority> authority = parse_authority(text.substr(0, end));
  const std::string_view resource = text.substr(end);
  if (!authority.has_value() || authority->host.find('@') != std::string_view::npos)
    return std::nullopt;
  std::string_view host = authority->host;
  uri.authority = host;
  if (host.find_first_of("[]:") != std::string_view::npos) {
    if (host.size() < 3 || host.front() != '[' || host.find(']') != host.size() - 1)
      return std::nullopt;
    host = host.substr(1, host.size() - 2);
  }
  uri.host = host;
  uri.port = authority->port.value_or(80);
  if (uri.port == 0)
    return std::nullopt;
  if (uri.port != 80)
    uri.authority.append(1, ':').append(std::to_string(uri.port));
  if (!resource.starts_with('/'))
    uri.resource = '/';
  uri.resource += resource;
  return uri;
}

void ClientHandshake::write_request(Output& out) const {
  // [6455-4.1-REQUEST]; optional fields: [6455-4.1-ORIGIN], [6455-4.1-SUBPROTOCOL], [6455-4.1-FIELDS]
  std::string request = "GET " + uri.resource + " HTTP/1.1\r\nHost: " + uri.authority +
                        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " +
                        websocket_key(nonce) + "\r\nSec-WebSocket-Version: 13\r\n";
  if (!origin.empty())
    request += "Origin: " + origin + "\r\n";
  for (std::size_t i = 0; i < subprotocols.size(); ++i) {
    request += (i == 0 ? "Sec-WebSocket-Protocol: " : ", ") + subprotocols[i];
  }
  if (!subprotocols.empty())
    request += "\r\n";
  if (deflate.is_enabled)
    request += "Sec-WebSocket-Extensions: " + offer_deflate(deflate) + "\r\n";
  for (const std::string& field : fields)
    request += field + "\r\n";
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
