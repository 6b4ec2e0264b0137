// Compares a capture with a documented trace, row by row and column by column.
//
// The document is a table: a line a row; number, phase, source, destination, protocol, length and info between tabs;
// the names of the columns first. All of it must be equal, but for what no second run can repeat: the clock. Of that
// the relations must hold:
//   1. Each TSecr is a TSval that the other side has sent, and none older than one before (RFC 7323 §4.3).
//   2. Where the document has a server that takes its time, the capture has one too: see Waits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/wstrace_rows.h"

namespace ws::trace {

/// A document is written for people. Rows times packets bound what comparing takes: 64 MiB.
inline constexpr std::size_t kMaxDocumentRows = 1024;
inline constexpr std::size_t kMaxCheckedPackets = 16 * 1024;

struct DocumentRow {
  std::size_t position = 0;  ///< 1 for the first, whatever number it gives itself
  std::string number{};
  std::string phase{};
  std::string source{};
  std::string destination{};
  std::string protocol{};
  std::string length{};
  std::string info{};
};

/// Reads the table, of kMaxDocumentRows at most. Throws TraceFailure, with the line that is wrong.
[[nodiscard]] std::vector<DocumentRow> read_document(const std::string& path);

/// A row of the capture, with what its columns do not show.
struct CheckedRow {
  Row row;
  bool is_from_client = false;
  bool has_timestamps = false;
  std::uint32_t ts_value = 0;  ///< milliseconds, by Linux
  std::uint32_t ts_echo = 0;
};

/// The server's waits, in milliseconds, which decide where the kernel acknowledges by itself (docs, "Reading the
/// trace"): a 101 later than its 40 ms of delayed ACK, an echo within them.
struct Waits {
  std::int64_t least_before_handshake = 100;
  std::int64_t most_before_handshake = 1000;
  std::int64_t least_before_echo = 4;
  std::int64_t most_before_echo = 39;
};

/// What differs, a line each: "row 4: length: 293 documented, 294 captured: …". Empty if nothing does. `equal`: how
/// many rows of the document have been found equal. `may_piggyback`: the row whose ACK may ride on the one behind
/// it may be missing.
struct CheckResult {
  std::vector<std::string> differences{};
  std::size_t equal = 0;
  std::size_t rows = 0;  ///< those that were wanted
};
/// Of `captured` there are kMaxCheckedPackets at most.
[[nodiscard]] CheckResult check(std::vector<DocumentRow> document,
                                const std::vector<CheckedRow>& captured, bool may_piggyback);

}  // namespace ws::trace
