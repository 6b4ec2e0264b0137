// The closing handshake's vocabulary: RFC 6455 §5.5.1 (the Close payload), §7.4 (status codes).
//
//      code        meaning                     in a Close frame?
//      0-999       not used                    no
//      1000-1003   defined                     yes
//      1004        reserved                    no
//      1005, 1006  no code came; no Close came no: they are for the application's eyes
//      1007-1011   defined                     yes
//      1012-1014   registered with IANA later  yes
//      1015        TLS failed                  no: like 1006
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

/// Those that this code names. Others travel as plain numbers.
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

/// Bytes of reason that fit behind the code in a control frame. §5.5
inline constexpr std::size_t kMaxCloseReason = 123;

/// True if an endpoint may put `code` in a Close frame. §7.4
[[nodiscard]] constexpr bool may_be_sent(std::uint16_t code) {
  if (code >= 3000)
    return code <= 4999;
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

/// What `code` means, in a few words: "going away". RFC 6455 §7.4.1, and what was registered with IANA since.
[[nodiscard]] std::string_view close_code_meaning(std::uint16_t code);
/// Wireshark's name (4.0) for `code`: "Going Away"; "Unknown" if it has none.
[[nodiscard]] std::string_view wireshark_close_code_name(std::uint16_t code);

struct ClosePayload {
  Error error = Error::kNone;
  std::uint16_t code = close_code::kNoStatus;
  std::span<const std::byte> reason;  ///< UTF-8, a view into what was parsed
};

/// Judges the payload of a received Close frame (0 to 125 bytes).
[[nodiscard]] ClosePayload parse_close_payload(std::span<const std::byte> payload);

/// `reason` cut to what fits a Close frame, at the end of a character.
[[nodiscard]] std::string_view fit_close_reason(std::string_view reason);

}  // namespace ws
