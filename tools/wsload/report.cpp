#include "tools/wsload/report.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

namespace ws::load {
namespace {

constexpr double kQuantiles[] = {0.5, 0.9, 0.99, 0.999};
constexpr std::string_view kQuantileNames[] = {"p50", "p90", "p99", "p99.9"};
constexpr double kMicro = 1e6;

/// `value` with `digits` decimals.
std::string number(double value, int digits) {
  std::array<char, 64> text;
  const int size = std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return {text.data(), static_cast<std::size_t>(std::max(size, 0))};
}

double per(double amount, std::uint64_t count) {
  return count == 0 ? 0 : amount / static_cast<double>(count);
}

std::string microseconds(std::uint64_t nanoseconds) {
  return number(static_cast<double>(nanoseconds) / 1000, 1);
}

/// A line of the table: a label and its text, which begins in column 19.
std::string row(std::string_view label, const std::string& text) {
  // In UTF-8 the bytes 0x80 to 0xBF continue a character ("µ" has two bytes).
  const auto width = static_cast<std::size_t>(std::ranges::count_if(
      label, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; }));
  std::string line(label);
  line.append(std::max<std::size_t>(width, 18) - width, ' ');
  return line + text + "\n";
}

std::string_view unit(Mode mode) {
  return mode == Mode::kChat      ? "a delivery"
         : mode == Mode::kConnect ? "a connection"
         : mode == Mode::kIdle    ? "a ping"
                                  : "a message";
}

std::string quantiles(const Histogram& histogram) {
  std::string text = "min " + microseconds(histogram.least());
  for (std::size_t i = 0; i < std::size(kQuantiles); ++i) {
    text += "  " + std::string(kQuantileNames[i]) + " " + microseconds(histogram.at(kQuantiles[i]));
  }
  return text + "  max " + microseconds(histogram.greatest()) + "  mean " +
         number(histogram.mean() / 1000, 1);
}

std::string describe(const Plan& plan) {
  std::string text(name_of(plan.mode));
  text += ", " + counted(plan.connections, "connection") + " in " + counted(plan.threads, "thread");
  if (plan.mode == Mode::kChat)
    text += ", " + grouped(plan.speakers) + " of them speaking";
  if (plan.mode != Mode::kConnect) {
    text += ", payload " + grouped(plan.size) + " B (" + std::string(name_of(plan.filling)) +
            (plan.compresses() ? ", compressed)" : ")");
    text += plan.is_open_loop() ? "; " + number(plan.rate, 1) + " messages a second offered"
                                : "; at most " + grouped(plan.outstanding) + " outstanding";
  }
  return text + "\n";
}

/// Builds a JSON object.
class Object {
 public:
  /// `text` may have no control character but the tab: see escape_for_terminal.
  static std::string quote(std::string_view text) {
    std::string quoted = "\"";
    for (const char character : text) {
      if (character == '"' || character == '\\')
        quoted += '\\';
      quoted += character == '\t' ? std::string_view("\\t") : std::string_view(&character, 1);
    }
    return quoted + "\"";
  }
  void add(std::string_view name, const std::string& value) {
    text_ += text_.empty() ? "" : ", ";
    text_ += quote(name) + ": " + value;
  }
  void add(std::string_view name, std::uint64_t value) { add(name, std::to_string(value)); }
  void add(std::string_view name, double value, int digits) { add(name, number(value, digits)); }
  void add_text(std::string_view name, std::string_view value) { add(name, quote(value)); }
  [[nodiscard]] const std::string& members() const { return text_; }
  [[nodiscard]] std::string text() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

void add(Object& object, const Reasons& not_opened) {
  object.add("not_opened", not_opened.total());
  Object reasons;
  for (const auto& [reason, count] : not_opened.sorted())
    reasons.add(reason, count);
  object.add("not_opened_reasons", reasons.text());
}

std::string to_json(const Histogram& histogram) {
  Object object;
  object.add("count", histogram.count());
  object.add("min", static_cast<double>(histogram.least()) / 1000, 3);
  for (std::size_t i = 0; i < std::size(kQuantiles); ++i)
    object.add(kQuantileNames[i], static_cast<double>(histogram.at(kQuantiles[i])) / 1000, 3);
  object.add("max", static_cast<double>(histogram.greatest()) / 1000, 3);
  object.add("mean", histogram.mean() / 1000, 3);
  return object.text();
}

}  // namespace

CpuTime read_cpu(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::stringstream content;
  content << file.rdbuf();
  const std::string text = content.str();
  // The name of the process is in parentheses and may contain any character. Fields 14 and 15 are utime and stime.
  const std::size_t name_end = text.rfind(')');
  if (!file.is_open() || name_end == std::string::npos)
    throw Failure(ExitCode::kUsage, "there is no process " + std::to_string(pid));
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field)
    fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  return {user / ticks, system / ticks};
}

