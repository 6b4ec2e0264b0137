// wsload's output: progress during a run, and a table or JSON at its end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tools/wsload/histogram.h"
#include "tools/wsload/plan.h"
#include "tools/wsload/reasons.h"
#include "tools/wsload/worker.h"

namespace ws::load {

/// The CPU time of a process so far, from /proc/PID/stat. The resolution is a clock tick of 10 ms.
struct CpuTime {
  double user = 0;  ///< seconds
  double system = 0;
  [[nodiscard]] double total() const { return user + system; }
};
/// Throws Failure if the process does not exist.
[[nodiscard]] CpuTime read_cpu(int pid);
/// The anonymous memory of a process, in bytes. Throws Failure if it cannot be read.
[[nodiscard]] std::uint64_t read_memory(int pid);

struct Results {
  double seconds = 0;          ///< measured time
  std::uint64_t messages = 0;  ///< answers; chat: deliveries; connect: connections
  std::uint64_t heard = 0;     ///< chat: messages that all listeners have received
  std::uint64_t unanswered = 0;
  Reasons not_opened;  ///< why connections did not open
  Histogram latencies;
  Histogram lateness;
  double cpu = 0;          ///< CPU seconds of all threads of wsload
  double busiest_cpu = 0;  ///< CPU seconds of the busiest thread
  std::optional<CpuTime> server;
  std::uint64_t memory_before = 0;  ///< of the server, in bytes, before connecting
  std::uint64_t memory_after = 0;   ///< ... with all connections open; connect: at the end

  /// Whether a thread of wsload was the bottleneck: busy for 90 % of the time or more.
  [[nodiscard]] bool is_own_limit() const {
    return busiest_cpu > 0 && busiest_cpu >= 0.9 * seconds;
  }
};

/// "2 × connection refused; 1 × 503"; without the number if there is only one connection.
[[nodiscard]] std::string to_line(const Reasons& reasons);
/// The lines of the table that say why connections did not open; none if all did.
[[nodiscard]] std::string to_rows(const Reasons& reasons);
/// The members of a JSON object: `"not_opened": 2, "not_opened_reasons": {…}`.
[[nodiscard]] std::string to_json(const Reasons& reasons);
[[nodiscard]] std::string to_table(const Plan& plan, const Results& results);
[[nodiscard]] std::string to_json(const Plan& plan, const Results& results);

/// "echo", …
[[nodiscard]] std::string_view name_of(Mode mode);
[[nodiscard]] std::string_view name_of(Filling filling);
/// The number with separators: 1234567 is "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t number);
/// "1 message", "1,000 messages".
[[nodiscard]] std::string counted(std::uint64_t number, std::string_view noun);

/// Shows progress on standard error: one line that is overwritten on a terminal, else a line per second. Shows nothing
/// if `is_quiet`.
class Progress {
 public:
  explicit Progress(bool is_quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void show(std::string_view what);

 private:
  bool is_quiet_;
  bool is_terminal_;
  bool has_line_ = false;
  Nanoseconds next_ = 0;
};

}  // namespace ws::load
