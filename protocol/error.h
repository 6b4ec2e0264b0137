// Every rule that a peer can break, as a value: what was wrong, where the standard says so, and
// the answer that it calls for. A peer's mistake is never an exception.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ws {

enum class Error : std::uint8_t {
  kNone,

  // The head of an HTTP message: RFC 9112 §2, §3, §5; RFC 9110 §15.
  kNotHttp,
  kRequestLine,
  kBareControl,
  kRequestLineTooLong,
  kHttpVersion,
  kTarget,
  kFieldSyntax,
  kFieldFolding,
  kFieldsTooLarge,
  kHost,
  kBodyLength,
  kStatusLine,

  // The opening handshake as a server sees it: RFC 6455 §4.2.
  kMethod,
  kPath,
  kOrigin,
  kNotAnUpgrade,
  kVersion,
  kKey,
  kBodyWithUpgrade,
  kSubprotocolSyntax,
  kExtensionSyntax,
  kHeadTimeout,
  kUnavailable,

  // The opening handshake as a client sees it: RFC 6455 §4.1.
  kStatus,
  kUpgradeField,
  kConnectionField,
  kAccept,
  kUnofferedExtension,
  kUnofferedSubprotocol,
  kDeflateAnswer,

  // Frames: RFC 6455 §5.
  kReservedBit,
  kReservedOpcode,
  kNotMasked,
  kMasked,
  kLengthNotMinimal,
  kLengthTopBit,
  kControlFragmented,
  kControlTooLong,
  kLoneContinuation,
  kInterleavedMessage,

  // Messages and their ends: RFC 6455 §5.5.1, §7.4, §8.1, §10.4; RFC 7692 §7.2.2.
  kMessageTooBig,
  kTooManyFragments,
  kMessageTimeout,
  kTextNotUtf8,
  kCompressedData,
  kCloseLength,
  kCloseCode,
  kCloseReasonNotUtf8,
  kOverBudget,
  kOutOfMemory,
};

struct ErrorInfo {
  std::string_view tag;   ///< the rule, as code, tests and docs/ cite it
  std::uint16_t code;     ///< an HTTP status (400 to 505) or a close code (1002 to 1013)
  std::string_view text;  ///< for the answer's body or the Close reason: at most 123 bytes
};

/// The row of the table for `error`.
const ErrorInfo& describe(Error error);
/// Its text, and its tag in brackets, for a person.
[[nodiscard]] std::string cite(Error error);

}  // namespace ws
