// Errors that end a handshake or a connection. Each error has the tag of the broken rule, the HTTP status or close code
// to answer with, and a text. Errors are returned as values, so that a peer cannot cause an exception by breaking a
// rule.
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

  // The opening handshake, errors that a server detects: RFC 6455 §4.2.
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

  // The opening handshake, errors that a client detects: RFC 6455 §4.1.
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

  // Messages, Close frames and memory: RFC 6455 §5.5.1, §7.4, §8.1, §10.4; RFC 7692 §7.2.2.
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
  std::string_view tag;   ///< names the broken rule in code, tests and docs
  std::uint16_t code;     ///< an HTTP status (400 to 505) or a close code (1002 to 1013)
  std::string_view text;  ///< body of the HTTP response or Close reason, at most 123 bytes
};

const ErrorInfo& describe(Error error);
/// Returns "text [tag]", for logs.
[[nodiscard]] std::string cite(Error error);

}  // namespace ws
