#include "protocol/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>

#include "protocol/authority.h"

namespace ws {
namespace {

/// [6455-4.2.2-GUID] a constant that no one who does not speak WebSocket would append
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// [6455-4.2.1-KEY] 16 bytes in Base64 are 22 characters and two of padding. The spare bits of the 22nd are
/// not judged: RFC 4648 §3.5 leaves that open.
bool is_key(std::string_view key) {
  return key.size() == 24 && key.ends_with("==") &&
         std::ranges::all_of(key.substr(0, 22), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '/';
         });
}

std::string base64(std::span<const std::byte> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock adds a NUL
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                  reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

/// [6455-4.1-SUBPROTOCOL] the client's list, over all its fields: distinct tokens. Sets the first
/// of them that is supported.
Error choose_subprotocol(const HttpRequest& request, std::span<const std::string> supported,
                         std::string_view& chosen) {
  std::vector<std::string_view> asked;
  for (std::size_t i = 0; i < request.field_count(); ++i) {
    if (!equals_ignoring_case(request.field_name(i), "Sec-WebSocket-Protocol"))
      continue;
    std::string_view rest = request.field_value(i);
    while (const auto element = next_list_element(rest)) {
      if (!is_token(*element))
        return Error::kSubprotocolSyntax;
      asked.push_back(*element);
    }
  }
  for (const std::string_view name : asked) {
    // [6455-4.2.2-SUBPROTOCOL] one of the client's, or none
    const auto found = std::ranges::find(supported, name);
    if (found != supported.end() && chosen.empty())
      chosen = *found;
  }
  std::ranges::sort(asked);
  return std::ranges::adjacent_find(asked) == asked.end() ? Error::kNone
                                                          : Error::kSubprotocolSyntax;
}

}  // namespace

AcceptKey accept_key(std::string_view key) {
  std::string text(key);
  text += kGuid;
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  // Looked up once: SHA1() by itself does it each time, which takes longer than the hashing.
  static const EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, sha1, nullptr);
  std::array<unsigned char, 29> encoded;  // 28 characters and a NUL
  EVP_EncodeBlock(encoded.data(), digest.data(), SHA_DIGEST_LENGTH);
  AcceptKey accept;
  std::copy_n(encoded.begin(), accept.size(), accept.begin());
  return accept;
}

Upgrade judge_upgrade(const HttpRequest& request, std::span<const std::string> supported,
                      const DeflateSettings& deflate) {
  Upgrade upgrade;
  const auto refuse = [&](Error error) {
    upgrade.error = error;
    return upgrade;
  };
  // [6455-4.2.1-GET]
  if (request.method() != "GET")
    return refuse(Error::kMethod);
  // [6455-4.2.1-UPGRADE] HTTP/1.0 has no Upgrade; the names are tokens in lists, in any case
  if (request.minor_version() < 1 || !request.lists("Upgrade", "websocket") ||
      !request.lists("Connection", "Upgrade")) {
    return refuse(Error::kNotAnUpgrade);
  }
  // [6455-4.2.2-VERSION] the answer names the version that would do
  if (request.count("Sec-WebSocket-Version") != 1 ||
      request.find("Sec-WebSocket-Version") != "13") {
    return refuse(Error::kVersion);
  }
  // [6455-4.2.1-KEY]
  const auto key = request.find("Sec-WebSocket-Key");
  if (request.count("Sec-WebSocket-Key") != 1 || !is_key(*key))
    return refuse(Error::kKey);
  // [6455-4.1-NOBODY] or its first bytes would be taken for frames
  if (request.has_body())
    return refuse(Error::kBodyWithUpgrade);

  // [6455-9.1-SYNTAX] judged even where no extension is spoken
  const auto extensions = parse_extensions(request);
  if (!extensions.has_value())
    return refuse(Error::kExtensionSyntax);
  upgrade.deflate = accept_deflate(*extensions, deflate);
  upgrade.error = choose_subprotocol(request, supported, upgrade.subprotocol);
  if (upgrade.error == Error::kNone)
    upgrade.accept = accept_key(*key);
  return upgrade;
}

void write_switching_protocols(const Upgrade& upgrade, std::string_view fields, Output& out) {
  // [6455-4.2.2-SWITCH] Names in lower case, as the article's server (Reactor Netty) writes them.
  out.append("HTTP/1.1 101 Switching Protocols\r\n");
  out.append(fields);
  out.append("upgrade: websocket\r\nconnection: upgrade\r\n");
  if (!upgrade.subprotocol.empty()) {
    out.append("sec-websocket-protocol: ");
    out.append(upgrade.subprotocol);
    out.append("\r\n");
  }
  // [6455-4.2.2-EXTENSION] only if it was offered
  if (upgrade.deflate.has_value()) {
    out.append("sec-websocket-extensions: ");
    out.append(upgrade.deflate->text);
    out.append("\r\n");
  }
  out.append("sec-websocket-accept: ");
  out.append(std::string_view(upgrade.accept.data(), upgrade.accept.size()));
  out.append("\r\n\r\n");
}

std::optional<Uri> parse_uri(std::string_view text) {
  Uri uri;
  // [6455-3-URI] "ws:" "//" host [ ":" port ] path [ "?" query ], and never a fragment
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
  // [6455-4.1-REQUEST], and what a client may add: [6455-4.1-ORIGIN], [6455-4.1-SUBPROTOCOL], [6455-4.1-FIELDS]
  std::string request =
      "GET " + uri.resource + " HTTP/1.1\r\nHost: " + uri.authority +
      "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + base64(nonce) +
      "\r\nSec-WebSocket-Version: 13\r\n";
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

ClientHandshake::Established ClientHandshake::judge_response(const HttpResponse& response) const {
  if (response.status() != 101)
    return {Error::kStatus};  // [6455-4.1-STATUS]
  // [6455-4.1-UPGRADE] the one protocol that we asked for: here a list would name others above or below it
  if (response.count("Upgrade") != 1 ||
      !equals_ignoring_case(*response.find("Upgrade"), "websocket")) {
    return {Error::kUpgradeField};
  }
  // [6455-4.1-CONNECTION]
  if (!response.lists("Connection", "Upgrade"))
    return {Error::kConnectionField};
  // [6455-4.1-ACCEPT] whoever answered has read the question
  const AcceptKey wanted = accept_key(base64(nonce));
  if (response.count("Sec-WebSocket-Accept") != 1 ||
      response.find("Sec-WebSocket-Accept") != std::string_view(wanted.data(), wanted.size())) {
    return {Error::kAccept};
  }
  Established established;
  // [6455-4.1-EXTENSION] what was not offered may not be in use
  const auto extensions = parse_extensions(response);
  established.error = !extensions.has_value()
                          ? Error::kExtensionSyntax
                          : judge_deflate_answer(*extensions, deflate, established.deflate);
  // [6455-4.1-SUBPROTOCOL-OFFERED] at most one, and one of ours
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
