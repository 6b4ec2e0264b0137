// The head of a response, and its validation by a client.
#include "protocol/client/client_handshake.h"
#include "tests/fuzz/http.h"

namespace {

std::string start_and_judgement(const ws::HttpResponse& response) {
  ws::fuzz::require(response.status() >= 100 && response.status() <= 999, "an invalid status");
  static const ws::ClientHandshake kClient = [] {
    ws::ClientHandshake client;
    client.subprotocols = {"chat"};
    std::ranges::copy(ws::test::as_span("the sample nonce"), client.nonce.begin());
    return client;
  }();
  ws::ClientHandshake::Established established = kClient.validate_response(response);
  const std::uint16_t code = ws::describe(established.error).code;
  ws::fuzz::require(code == 0 || code == 1002 || established.error == ws::Error::kExtensionSyntax,
                    "an undocumented error");
  std::string text = std::move(established.subprotocol);
  text.append(ws::describe(established.error).tag).append(std::to_string(response.status()));
  return text.append(response.reason());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ws::Error;
  static const std::set<Error> kErrors = {
      Error::kNotHttp,     Error::kStatusLine,   Error::kBareControl,   Error::kRequestLineTooLong,
      Error::kFieldSyntax, Error::kFieldFolding, Error::kFieldsTooLarge};
  ws::fuzz::check_head<ws::HttpResponse>({data, size}, kErrors, start_and_judgement);
  return 0;
}
