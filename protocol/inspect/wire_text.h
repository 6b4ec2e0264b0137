// Describes dissected items for the wire log and wstrace, in the format of Wireshark 4.0's Info column and packet
// details.
//
// The output is printable UTF-8 of bounded length: untrusted text is escaped (protocol/inspect/escape.h), and at most
// kWireText bytes of each text are shown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frame/frame.h"
#include "protocol/inspect/dissector.h"

namespace ws {

/// Maximum bytes shown of a text or of a line of a head. Longer texts are cut, and their length in bytes is shown.
inline constexpr std::size_t kWireText = 1024;

/// RSV1 to RSV3 as one number; their values are 4, 2 and 1.
[[nodiscard]] unsigned reserved_bits(const FrameHeader& header);
/// The kept bytes of a frame's payload, unmasked. The frame's header must be complete.
[[nodiscard]] std::vector<std::byte> unmasked_payload(const Dissected& item);
/// The code in a Close frame's payload, which must have at least two bytes.
[[nodiscard]] std::uint16_t close_code_of(std::span<const std::byte> payload);

/// Wireshark's name for `opcode`: "Text", "Connection Close", …; "Unknown Opcode" for reserved opcodes (RFC 6455 §5.2).
[[nodiscard]] std::string wire_opcode(Opcode opcode);
/// Wireshark's name for `code`, with the number: "Normal Closure (1000)", …; "Unknown (4000)" if Wireshark has no name
/// for the code.
[[nodiscard]] std::string wire_close_code(std::uint16_t code);

/// Wireshark's Info column for a frame, with the same spacing: "WebSocket Text [FIN] ".
[[nodiscard]] std::string wire_frame_info(const FrameHeader& header);
/// A short description of an item. Frame: the Info column without trailing spaces, "WebSocket Text [FIN] [MASKED]".
/// Head: its first line. Data: "data".
[[nodiscard]] std::string wire_summary(const Dissected& item);
/// Frame: its fields on one line:
/// Fin=1 Reserved=0x0 Opcode=1 Mask=1 Payload length=12 Masking-Key=37fa213d Text="hello world!"
/// Untrusted text comes last, so that a quotation mark in the text cannot imitate another field. For a cut frame, the
/// line also says how much payload was received: "incomplete: 5 of 12 payload bytes". If the header is cut, the line is
/// empty. Head: the error, or "incomplete head: …" for a cut head, or an empty string. Data: an empty string.
[[nodiscard]] std::string wire_fields(const Dissected& item);

/// A hex dump of the item, one line per field or per eight bytes of payload: offset in the item, hex, description.
///
///     0000  81                       1... .... = Fin: True
///                                    .000 .... = Reserved: 0x0
///                                    .... 0001 = Opcode: Text (1)
///     0001  8c                       1... .... = Mask: True
///                                    .000 1100 = Payload length: 12
///     0002  37 fa 21 3d              Masking-Key: 37fa213d
///           Masked payload           Payload
///     0006  5f 9f 4d 51 58 da 56 52  68 65 6c 6c 6f 20 77 6f  hello wo
///     000e  45 96 45 1c              72 6c 64 21              rld!
///                                    Text: hello world!
[[nodiscard]] std::vector<std::string> annotate(const Dissected& item);

}  // namespace ws
