// How wsc ends, and what it says on standard error: everything but the messages themselves.
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
  kNormal = 0,       ///< the server's Close says 1000 or 1001, or gives no code
  kLost = 1,         ///< no connection, one that ended without a Close, or no input or output
  kUsage = 2,        ///< bad options, or a line that could not be sent
  kRefused = 3,      ///< no 101, or not the right one
  kOtherCode = 4,    ///< closed with another code, by the server or because it broke a rule
  kWrongAnswer = 5,  ///< wsload: what came back is not what had to
};

/// Ends the program, with its text on standard error.
struct Failure : std::runtime_error {
  Failure(ExitCode exit_code, const std::string& text)
      : std::runtime_error(text), code(exit_code) {}
  ExitCode code;
};

/// "wsc: ", `text` and a line end.
void say(std::string_view text);
/// `lines` and a line end.
void show(const std::string& lines);

/// ": Connection refused", say, of an errno.
[[nodiscard]] std::string because(int error);
/// The lines of an HTTP head or body, escaped, each behind a line end and `prefix`.
[[nodiscard]] std::string quote(std::string_view prefix, std::string_view text);
/// "1001 (going away)"
[[nodiscard]] std::string describe_close_code(std::uint16_t code);

/// For -v: one line for each frame's header, as it crosses the wire. A frame is shown once it is complete, or once the
/// stream has ended in it.
class FrameLog {
 public:
  FrameLog();
  /// Bytes that the socket sent, or received, after the opening handshake.
  void sent(std::span<const std::byte> bytes) { show(client_, "> ", bytes); }
  void received(std::span<const std::byte> bytes) { show(server_, "< ", bytes); }
  /// The server ended TCP.
  void ended();

 private:
  static void show(Dissector& dissector, std::string_view prefix, std::span<const std::byte> bytes);
  Dissector client_{Sender::kClient, 0};
  Dissector server_{Sender::kServer, 0};
};

}  // namespace ws::client
