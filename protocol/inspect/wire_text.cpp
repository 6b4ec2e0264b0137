#include "protocol/inspect/wire_text.h"

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

#include "protocol/error.h"
#include "protocol/frame/close.h"
#include "protocol/frame/mask.h"
#include "protocol/inspect/escape.h"
#include "protocol/text.h"

namespace ws {
namespace {

constexpr std::size_t kRow = 8;  ///< bytes per line; no field of a frame header is longer

/// The text column of a hex dump: a dot for each byte that is not printable ASCII.
std::string to_ascii(std::span<const std::byte> bytes) {
  std::string text(as_text(bytes));
  std::ranges::replace_if(
      text, [](char c) { return c < 0x20 || c > 0x7E; }, '.');
  return text;
}

/// Formats a number with commas: 1234567 gives "1,234,567".
std::string with_commas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3)
    text.insert(i - 3, ",");
  return text;
}

bool is_unknown(Opcode opcode) {
  const auto number = static_cast<unsigned>(opcode);
  return number > 10 || (number > 2 && number < 8);
}

/// The header of a frame, which must be complete.
std::span<const std::byte> header_bytes(const Dissected& item) {
  return item.bytes.first(item.header_size);
}
/// The kept payload bytes of a frame, whose header must be complete.
std::span<const std::byte> payload_bytes(const Dissected& item) {
  return item.bytes.subspan(item.header_size);
}

/// The 7-bit length field: the length itself, or 126 or 127 if an extended length follows.
unsigned short_length(const Dissected& item) {
  return std::to_integer<unsigned>(item.bytes[1]) & 0x7FU;
}
std::string_view extended_length_bits(const Dissected& item) {
  return short_length(item) == 126 ? "(16 bits)" : "(64 bits)";
}

/// Returns the payload from byte `begin` on as escaped text. `length`: size of the whole payload in bytes, which may be
/// more than `payload` contains.
std::string text_of(std::span<const std::byte> payload, std::uint64_t length, std::size_t begin) {
  return escape_beginning(as_text(payload.subspan(begin)).substr(0, kWireText), length - begin);
}

/// True if the payload is readable text. With RSV1 the payload is compressed, or the frame is invalid. RFC 7692 §6
bool holds_text(const Dissected& item) {
  return item.header.opcode == Opcode::kText && !item.header.rsv1;
}

/// How much of a cut frame's payload was received: "incomplete: 5 of 12 payload bytes".
std::string cut_payload(const Dissected& item) {
  return "incomplete: " + std::to_string(item.size - item.header_size) + " of " +
         std::to_string(item.header.payload_length) + " payload bytes";
}

/// Builds the lines of a hex dump: offset, hex, description.
class Lines {
 public:
  /// Adds a line with bytes: "0002  37 fa 21 3d              Masking-Key: 37fa213d".
  void add(std::size_t offset, std::span<const std::byte> bytes, const std::string& what) {
    push(to_hex(offset, 4) + "  " + padded(to_hex(bytes, " ")) + what);
  }
  /// Adds a line with a description only. It describes the bytes of one or more lines above.
  void add(const std::string& what) { push("      " + padded("") + what); }
  /// Adds a line of text: "0000  GET /echo HTTP/1.1\r\n".
  void add_text(std::size_t offset, const std::string& text) {
    push(to_hex(offset, 4) + "  " + text);
  }
  /// Adds a note about the lines above or below, without offset and hex.
  void add_note(const std::string& text) { push("      " + text); }
  /// Adds a line for every eight bytes: `bytes` in hex, `unmasked` in hex (only if `masked`), and `unmasked` as ASCII.
  void add_rows(std::size_t offset, std::span<const std::byte> bytes,
                std::span<const std::byte> unmasked, bool masked) {
    for (std::size_t at = 0; at < bytes.size(); at += kRow) {
      const std::size_t size = std::min(kRow, bytes.size() - at);
      const auto row = unmasked.subspan(at, size);
      add(offset + at, bytes.subspan(at, size),
          (masked ? padded(to_hex(row, " ")) : "") + to_ascii(row));
    }
  }
  /// Pads `text` to the width of the hex column plus two spaces.
  static std::string padded(std::string text) {
    text.resize(std::max(text.size(), 3 * kRow + 1), ' ');
    return text;
  }
  std::vector<std::string> take() { return std::move(lines_); }

