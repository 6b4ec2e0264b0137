#include "protocol/frame/close.h"

#include <array>

#include "protocol/frame/utf8.h"

namespace ws {
namespace {

struct CodeNames {
  std::string_view meaning;
  std::string_view wireshark;
};
constexpr std::array<CodeNames, 16> kNamesFrom1000 = {{
    {"normal closure", "Normal Closure"},
    {"going away", "Going Away"},
    {"protocol error", "Protocol error"},
    {"unsupported data", "Unsupported Data"},
    {"reserved", "---Reserved----"},
    {"no code given", "No Status Rcvd"},
    {"no Close was received", "Abnormal Closure"},
    {"invalid payload data", "Invalid frame payload data"},
    {"policy violation", "Policy Violation"},
    {"message too big", "Message Too Big"},
    {"extension missing", "Mandatory Ext."},
    {"internal error", "Internal Server"},
    {"service restart", "Service Restart"},
    {"try again later", "Try Again Later"},
    {"bad gateway", "Unknown"},
    {"TLS handshake failed", "TLS handshake"},
}};

bool has_names(std::uint16_t code) {
  return code >= 1000 && code < 1000 + kNamesFrom1000.size();
}

}  // namespace

std::string_view close_code_meaning(std::uint16_t code) {
  if (has_names(code))
    return kNamesFrom1000[code - 1000U].meaning;
  return code < 4000 ? "registered with IANA" : "private use";
}

std::string_view wireshark_close_code_name(std::uint16_t code) {
  return has_names(code) ? kNamesFrom1000[code - 1000U].wireshark : "Unknown";
}

ClosePayload parse_close_payload(std::span<const std::byte> payload) {
  ClosePayload close;
  if (payload.empty())
    return close;
  // [6455-5.5.1-BODY] a payload that is not empty starts with a 2-byte code
  if (payload.size() == 1) {
    close.error = Error::kCloseLength;
    return close;
  }
  close.code = static_cast<std::uint16_t>(std::to_integer<unsigned>(payload[0]) << 8U |
                                          std::to_integer<unsigned>(payload[1]));
  close.reason = payload.subspan(2);
  if (!may_be_sent(close.code)) {
    close.error = Error::kCloseCode;  // [6455-7.4-CODE]
  } else if (!is_utf8(close.reason)) {
    close.error = Error::kCloseReasonNotUtf8;  // [6455-5.5.1-REASON]
  }
  return close;
}

std::string_view fit_close_reason(std::string_view reason) {
  if (reason.size() <= kMaxCloseReason)
    return reason;
  std::size_t size = kMaxCloseReason;
  // If the first byte after the cut is a continuation byte (10xxxxxx), the cut splits a character: move the cut back.
  while (size > 0 && (static_cast<unsigned char>(reason[size]) & 0xC0U) == 0x80U)
    --size;
  return reason.substr(0, size);
}

}  // namespace ws
