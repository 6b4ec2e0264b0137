#include "protocol/http/handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>

#include "protocol/text.h"

namespace ws {
namespace {

/// [6455-4.2.2-GUID] the constant that a server appends to the key
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// [6455-4.2.1-KEY] True if `key` is 16 bytes in Base64: 22 characters and two of padding. Does not check the unused
/// bits of the 22nd character, since RFC 4648 §3.5 makes that check optional.
bool is_key(std::string_view key) {
  return key.size() == 24 && key.ends_with("==") &&
         std::ranges::all_of(key.substr(0, 22), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '/';
         });
}

/// [6455-4.1-SUBPROTOCOL] Sets `chosen` to the client's first subprotocol that is in `supported`. Returns an error if
/// a subprotocol in the request is not a token or occurs twice, or if a field lists none.
Error choose_subprotocol(const HttpRequest& request, std::span<const std::string> supported,
                         std::string_view& chosen) {
  std::vector<std::string_view> asked;
  for (std::string_view rest : request.values("Sec-WebSocket-Protocol")) {
    const std::size_t before = asked.size();
    while (const auto element = next_list_element(rest)) {
      if (!is_token(*element))
        return Error::kSubprotocolSyntax;
      asked.push_back(*element);
    }
    if (asked.size() == before)
      return Error::
          kSubprotocolSyntax;  // like parse_extensions: each field must have at least one element
  }
  for (const std::string_view name : asked) {
    // [6455-4.2.2-SUBPROTOCOL] one from the client's list, or none
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
  // Fetched once: SHA1() fetches the algorithm on every call, which takes longer than the hashing.
  static const EVP_MD* const sha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  EVP_Digest(text.data(), text.size(), digest.data(), nullptr, sha1, nullptr);
  std::array<unsigned char, 29> encoded;  // 28 characters and a NUL
  EVP_EncodeBlock(encoded.data(), digest.data(), SHA_DIGEST_LENGTH);
  AcceptKey accept;
  std::copy_n(encoded.begin(), accept.size(), accept.begin());
  return accept;
}

std::string websocket_key(std::span<const std::byte, 16> nonce) {
  std::array<unsigned char, 25> encoded;  // 24 characters and a NUL
  EVP_EncodeBlock(encoded.data(), reinterpret_cast<const unsigned char*>(nonce.data()),
                  static_cast<int>(nonce.size()));
  return {encoded.begin(), encoded.end() - 1};
}

bool is_upgrade(const HttpRequest& request) {
  // [6455-4.2.1-UPGRADE] HTTP/1.0 has no Upgrade; both fields are lists of tokens, whose case is ignored
  return request.minor_version() >= 1 && request.lists("Upgrade", "websocket") &&
         request.lists("Connection", "Upgrade");
}

Upgrade validate_upgrade(const HttpRequest& request, std::span<const std::string> supported,
                         const DeflateSettings& deflate) {
  Upgrade upgrade;
  const auto refuse = [&](Error error) {
    upgrade.error = error;
    return upgrade;
  };
  // [6455-4.2.1-GET]
  if (request.method() != "GET")
    return refuse(Error::kMethod);
  if (!is_upgrade(request))
    return refuse(Error::kNotAnUpgrade);
  // [6455-4.2.2-VERSION] the error response contains the supported version
  if (request.count("Sec-WebSocket-Version") != 1 ||
      request.find("Sec-WebSocket-Version") != "13") {
    return refuse(Error::kVersion);
  }
  // [6455-4.2.1-KEY]
  const auto key = request.find("Sec-WebSocket-Key");
  if (request.count("Sec-WebSocket-Key") != 1 || !is_key(*key))
    return refuse(Error::kKey);
  // [6455-4.1-NOBODY] the server would parse a body as frames
  if (request.has_body())
    return refuse(Error::kBodyWithUpgrade);

  // [6455-9.1-SYNTAX] checked even if no extension is enabled
  const auto extensions = parse_extensions(request.values("Sec-WebSocket-Extensions"));
  if (!extensions.has_value())
    return refuse(Error::kExtensionSyntax);
  upgrade.deflate = accept_deflate(*extensions, deflate);
  upgrade.error = choose_subprotocol(request, supported, upgrade.subprotocol);
  if (upgrade.error == Error::kNone)
    upgrade.accept = accept_key(*key);
  return upgrade;
}

void write_switching_protocols(const Upgrade& upgrade, std::string_view fields, Output& out) {
  // [6455-4.2.2-SWITCH] The field names are in lower case to match the trace in the article (README.md), whose server
  // is Reactor Netty. The case of field names has no meaning.
  out.append("HTTP/1.1 101 Switching Protocols\r\n");
  out.append(fields);
  out.append("upgrade: websocket\r\nconnection: upgrade\r\n");
  if (!upgrade.subprotocol.empty()) {
    out.append("sec-websocket-protocol: ");
    out.append(upgrade.subprotocol);
    out.append("\r\n");
  }
  // [6455-4.2.2-EXTENSION] only if the client offered the extension
  if (upgrade.deflate.has_value()) {
    out.append("sec-websocket-extensions: ");
    out.append(upgrade.deflate->text);
    out.append("\r\n");
  }
  out.append("sec-websocket-accept: ");
  out.append(std::string_view(upgrade.accept.data(), upgrade.accept.size()));
  out.append("\r\n\r\n");
}

}  // namespace ws
