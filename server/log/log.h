// The log: one line per event, on standard error. It never blocks a loop. A separate thread writes the lines; if it
// cannot keep up, the oldest queued lines are dropped, and their number is logged.
//
// Text from peers is escaped, so that it cannot forge a line or control the terminal.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace ws {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError, kOff };
enum class LogFormat : std::uint8_t { kText, kJson };

/// Maximum number of bytes logged of one part of a line. A longer part is cut, and its full length is logged.
inline constexpr std::size_t kLogPart = 1024;
/// Maximum number of queued lines, which need at most 44 MiB. A line has at most one part from a peer: if every byte of
/// this part is escaped, it needs `5 * kLogPart` bytes in JSON, or 40 MiB in all lines together. Our own text needs at
/// most 4 MiB.
inline constexpr std::size_t kLogQueue = 8192;

/// Starts the log and its thread. Lines that are logged before this call are dropped. Block signals first, because the
/// thread inherits the signal mask.
void start_log(LogLevel level, LogFormat format);
/// Writes the queued lines and stops the log. Lines that cannot be written within `patience` are dropped.
void stop_log(std::chrono::milliseconds patience = std::chrono::seconds(1));

namespace log_internal {
inline LogLevel threshold = LogLevel::kOff;
/// Concatenates and logs `parts`. Drops the line if memory runs out.
void write(LogLevel level, std::initializer_list<std::string_view> parts) noexcept;
void write_printable(LogLevel level, std::string_view line) noexcept;
}  // namespace log_internal

[[nodiscard]] inline bool is_logged(LogLevel level) {
  return level >= log_internal::threshold && level != LogLevel::kOff;
}

/// Logs one line, the concatenated `parts`. to_log_part cuts and escapes each part.
inline void log(LogLevel level, std::initializer_list<std::string_view> parts) {
  if (is_logged(level))
    log_internal::write(level, parts);
}

/// Logs `line` unchanged. The caller must have escaped it and limited its length.
inline void log_printable(LogLevel level, std::string_view line) {
  if (is_logged(level))
    log_internal::write_printable(level, line);
}

/// Escapes `text` for use as one part of a line (protocol/inspect/escape.h). Text longer than kLogPart bytes is cut
/// after a whole character, and its full length is appended.
[[nodiscard]] std::string to_log_part(std::string_view text);
/// Escapes `text` (UTF-8 without control characters) for use in a JSON string.
[[nodiscard]] std::string to_json(std::string_view text);

}  // namespace ws
