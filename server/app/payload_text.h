// The payload of a message as text, like `getPayloadAsText` of the article's server: any payload is decoded as UTF-8,
// and malformed bytes are replaced by U+FFFD as Java does:
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

/// Decodes `payload` and encodes it again; valid UTF-8 is unchanged.
[[nodiscard]] std::string payload_text(std::span<const std::byte> payload);

/// The payload itself if it is valid UTF-8, as a text message always is; else its payload_text, which is put into
/// `storage`.
[[nodiscard]] std::string_view message_text(Opcode opcode, std::span<const std::byte> payload,
                                            std::string& storage);

}  // namespace ws
