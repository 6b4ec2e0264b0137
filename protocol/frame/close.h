// Close frames: the payload (RFC 6455 §5.5.1) and the status codes (§7.4).
//
//      code        meaning                     in a Close frame?
//      0-999       not used                    no
//      1000-1003   defined                     yes
//      1004        reserved                    no
//      1005        Close without a code        no: only reported to the application
//      1006        no Close received           no: only reported to the application
//      1007-1011   defined                     yes
//      1012-1014   registered with IANA later  yes
//      1015        TLS handshake failed        no: only reported to the application
//      1016-2999   for later standards         no
//      3000-3999   registered with IANA        yes
//      4000-4999   private use                 yes
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/error.h"

namespace ws {

/// The codes that this project uses.
namespace close_code {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kProtocolError = 1002;
inline constexpr std::uint16_t kNoStatus = 1005;  ///< the peer's Close had no code
inline constexpr std::uint16_t kAbnormal = 1006;  ///< TCP ended without a Close
inline constexpr std::uint16_t kInvalidPayload = 1007;
inline constexpr std::uint16_t kPolicyViolation = 1008;
inline constexpr std::uint16_t kMessageTooBig = 1009;
inline constexpr std::uint16_t kInternalError = 1011;
inline constexpr std::uint16_t kTryAgainLater = 1013;
}  // namespace close_code

/// Maximum size of a Close reason in bytes: 125 bytes for the payload of a control frame, minus 2 for the code. §5.5
inline constexpr std::size_t kMaxCloseReason = 123;

/// True if a Close frame may contain `code`. §7.4
[[nodiscard]] constexpr bool may_be_sent(std::uint16_t code) {
  if (code >= 3000)
    return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

/// A short description of `code`, such as "going away", based on RFC 6455 §7.4.1 and the IANA registry.
[[nodiscard]] std::string_view close_code_meaning(std::uint16_t code);
/// The name that Wireshark 4.0 shows for `code`, such as "Going Away", or "Unknown".
[[nodiscard]] std::string_view wireshark_close_code_name(std::uint16_t code);

struct ClosePayload {
  Error error = Error::kNone;
  std::uint16_t code = close_code::kNoStatus;
  std::span<const std::byte> reason;  ///< view into the payload; valid UTF-8 if `error` is kNone
};

/// Parses and validates the payload of a received Close frame (0 to 125 bytes).
[[nodiscard]] ClosePayload parse_close_payload(std::span<const std::byte> payload);

/// Shortens `reason` to at most kMaxCloseReason bytes, without splitting a UTF-8 character.
[[nodiscard]] std::string_view fit_close_reason(std::string_view reason);

}  // namespace ws
