// What wsload says: progress while it runs, and at the end a table or JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tools/wsload_histogram.h"
#include "tools/wsload_plan.h"
#include "tools/wsload_worker.h"

namespace ws::load {

/// What a process has used so far: /proc/PID/stat, in clock ticks of 10 ms.
struct CpuTime {
  double user = 0;  ///< seconds
  double system = 0;
  [[nodiscard]] double total() const { return user + system; }
};
/// Throws Failure if there is no such process.
[[nodiscard]] CpuTime read_cpu(int pid);
/// Bytes that the process has written to and still holds; throws if it may not be looked at.
[[nodiscard]] std::uint64_t read_memory(int pid);

struct Results {
  double seconds = 0;          ///< that were measured
  std::uint64_t messages = 0;  ///< answers; chat: deliveries; connect: connections
  std::uint64_t heard = 0;     ///< chat: messages that all have heard
  std::uint64_t unanswered = 0;
  Histogram latencies;
  Histogram lateness;
  double cpu = 0;          ///< seconds, of all threads of wsload
  double busiest_cpu = 0;  ///< of the one that used most
  std::optional<CpuTime> server;
  std::uint64_t memory_before = 0;  ///< of the server, in bytes, before connecting
  std::uint64_t memory_after = 0;   ///< with all connections open

  /// wsload itself could do no more.
  [[nodiscard]] bool is_own_limit() const { return busiest_cpu >= 0.9 * seconds; }
};

[[nodiscard]] std::string to_table(const Plan& plan, const Results& results);
[[nodiscard]] std::string to_json(const Plan& plan, const Results& results);

/// "echo", …
[[nodiscard]] std::string_view name_of(Mode mode);
[[nodiscard]] std::string_view name_of(Filling filling);
/// 1234567 is "1,234,567".
[[nodiscard]] std::string grouped(std::uint64_t number);

/// One line on standard error, written again and again on a terminal, else one a second. Nothing if `is_quiet`.
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
