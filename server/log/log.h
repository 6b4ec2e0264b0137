// The log: one line per event, on standard error. It never blocks a loop: a separate thread writes, and if that thread
// cannot keep up, the oldest lines are dropped, counted and reported.
//
// Text from outside is escaped: it can neither forge a line nor control the terminal.
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

/// Maximum bytes shown of one part of a line; a longer part is cut and its length is added.
inline constexpr std::size_t kLogPart = 1024;
/// Maximum number of queued lines. A line has at most one part from outside, which takes `5 * kLogPart` bytes in JSON
/// if every byte is escaped: 40 MiB for all lines, plus 4 MiB for the text around these parts.
inline constexpr std::size_t kLogQueue = 8192;

/// Starts the log and its thread; before that, nothing is logged. Block signals first: the thread inherits the signal
/// mask.
void start_log(LogLevel level, LogFormat format);
/// Writes the queued lines and stops the log. Lines that cannot be written within `patience` are dropped.
void stop_log(std::chrono::milliseconds patience = std::chrono::seconds(1));

namespace log_internal {
inline LogLevel threshold = LogLevel::kOff;
/// Drops the line if there is no memory for it.
void write(LogLevel level, std::initializer_list<std::string_view> parts) noexcept;
void write_printable(LogLevel level, std::string_view line) noexcept;
}  // namespace log_internal

[[nodiscard]] inline bool is_logged(LogLevel level) {
  return level >= log_internal::threshold && level != LogLevel::kOff;
}

/// Logs one line: the `parts` in order, each cut and escaped by to_log_part.
inline void log(LogLevel level, std::initializer_list<std::string_view> parts) {
  if (is_logged(level))
    log_internal::write(level, parts);
}

/// Logs `line` unchanged: the caller has escaped it and bounded its length.
inline void log_printable(LogLevel level, std::string_view line) {
  if (is_logged(level))
    log_internal::write_printable(level, line);
}

/// `text` as one part of a line: escaped (protocol/inspect/escape.h); if longer than kLogPart bytes, cut after a whole
/// character, and its full length added.
[[nodiscard]] std::string to_log_part(std::string_view text);
/// Escapes `text` (UTF-8 without control characters) for use in a JSON string.
[[nodiscard]] std::string to_json(std::string_view text);

}  // namespace ws