std::uint64_t read_memory(int pid) {
  // Not Private_Dirty: it also counts pages of a newly built program until they are written to the disk.
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  constexpr std::string_view kName = "Anonymous:";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(kName)) {
      std::uint64_t kibibytes = 0;
      std::istringstream(line.substr(kName.size())) >> kibibytes;
      return kibibytes * 1024;
    }
  }
  throw Failure(ExitCode::kUsage, "cannot read the memory usage of process " + std::to_string(pid));
}

std::string_view name_of(Mode mode) {
  constexpr std::string_view kNames[] = {"echo", "chat", "connect", "idle"};
  return kNames[static_cast<std::size_t>(mode)];
}

std::string_view name_of(Filling filling) {
  constexpr std::string_view kNames[] = {"binary", "ascii", "chinese"};
  return kNames[static_cast<std::size_t>(filling)];
}

std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t i = text.size(); i > 3; i -= 3)
    text.insert(i - 3, 1, ',');
  return text;
}

std::string counted(std::uint64_t number, std::string_view noun) {
  return grouped(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

std::string to_rows(const Reasons& reasons) {
  if (reasons.total() == 0)
    return {};
  std::string text = row("not opened", counted(reasons.total(), "connection"));
  for (const auto& [reason, count] : reasons.sorted())
    text += row("", grouped(count) + " × " + reason);
  return text;
}

std::string to_line(const Reasons& reasons) {
  std::string text;
  for (const auto& [reason, count] : reasons.sorted()) {
    text += text.empty() ? "" : "; ";
    text += (reasons.total() == 1 ? "" : grouped(count) + " × ") + reason;
  }
  return text;
}

std::string to_json(const Reasons& reasons) {
  Object object;
  add(object, reasons);
  return object.members();
}

std::string to_table(const Plan& plan, const Results& results) {
  const auto per_second = [&](double amount) { return amount / std::max(results.seconds, 1e-9); };
  const auto messages = static_cast<double>(results.messages);
  std::string table = describe(plan);
  table += row("measured", number(results.seconds, 2) + " s");
  const std::string_view noun = plan.mode == Mode::kChat      ? "deliveries"
                                : plan.mode == Mode::kConnect ? "connections"
                                : plan.mode == Mode::kIdle    ? "pings"
                                                              : "messages";
  table += row(noun, grouped(results.messages) + ", " +
                         grouped(static_cast<std::uint64_t>(per_second(messages))) + " a second");
  if (plan.mode == Mode::kChat)
    table += row("received by all", counted(results.heard, "message"));
  if (plan.mode == Mode::kEcho || plan.mode == Mode::kChat) {
    table += row("payload", number(per_second(messages * static_cast<double>(plan.size)) / 1e6, 1) +
                                " MB/s echoed or delivered");
  }
  if (results.unanswered != 0) {
    table += row("unanswered", counted(results.unanswered, "message") +
                                   ": the server did not keep up with the rate");
  }
  table += to_rows(results.not_opened);
  table += row("latency, µs", quantiles(results.latencies));
  if (plan.is_open_loop())
    table += row("sent late, µs", quantiles(results.lateness));
  table +=
      row("wsload's CPU", number(results.cpu, 2) + " s; the busiest thread used " +
                              number(100 * per_second(results.busiest_cpu), 0) + " % of a core");
  if (results.server) {
    const CpuTime& cpu = *results.server;
    table += row("server's CPU", number(cpu.total(), 2) + " s (user " + number(cpu.user, 2) +
                                     ", system " + number(cpu.system, 2) + "), " +
                                     number(100 * per_second(cpu.total()), 0) + " % of a core; " +
                                     number(per(cpu.total() * kMicro, results.messages), 3) +
                                     " µs " + std::string(unit(plan.mode)));
    std::string memory = grouped(results.memory_after / 1024) + " KiB";
    if (plan.mode != Mode::kConnect) {
      const double grown =
          static_cast<double>(results.memory_after) - static_cast<double>(results.memory_before);
      memory += ", " + number(per(grown, plan.connections), 0) + " B more for each connection";
    }
    table += row("server's memory", memory);
  }
  if (results.is_own_limit()) {
    table +=
        "wsload was the bottleneck: one of its threads was busy for at least 90 % of the time.\n"
        "The server may be faster than measured: use more --threads, or give wsload a core of its\n"
        "own. The server's CPU time is valid.\n";
  }
  return table;
}

std::string to_json(const Plan& plan, const Results& results) {
  Object object;
  object.add_text("mode", name_of(plan.mode));
  object.add("threads", std::uint64_t{plan.threads});
  object.add("connections", plan.connections);
  object.add("speakers", plan.mode == Mode::kChat ? plan.speakers : 0);
  object.add("size", plan.size);
  object.add_text("payload", name_of(plan.filling));
  object.add("deflate", plan.compresses() ? "true" : "false");
  object.add("outstanding", plan.outstanding == UINT64_MAX ? 0 : plan.outstanding);
  object.add("offered_per_second", plan.rate, 3);
  object.add("seconds", results.seconds, 6);
  object.add("messages", results.messages);
  object.add("messages_per_second",
             static_cast<double>(results.messages) / std::max(results.seconds, 1e-9), 3);
  object.add("heard_by_all", results.heard);
  object.add("unanswered", results.unanswered);
  add(object, results.not_opened);
  object.add("latency_us", to_json(results.latencies));
  object.add("sent_late_us", plan.is_open_loop() ? to_json(results.lateness) : "null");
  object.add("load_cpu_seconds", results.cpu, 6);
  object.add("load_busiest_thread", results.busiest_cpu / std::max(results.seconds, 1e-9), 4);
  object.add("load_was_bottleneck", results.is_own_limit() ? "true" : "false");
  if (results.server) {
    Object server;
    server.add("user_seconds", results.server->user, 2);
    server.add("system_seconds", results.server->system, 2);
    server.add("us_per_message", per(results.server->total() * kMicro, results.messages), 6);
    server.add("memory_before", results.memory_before);
    server.add("memory_after", results.memory_after);
    object.add("server", server.text());
  } else {
    object.add("server", "null");
  }
  return object.text() + "\n";
}

// --- progress

Progress::Progress(bool is_quiet)
    : is_quiet_(is_quiet), is_terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (has_line_)
    std::cerr << "\n";
}

void Progress::show(std::string_view what) {
  const Nanoseconds now = monotonic_now();
  if (is_quiet_ || now < next_)
    return;
  next_ = now + (is_terminal_ ? kSecond / 5 : kSecond);
  std::string line = is_terminal_ ? "\r\x1B[K" : "";
  line += what;
  if (!is_terminal_)
    line += '\n';
  has_line_ = is_terminal_;
  std::cerr << line;
}

}  // namespace ws::load
