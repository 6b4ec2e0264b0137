#include "tools/wsc_text.h"

#include <algorithm>
#include <array>
#include <iostream>
#include <system_error>

#include "protocol/close.h"
#include "protocol/escape.h"
#include "protocol/text.h"

namespace ws::client {

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

std::string quote(std::string_view prefix, std::string_view text) {
  std::string quoted;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r'))
      line.remove_suffix(1);
    quoted += '\n';
    quoted += prefix;
    quoted += escape_for_terminal(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return quoted;
}

std::string describe_close_code(std::uint16_t code) {
  return std::to_string(code) + " (" + std::string(close_code_meaning(code)) + ")";
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
  line += " opcode=0x" + to_hex(std::as_bytes(std::span(&header.opcode, 1))).substr(1);
  line += " (" + std::string(name) + ") MASK=";
  line += bit(header.masked);
  line += " length=" + std::to_string(header.payload_length);
  if (header.masked)
    line += " key=" + to_hex(header.masking_key);
  show(line);
}

}  // namespace ws::client
