// wsc's exit codes, and what it prints to standard error: everything except messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "protocol/inspect/dissector.h"

namespace ws::client {

enum class ExitCode : int {
  kNormal = 0,     ///< the server's Close had code 1000 or 1001, or none
  kLost = 1,       ///< cannot connect, no Close from the server, or an I/O error on stdin or stdout
  kUsage = 2,      ///< bad options, or a line that could not be sent
  kRefused = 3,    ///< the response to the handshake was no 101, or an invalid one
  kOtherCode = 4,  ///< closed with another code by the server, or by us for a protocol violation
  kWrongAnswer = 5,  ///< wsload: an answer differs from the expected one
};

/// An error that ends the program: main() prints its text and returns `code`.
struct Failure : std::runtime_error {
  Failure(ExitCode exit_code, const std::string& text)
      : std::runtime_error(text), code(exit_code) {}
  ExitCode code;
};

/// Prints "wsc: ", `text` and a line feed to standard error.
void say(std::string_view text);
/// Prints `lines` and a line feed to standard error.
void show(const std::string& lines);

/// The text of an errno value, such as ": Connection refused".
[[nodiscard]] std::string because(int error);
/// Describes the end of a TCP connection: by a FIN of the server if `error` is empty, else by `error`, a result of
/// `because`. `when` follows the verb, such as " during the opening handshake".
[[nodiscard]] std::string describe_tcp_end(std::string_view when, std::string_view error);
/// The lines of an HTTP head or body, escaped, each preceded by a line feed and `prefix`.
[[nodiscard]] std::string quote(std::string_view prefix, std::string_view text);
/// "1001 (going away)"
[[nodiscard]] std::string describe_close_code(std::uint16_t code);

/// For -v: prints a line for each frame header, once the frame is complete or the TCP connection has ended inside it.
class FrameLog {
 public:
  FrameLog();
  /// To be called with the bytes sent and received after the opening handshake.
  void sent(std::span<const std::byte> bytes) { show(client_, "> ", bytes); }
  void received(std::span<const std::byte> bytes) { show(server_, "< ", bytes); }
  /// To be called when the TCP connection has ended.
  void ended();

 private:
  static void show(Dissector& dissector, std::string_view prefix, std::span<const std::byte> bytes);
  Dissector client_{Sender::kClient, 0};
  Dissector server_{Sender::kServer, 0};
};

}  // namespace ws::client