 private:
  void push(std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    lines_.push_back(std::move(line));
  }
  std::vector<std::string> lines_;
};

/// Shows the bits of `byte` that the mask `field` selects, and dots for the other bits: "1... .... = ".
std::string bits(std::byte byte, unsigned field) {
  const auto number = std::to_integer<unsigned>(byte);
  std::string text;
  for (unsigned bit = 0x80; bit != 0; bit >>= 1U) {
    if (bit == 0x08)
      text += ' ';
    text += (field & bit) == 0 ? '.' : (number & bit) == 0 ? '0' : '1';
  }
  return text + " = ";
}

std::string bool_text(bool value) {
  return value ? "True" : "False";
}

void annotate_head(const Dissected& item, Lines& lines) {
  std::string_view rest = as_text(item.bytes);
  std::size_t offset = 0;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end == std::string_view::npos ? end : end + 1);
    lines.add_text(offset, escape_beginning(line.substr(0, kWireText), line.size()));
    offset += line.size();
    rest.remove_prefix(line.size());
  }
  if (item.error != Error::kNone)
    lines.add_note("malformed: " + cite(item.error));
  if (!item.is_whole)
    lines.add_note("incomplete head: " + std::to_string(item.size) + " bytes");
}

void annotate_frame_header(const Dissected& item, Lines& lines) {
  const FrameHeader& header = item.header;
  const auto bytes = header_bytes(item);
  const auto opcode = static_cast<unsigned>(header.opcode);
  const std::string name = is_unknown(header.opcode) ? "Unknown" : wire_opcode(header.opcode);
  lines.add(0, bytes.first(1), bits(bytes[0], 0x80) + "Fin: " + bool_text(header.fin));
  lines.add(bits(bytes[0], 0x70) + "Reserved: 0x" + to_hex(reserved_bits(header), 1));
  lines.add(bits(bytes[0], 0x0F) + "Opcode: " + name + " (" + std::to_string(opcode) + ")");

  const unsigned length = short_length(item);
  const std::string bits_of_length(extended_length_bits(item));
  lines.add(1, bytes.subspan(1, 1), bits(bytes[1], 0x80) + "Mask: " + bool_text(header.masked));
  lines.add(bits(bytes[1], 0x7F) + "Payload length: " + std::to_string(length) +
            (length < 126 ? "" : " Extended Payload Length " + bits_of_length));
  const std::size_t key = header.masked ? bytes.size() - 4 : bytes.size();
  if (length >= 126) {
    lines.add(
        2, bytes.subspan(2, key - 2),
        "Extended Payload length " + bits_of_length + ": " + std::to_string(header.payload_length));
  }
  if (header.masked)
    lines.add(key, bytes.subspan(key), "Masking-Key: " + to_hex(header.masking_key));
}

void annotate_frame(const Dissected& item, Lines& lines) {
  if (item.header_size == 0) {
    lines.add(0, item.bytes, "");
    lines.add_note("incomplete header: " + std::to_string(item.size) + " bytes");
    return;
  }
  annotate_frame_header(item, lines);
  const auto payload = unmasked_payload(item);
  const std::uint64_t length = item.header.payload_length;
  if (length != 0)
    lines.add_note(item.header.masked ? Lines::padded("Masked payload") + "Payload" : "Payload");
  lines.add_rows(item.header_size, payload_bytes(item), payload, item.header.masked);
  if (item.size > item.bytes.size())
    lines.add_note("… and " + with_commas(item.size - item.bytes.size()) + " bytes more");
  if (!item.is_whole)
    lines.add_note(cut_payload(item));
  if (holds_text(item) && !payload.empty())
    lines.add("Text: " + text_of(payload, length, 0));
  if (item.header.opcode != Opcode::kClose || payload.size() < 2)
    return;
  lines.add("Status code: " + wire_close_code(close_code_of(payload)));
  if (payload.size() > 2)
    lines.add("Reason: " + text_of(payload, length, 2));
}

