// What crosses the wire, in Wireshark's words: those of its Info column and of its packet details (4.0). For the
// wire log and the reader of captures.
//
// All of it is printable UTF-8 of bounded length: text from outside is escaped, as the log does it
// (protocol/inspect/escape.h), and of each piece kWireText bytes are shown at most.
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

/// Bytes of a text, or of a line of a head, that are shown; of more the length is told.
inline constexpr std::size_t kWireText = 1024;

/// RSV1 to RSV3 as one number: 4, 2, 1.
[[nodiscard]] unsigned reserved_bits(const FrameHeader& header);
/// Of a frame whose header is whole: what was kept of its payload, without its mask.
[[nodiscard]] std::vector<std::byte> unmasked_payload(const Dissected& item);
/// The first two bytes of a Close frame's payload, which has as many.
[[nodiscard]] std::uint16_t close_code_of(std::span<const std::byte> payload);

/// "Text", "Connection Close", … ; of one that RFC 6455 §5.2 reserves "Unknown Opcode".
[[nodiscard]] std::string wire_opcode(Opcode opcode);
/// "Normal Closure (1000)", …; "Unknown (4000)" of one that Wireshark has no name for.
[[nodiscard]] std::string wire_close_code(std::uint16_t code);

/// Wireshark's Info column of a frame, with its blanks: "WebSocket Text [FIN] ".
[[nodiscard]] std::string wire_frame_info(const FrameHeader& header);
/// The Info column, without blanks at its end: "WebSocket Text [FIN] [MASKED]"; of a head its first line; "data".
[[nodiscard]] std::string wire_summary(const Dissected& item);
/// The fields on one line: "Fin=1 Reserved=0x0 Opcode=1 Mask=1 Payload length=12 Masking-Key=37fa213d Text="hello
/// world!"". Text from outside is the last of them, so that no quotation mark in it can end it. Of a frame that is not
/// whole: "cut: 5 of 12 bytes", of its payload. Of a head: what is wrong with it. Empty if there is nothing to say.
[[nodiscard]] std::string wire_fields(const Dissected& item);

/// The bytes as they were, one line a field (or eight bytes of payload): offset in the item, hex, and what it is.
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
