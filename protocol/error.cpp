#include "protocol/error.h"

#include <array>
#include <cstddef>

namespace ws {
namespace {

struct Row {
  Error error;
  ErrorInfo info;
};

constexpr Row kTable[] = {
    {Error::kNone, {"", 0, "no error"}},

    {Error::kNotHttp,
     {"9112-3-REQUEST", 400, "not an HTTP request (this port accepts ws://, not TLS)"}},
    {Error::kRequestLine, {"9112-3-REQUEST", 400, "malformed request line"}},
    {Error::kBareControl,
     {"9112-2.2-CRLF", 400, "lines must end in CRLF and contain no other control character"}},
    {Error::kRequestLineTooLong, {"9112-3-LENGTH", 414, "request line too long"}},
    {Error::kHttpVersion, {"9110-15.6.6-VERSION", 505, "only HTTP/1.0 and HTTP/1.1 are supported"}},
    {Error::kTarget, {"9112-3.2-TARGET", 400, "malformed request target"}},
    {Error::kFieldSyntax, {"9112-5-FIELD", 400, "malformed header field"}},
    {Error::kFieldFolding, {"9112-5.2-FOLD", 400, "folded header fields are not allowed"}},
    {Error::kFieldsTooLarge, {"6585-5-FIELDS", 431, "too many header fields, or one is too long"}},
    {Error::kHost, {"9112-3.2-HOST", 400, "exactly one valid Host field is required"}},
    {Error::kBodyLength, {"9112-6.3-LENGTH", 400, "contradictory or malformed Content-Length"}},
    {Error::kStatusLine, {"9112-4-STATUS", 400, "malformed status line"}},

    {Error::kMethod, {"6455-4.2.1-GET", 405, "the method must be GET"}},
    {Error::kPath, {"6455-4.2.2-RESOURCE", 404, "no such path; try /echo or /chat"}},
    {Error::kOrigin, {"6455-4.2.2-ORIGIN", 403, "this origin is not allowed"}},
    {Error::kNotAnUpgrade,
     {"6455-4.2.1-UPGRADE", 426,
      "this path is for WebSocket: send Upgrade: websocket and Connection: Upgrade over HTTP/1.1"}},
    {Error::kVersion, {"6455-4.2.2-VERSION", 426, "Sec-WebSocket-Version must be 13"}},
    {Error::kKey,
     {"6455-4.2.1-KEY", 400, "exactly one Sec-WebSocket-Key with 16 bytes in Base64 is required"}},
    {Error::kBodyWithUpgrade, {"6455-4.1-NOBODY", 400, "an upgrade request must not have a body"}},
    {Error::kSubprotocolSyntax,
     {"6455-4.1-SUBPROTOCOL", 400, "Sec-WebSocket-Protocol must list one or more distinct tokens"}},
    {Error::kExtensionSyntax, {"6455-9.1-SYNTAX", 400, "malformed Sec-WebSocket-Extensions"}},
    {Error::kHeadTimeout, {"9110-15.5.9-TIMEOUT", 408, "timeout: the request head is incomplete"}},
    {Error::kUnavailable,
     {"9110-15.6.4-UNAVAILABLE", 503, "the server is full or is stopping; try again later"}},

    {Error::kStatus, {"6455-4.1-STATUS", 1002, "the server did not switch protocols"}},
    {Error::kUpgradeField, {"6455-4.1-UPGRADE", 1002, "the response has no Upgrade: websocket"}},
    {Error::kConnectionField,
     {"6455-4.1-CONNECTION", 1002, "the response has no Connection: Upgrade"}},
    {Error::kAccept, {"6455-4.1-ACCEPT", 1002, "Sec-WebSocket-Accept does not match the key"}},
    {Error::kUnofferedExtension,
     {"6455-4.1-EXTENSION", 1002, "the server chose an extension that was not offered"}},
    {Error::kUnofferedSubprotocol,
     {"6455-4.1-SUBPROTOCOL-OFFERED", 1002, "the server chose a subprotocol that was not offered"}},
    {Error::kDeflateAnswer,
     {"7692-7-RESPONSE", 1002,
      "the server's permessage-deflate parameters do not match the offer"}},

    {Error::kReservedBit, {"6455-5.2-RSV", 1002, "a reserved bit is set"}},
    {Error::kReservedOpcode, {"6455-5.2-OPCODE", 1002, "reserved opcode"}},
    {Error::kNotMasked, {"6455-5.1-MASK", 1002, "a client's frame must be masked"}},
    {Error::kMasked, {"6455-5.1-NOMASK", 1002, "a server's frame must not be masked"}},
    {Error::kLengthNotMinimal,
     {"6455-5.2-MINLEN", 1002, "the payload length must use the shortest form"}},
    {Error::kLengthTopBit, {"6455-5.2-TOPBIT", 1002, "the top bit of a 64-bit length must be 0"}},
    {Error::kControlFragmented, {"6455-5.5-FIN", 1002, "a control frame must not be fragmented"}},
    {Error::kControlTooLong,
     {"6455-5.5-LENGTH", 1002, "a control frame carries at most 125 bytes"}},
    {Error::kLoneContinuation,
     {"6455-5.4-CONTINUATION", 1002, "a continuation frame without an open message"}},
    {Error::kInterleavedMessage,
     {"6455-5.4-INTERLEAVE", 1002, "a new message started before the current one ended"}},

    {Error::kMessageTooBig, {"6455-10.4-MESSAGE", 1009, "message too big"}},
    {Error::kTooManyFragments, {"6455-10.4-FRAGMENTS", 1008, "too many fragments in one message"}},
    {Error::kMessageTimeout, {"6455-10.4-SLOW", 1008, "the message arrives too slowly"}},
    {Error::kTextNotUtf8, {"6455-8.1-UTF8", 1007, "text is not UTF-8"}},
    {Error::kCompressedData, {"7692-6.2-INFLATE", 1007, "invalid compressed data"}},
    {Error::kCloseLength,
     {"6455-5.5.1-BODY", 1002, "a Close payload must be empty or start with a 2-byte code"}},
    {Error::kCloseCode, {"6455-7.4-CODE", 1002, "this close code must not be sent"}},
    {Error::kCloseReasonNotUtf8, {"6455-5.5.1-REASON", 1007, "the Close reason is not UTF-8"}},
    {Error::kOverBudget,
     {"6455-10.4-BUDGET", 1013, "the server's buffers are full; try again later"}},
    {Error::kOutOfMemory, {"6455-7.4.1-1011", 1011, "out of memory"}},
};

// Checks that each row is at the index of its enumerator, and that each text fits in a Close frame (125 - 2 bytes).
consteval bool table_is_valid() {
  for (std::size_t i = 0; i < std::size(kTable); ++i) {
    if (static_cast<std::size_t>(kTable[i].error) != i || kTable[i].info.text.size() > 123)
      return false;
  }
  return static_cast<std::size_t>(Error::kOutOfMemory) + 1 == std::size(kTable);
}
static_assert(table_is_valid());

}  // namespace

const ErrorInfo& describe(Error error) {
  return kTable[static_cast<std::size_t>(error)].info;
}

std::string cite(Error error) {
  const ErrorInfo& info = describe(error);
  return std::string(info.text) + " [" + std::string(info.tag) + "]";
}

}  // namespace ws
