// The head of a request, and its validation as an upgrade.
#include "protocol/http/handshake.h"
#include "tests/fuzz/http.h"

namespace {

std::string start_and_upgrade(const ws::HttpRequest& request) {
  const std::string supported[] = {"chat"};
  const ws::Upgrade upgrade = ws::validate_upgrade(request, supported);
  const std::uint16_t code = ws::describe(upgrade.error).code;
  ws::fuzz::require(code == 0 || code == 400 || code == 405 || code == 426,
                    "an undocumented answer");
  std::string text(request.method());
  text.append(" ").append(request.target()).append(" ").append(request.path());
  text.append(1, static_cast<char>('0' + request.minor_version()));
  text.append(1, request.has_body() ? 'b' : '-').append(upgrade.subprotocol);
  text.append(upgrade.accept.data(), upgrade.accept.size()).append(std::to_string(code));
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ws::Error;
  static const std::set<Error> kErrors = {
      Error::kNotHttp,        Error::kRequestLine, Error::kBareControl, Error::kRequestLineTooLong,
      Error::kHttpVersion,    Error::kTarget,      Error::kFieldSyntax, Error::kFieldFolding,
      Error::kFieldsTooLarge, Error::kHost,        Error::kBodyLength};
  ws::fuzz::check_head<ws::HttpRequest>({data, size}, kErrors, start_and_upgrade);
  return 0;
}
