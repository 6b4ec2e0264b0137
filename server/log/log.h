// The log: one line an event, on standard error. It never blocks the loop: a thread of its own writes, and
// when it cannot keep up the oldest lines are dropped, counted and reported.
//
// What comes from outside is data, not text: whatever is in it, it can neither forge a line nor move the
// cursor of the terminal that shows it.
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

/// Bytes of one part of a line that are shown; of more the length is told.
inline constexpr std::size_t kLogPart = 1024;
/// Lines that may wait to be written. The server puts one part from outside into a line, which in JSON, with
/// every byte escaped, takes `5 * kLogPart` bytes: 40 MiB for all lines, and 4 MiB for what is around them.
inline constexpr std::size_t kLogQueue = 8192;

/// Starts the log; before, nothing is logged. Signals should be blocked by then: the thread inherits that.
void start_log(LogLevel level, LogFormat format);
/// Writes what is queued, and ends it; what whoever reads standard error does not take within `patience` is
/// lost.
void stop_log(std::chrono::milliseconds patience = std::chrono::seconds(1));

namespace log_internal {
inline LogLevel threshold = LogLevel::kOff;
/// A line that finds no memory is lost.
void write(LogLevel level, std::initializer_list<std::string_view> parts) noexcept;
void write_printable(LogLevel level, std::string_view line) noexcept;
}  // namespace log_internal

[[nodiscard]] inline bool is_logged(LogLevel level) {
  return level >= log_internal::threshold && level != LogLevel::kOff;
}

/// Logs one line, the `parts` one behind the other, each of them cut and escaped.
inline void log(LogLevel level, std::initializer_list<std::string_view> parts) {
  if (is_logged(level))
    log_internal::write(level, parts);
}

/// Logs one line that is printable already, and bounded, as it is.
inline void log_printable(LogLevel level, std::string_view line) {
  if (is_logged(level))
    log_internal::write_printable(level, line);
}

/// `text` as one part of a line: cut to kLogPart bytes at the end of a character, its full length added; escaped
/// (protocol/inspect/escape.h).
[[nodiscard]] std::string to_log_part(std::string_view text);
/// `text`, which is UTF-8 without control characters, as the inside of a JSON string.
[[nodiscard]] std::string to_json(std::string_view text);

}  // namespace ws
