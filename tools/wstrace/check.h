// Compares a capture with a documented trace, row by row and column by column.
//
// The document is a table with tabs between the columns number, phase, source, destination, protocol, length and info;
// its first line has their names. All columns must be equal, except times, which differ between runs. For these:
//   1. Each TSecr is a TSval that the other side has sent, and not older than the previous TSecr (RFC 7323 §4.3).
//   2. The server's delays are in the ranges of Waits.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/wstrace/rows.h"

namespace ws::trace {

/// Limits for the memory of a comparison, which is proportional to rows × packets: 64 MiB at most.
inline constexpr std::size_t kMaxDocumentRows = 1024;
inline constexpr std::size_t kMaxCheckedPackets = 16 * 1024;

struct DocumentRow {
  std::size_t position = 0;  ///< 1 for the first row, independent of `number`
  std::string number{};
  std::string phase{};
  std::string source{};
  std::string destination{};
  std::string protocol{};
  std::string length{};
  std::string info{};
};

/// Reads a table of at most kMaxDocumentRows. Throws TraceFailure, which names an invalid line.
[[nodiscard]] std::vector<DocumentRow> read_document(const std::string& path);

/// A row of the capture, with data that its columns do not show.
struct CheckedRow {
  Row row;
  bool is_from_client = false;
  bool has_timestamps = false;
  std::uint32_t ts_value = 0;  ///< TSval; Linux counts milliseconds
  std::uint32_t ts_echo = 0;   ///< TSecr
};

/// Ranges for the server's delays, in milliseconds. They decide which ACKs the kernel sends separately
/// (docs/12-reading-the-trace.md): the 101 is later than the 40 ms of delayed ACK, the echo earlier.
struct Waits {
  std::int64_t least_before_handshake = 100;
  std::int64_t most_before_handshake = 1000;
  std::int64_t least_before_echo = 4;
  std::int64_t most_before_echo = 39;
};

struct CheckResult {
  /// A line each: "row 4: length: 293 documented, 294 captured: …".
  std::vector<std::string> differences{};
  std::size_t equal = 0;  ///< rows of the document that are equal
  std::size_t rows = 0;   ///< rows that were expected
};
/// Compares at most kMaxCheckedPackets rows. `may_piggyback`: the row of the server's bare ACK may be missing, since
/// its next frame can carry the ACK.
[[nodiscard]] CheckResult check(std::vector<DocumentRow> document,
                                const std::vector<CheckedRow>& captured, bool may_piggyback);

}  // namespace ws::trace
