// A message's payload as text, in the manner of the seed's `getPayloadAsText`: any payload is decoded as
// UTF-8, and what is malformed becomes U+FFFD, in Java's way of counting.
//
//      bytes            becomes        since
//      FF FE            two U+FFFD     neither byte can start a character
//      ED A0 80         one U+FFFD     a surrogate (D800 to DFFF) counts as one
//      E2 82            one U+FFFD     a character that lacks its end counts as one
//      F4 90 80 80      four U+FFFD    beyond U+10FFFF: each byte for itself
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "protocol/frame/frame.h"

namespace ws {

/// `payload` decoded and encoded again. What is valid UTF-8 comes back as it was.
[[nodiscard]] std::string payload_text(std::span<const std::byte> payload);

/// The text of a message: the payload itself if it is valid UTF-8, as that of a text message always is; else
/// put into `storage`.
[[nodiscard]] std::string_view message_text(Opcode opcode, std::span<const std::byte> payload,
                                            std::string& storage);

}  // namespace ws
