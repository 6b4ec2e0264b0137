#include "tools/wsc_text.h"

#include <algorithm>
#include <array>
#include <iostream>
#include <system_error>

#include "protocol/utf8.h"

namespace ws {

void say(std::string_view text) {
  show("wsc: " + std::string(text));
}

// As one string: std::cerr has no buffer, and would make a system call of each part.
void show(const std::string& lines) {
  std::cerr << lines + "\n";
}

std::string because(int error) {
  return ": " + std::system_category().message(error);
}

std::string visible(std::string_view text) {
  const bool is_text = is_utf8(std::as_bytes(std::span(text)));
  std::string shown;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    // Unicode has control characters of its own, U+0080 to U+009F: C2 80 to C2 9F in UTF-8.
    const bool begins_c1 =
        is_text && byte == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    const bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7F;
    if (byte == '\n') {
      shown += "\\n";
    } else if (is_control || begins_c1 || (byte >= 0x80 && !is_text)) {
      shown += "\\x" + hex(std::as_bytes(std::span(text).subspan(begins_c1 ? ++i : i, 1)));
    } else {
      shown += text[i];
    }
  }
  return shown;
}

std::string quote(std::string_view prefix, std::string_view text) {
  std::string quoted;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    quoted += '\n';
    quoted += prefix;
    quoted += visible(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return quoted;
}

std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<std::size_t>(byte >> 4U)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{0xF})];
  }
  return text;
}

std::string describe_close_code(std::uint16_t code) {
  // RFC 6455 §7.4.1, and what was registered with IANA since
  constexpr std::array<std::string_view, 15> kFrom1000 = {
      "normal closure",   "going away",      "protocol error",    "unsupported data",
      "reserved",         "no code given",   "no Close came",     "invalid payload data",
      "policy violation", "message too big", "extension missing", "internal error",
      "service restart",  "try again later", "bad gateway"};
  std::string_view words = code < 4000 ? "registered with IANA" : "private use";
  if (code >= 1000 && code < 1000 + kFrom1000.size())
    words = kFrom1000[code - 1000U];
  return std::to_string(code) + " (" + std::string(words) + ")";
}

void FrameLog::on_header(Direction direction, const FrameHeader& header,
                         std::span<const std::byte> /*header_bytes*/) {
  constexpr std::array<std::string_view, 3> kData = {"continuation", "text", "binary"};
  constexpr std::array<std::string_view, 3> kControl = {"close", "ping", "pong"};
  const auto opcode = static_cast<unsigned>(header.opcode);
  const std::string_view name = is_control(header.opcode) ? kControl[opcode - 8] : kData[opcode];
  const auto bit = [](bool is_set) { return is_set ? '1' : '0'; };

  std::string line = direction == Direction::kOut ? "> FIN=" : "< FIN=";
  line += bit(header.fin);
  line += " RSV=";
  line += {bit(header.rsv1), bit(header.rsv2), bit(header.rsv3)};
  line += " opcode=0x" + hex(std::as_bytes(std::span(&header.opcode, 1))).substr(1);
  line += " (" + std::string(name) + ") MASK=";
  line += bit(header.masked);
  line += " length=" + std::to_string(header.payload_length);
  if (header.masked)
    line += " key=" + hex(header.masking_key);
  show(line);
}

}  // namespace ws
