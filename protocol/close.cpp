#include "protocol/close.h"

#include "protocol/utf8.h"

namespace ws {

ClosePayload parse_close_payload(std::span<const std::byte> payload) {
  ClosePayload close;
  if (payload.empty())
    return close;
  // [6455-5.5.1-BODY] if there is a payload, its first two bytes are the code
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
  // A continuation byte (10xxxxxx) at the cut means that a character would be split there.
  while (size > 0 && (static_cast<unsigned char>(reason[size]) & 0xC0U) == 0x80U)
    --size;
  return reason.substr(0, size);
}

}  // namespace ws