std::string frame_fields(const Dissected& item) {
  if (item.header_size == 0)
    return "";
  const FrameHeader& header = item.header;
  std::string text = header.fin ? "Fin=1" : "Fin=0";
  text += " Reserved=0x" + to_hex(reserved_bits(header), 1);
  text += " Opcode=" + std::to_string(static_cast<unsigned>(header.opcode));
  text += header.masked ? " Mask=1" : " Mask=0";
  text += " Payload length=" + std::to_string(short_length(item));
  if (short_length(item) >= 126) {
    text += " Extended Payload length " + std::string(extended_length_bits(item)) + "=" +
            std::to_string(header.payload_length);
  }
  if (header.masked)
    text += " Masking-Key=" + to_hex(header.masking_key);
  if (!item.is_whole)
    text += " " + cut_payload(item);
  const auto payload = unmasked_payload(item);
  if (holds_text(item) && !payload.empty())
    text += " Text=\"" + text_of(payload, header.payload_length, 0) + "\"";
  if (header.opcode == Opcode::kClose && payload.size() >= 2) {
    text += " Status code=" + std::to_string(close_code_of(payload));
    if (payload.size() > 2)
      text += " Reason=\"" + text_of(payload, header.payload_length, 2) + "\"";
  }
  return text;
}

}  // namespace

unsigned reserved_bits(const FrameHeader& header) {
  return (header.rsv1 ? 4U : 0U) | (header.rsv2 ? 2U : 0U) | (header.rsv3 ? 1U : 0U);
}

std::vector<std::byte> unmasked_payload(const Dissected& item) {
  const auto bytes = payload_bytes(item);
  std::vector<std::byte> payload(bytes.begin(), bytes.end());
  if (item.header.masked)
    apply_mask(payload, item.header.masking_key, 0);
  return payload;
}

std::uint16_t close_code_of(std::span<const std::byte> payload) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(payload[0]) << 8U |
                                    std::to_integer<unsigned>(payload[1]));
}

std::string wire_opcode(Opcode opcode) {
  switch (opcode) {
    case Opcode::kContinuation:
      return "Continuation";
    case Opcode::kText:
      return "Text";
    case Opcode::kBinary:
      return "Binary";
    case Opcode::kClose:
      return "Connection Close";
    case Opcode::kPing:
      return "Ping";
    case Opcode::kPong:
      return "Pong";
  }
  return "Unknown Opcode";
}

std::string wire_close_code(std::uint16_t code) {
  return std::string(wireshark_close_code_name(code)) + " (" + std::to_string(code) + ")";
}

std::string wire_frame_info(const FrameHeader& header) {
  std::string text = "WebSocket " + wire_opcode(header.opcode);
  text += header.fin ? " [FIN]" : "[FRAGMENT] ";
  return text + (header.masked ? " [MASKED]" : " ");
}

std::string wire_summary(const Dissected& item) {
  if (item.type == Dissected::Type::kData)
    return "data";
  if (item.type == Dissected::Type::kHead) {
    std::string_view line = as_text(item.bytes);
    if (line.starts_with("\r\n"))
      line.remove_prefix(2);  // RFC 9112 §2.2 allows an empty line before the request line
    line = line.substr(0, std::min(line.find_first_of("\r\n"), line.size()));
    return escape_beginning(line.substr(0, kWireText), line.size());
  }
  if (item.header_size == 0)
    return "WebSocket, incomplete header";
  std::string text = wire_frame_info(item.header);
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string wire_fields(const Dissected& item) {
  switch (item.type) {
    case Dissected::Type::kFrame:
      return frame_fields(item);
    case Dissected::Type::kHead:
      if (!item.is_whole)
        return "incomplete head: " + std::to_string(item.size) + " bytes";
      return item.error == Error::kNone ? "" : "malformed: " + cite(item.error);
    case Dissected::Type::kData:
      break;
  }
  return "";
}

std::vector<std::string> annotate(const Dissected& item) {
  Lines lines;
  switch (item.type) {
    case Dissected::Type::kHead:
      annotate_head(item, lines);
      break;
    case Dissected::Type::kFrame:
      annotate_frame(item, lines);
      break;
    case Dissected::Type::kData:
      lines.add_note("Data (" + with_commas(item.size) + " bytes)");
      lines.add_rows(0, item.bytes, item.bytes, false);
      if (item.size > item.bytes.size())
        lines.add_note("… and " + with_commas(item.size - item.bytes.size()) + " bytes more");
      break;
  }
  return lines.take();
}

}  // namespace ws
