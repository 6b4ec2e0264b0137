// Converts the payload of a message to text, like Spring's `getPayloadAsText`: decodes UTF-8, and replaces malformed
// bytes by as many U+FFFD as Java's decoder does:
//
//      bytes            result         reason
//      FF FE            two U+FFFD     neither byte can start a character
//      ED A0 80         one U+FFFD     a surrogate (D800 to DFFF) counts as one
//      E2 82            one U+FFFD     an incomplete character counts as one
//      F4 90 80 80      four U+FFFD    beyond U+10FFFF: each byte counts as one
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "protocol/frame/frame.h"

namespace ws {

/// Returns `payload` as UTF-8, with malformed bytes replaced by U+FFFD.
[[nodiscard]] std::string payload_text(std::span<const std::byte> payload);

/// Returns a view of `payload` if it is valid UTF-8 (text messages always are). If not, stores payload_text(payload) in
/// `storage` and returns a view of `storage`.
[[nodiscard]] std::string_view message_text(Opcode opcode, std::span<const std::byte> payload,
                                            std::string& storage);

}  // namespace ws
