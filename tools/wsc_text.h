// How wsc ends, and what it says on standard error: everything but the messages themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "protocol/connection.h"

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

/// For -v: one line for each frame's header, as it crosses the wire.
class FrameLog final : public Observer {
 public:
  void on_header(Direction direction, const FrameHeader& header,
                 std::span<const std::byte> header_bytes) override;
  void on_payload(Direction /*direction*/, std::span<const std::byte> /*bytes*/) override {}
};

}  // namespace ws::client
