#include "tools/wsc/text.h"

#include <algorithm>
#include <iostream>
#include <system_error>

#include "protocol/frame/close.h"
#include "protocol/inspect/escape.h"
#include "protocol/text.h"

namespace ws::client {
namespace {

std::string_view opcode_name(Opcode opcode) {
  switch (opcode) {
    case Opcode::kContinuation:
      return "continuation";
    case Opcode::kText:
      return "text";
    case Opcode::kBinary:
      return "binary";
    case Opcode::kClose:
      return "close";
    case Opcode::kPing:
      return "ping";
    case Opcode::kPong:
      return "pong";
  }
  return "reserved";
}

/// Prints, for example, "> FIN=1 RSV=000 opcode=0x1 (text) MASK=1 length=5 key=37fa213d".
void show_line(std::string_view prefix, const FrameHeader& header) {
  const auto bit = [](bool is_set) { return is_set ? '1' : '0'; };
  std::string line(prefix);
  line += "FIN=";
  line += bit(header.fin);
  line += " RSV=";
  line += {bit(header.rsv1), bit(header.rsv2), bit(header.rsv3)};
  line += " opcode=0x" + to_hex(static_cast<std::uint64_t>(header.opcode), 1);
  line += " (" + std::string(opcode_name(header.opcode)) + ") MASK=";
  line += bit(header.masked);
  line += " length=" + std::to_string(header.payload_length);
  if (header.masked)
    line += " key=" + to_hex(header.masking_key);
  show(line);
}

}  // namespace

void say(std::string_view text) {
  show("wsc: " + std::string(text));
}

// As one string: std::cerr is not buffered and would make a system call for each part.
void show(const std::string& lines) {
  std::cerr << lines + "\n";
}

std::string because(int error) {
  return ": " + std::system_category().message(error);
}

std::string describe_tcp_end(std::string_view when, std::string_view error) {
  std::string text =
      error.empty() ? "the server closed the TCP connection" : "the TCP connection was lost";
  text += when;
  text += error;
  return text;
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

FrameLog::FrameLog() {
  client_.expect_frames();
  server_.expect_frames();
}

void FrameLog::show(Dissector& dissector, std::string_view prefix,
                    std::span<const std::byte> bytes) {
  while (const auto frame = dissector.next(bytes))
    show_line(prefix, frame->header);
}

void FrameLog::ended() {
  const auto frame = server_.cut();
  if (frame.has_value() && frame->header_size != 0)
    show_line("< ", frame->header);
}

}  // namespace ws::client
