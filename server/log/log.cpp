#include "server/log/log.h"

#include <limits.h>
#include <poll.h>
#include <spdlog/async.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <new>

#include "protocol/inspect/escape.h"

namespace ws {
namespace {

using Clock = std::chrono::steady_clock;

/// Writes lines to standard error until a deadline, and drops the lines that are not written by then. Only the log's
/// thread writes, so no mutex is needed.
class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  /// `pool` is the thread pool that calls this sink.
  explicit StderrSink(spdlog::details::thread_pool& pool) : pool_(pool) {}
  void set_deadline(Clock::time_point deadline) { deadline_ = deadline; }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    // The report of dropped lines is written directly: if it were queued, later lines could displace it. It is
    // postponed until the queue is less than half full. Otherwise each line would get a report while lines are dropped.
    if (pool_.queue_size() < kLogQueue / 2)
      report_dropped();
    write(message);
  }
  void flush_() override {}

 private:
  /// Writes how many lines were dropped since the last report.
  void report_dropped() {
    const std::size_t dropped = pool_.overrun_counter() - reported_;
    if (dropped == 0)
      return;
    reported_ += dropped;
    const std::string line = std::to_string(dropped) + " log lines were dropped";
    write({"wsd", spdlog::level::warn, line});
  }
  void write(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::string_view rest(line.data(), line.size());
    while (!rest.empty() && Clock::now() < deadline_.load()) {
      pollfd entry{STDERR_FILENO, POLLOUT, 0};
      if (::poll(&entry, 1, 100) <= 0)
        continue;
      // If poll reports a pipe as writable, it has space for PIPE_BUF bytes, so this write does not block.
      const ssize_t n =
          ::write(STDERR_FILENO, rest.data(), std::min<std::size_t>(rest.size(), PIPE_BUF));
      if (n < 0 && errno != EINTR && errno != EAGAIN)
        return;  // cannot be written: drop the line
      rest.remove_prefix(n < 0 ? 0 : static_cast<std::size_t>(n));
    }
  }

  spdlog::details::thread_pool& pool_;
  std::size_t reported_ = 0;  ///< dropped lines that were reported
  std::atomic<Clock::time_point> deadline_ = Clock::time_point::max();
};

struct Logger {
  std::shared_ptr<StderrSink> sink;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
  LogFormat format = LogFormat::kText;
};
Logger the_log;

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

void post(LogLevel level, std::string_view line) {
  if (the_log.format == LogFormat::kJson)
    return the_log.logger->log(to_spdlog(level), spdlog::string_view_t(to_json(line)));
  the_log.logger->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

std::string to_log_part(std::string_view text) {
  return escape_beginning(text.substr(0, kLogPart), text.size());
}

std::string to_json(std::string_view text) {
  std::string json;
  for (const char c : text) {
    if (c == '"' || c == '\\')
      json += '\\';
    json += c;
  }
  return json;
}

void start_log(LogLevel level, LogFormat format) {
  if (level == LogLevel::kOff)
    return;
  the_log.pool = std::make_shared<spdlog::details::thread_pool>(kLogQueue, 1);
  the_log.sink = std::make_shared<StderrSink>(*the_log.pool);
  the_log.logger = std::make_shared<spdlog::async_logger>(
      "wsd", the_log.sink, the_log.pool, spdlog::async_overflow_policy::overrun_oldest);
  the_log.format = format;
  the_log.logger->set_level(spdlog::level::trace);  // is_logged has already filtered
  the_log.logger->set_pattern(
      format == LogFormat::kText
          ? "%Y-%m-%dT%H:%M:%S.%eZ %l: %v"
          : R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":"%v"})",
      spdlog::pattern_time_type::utc);
  log_internal::threshold = level;
}

void stop_log(std::chrono::milliseconds patience) {
  log_internal::threshold = LogLevel::kOff;
  if (the_log.logger == nullptr)
    return;
  the_log.sink->set_deadline(Clock::now() + patience);
  the_log.logger.reset();
  the_log.pool.reset();  // writes the queued lines and joins the thread
}

void log_internal::write(LogLevel level, std::initializer_list<std::string_view> parts) noexcept {
  try {
    std::string line;
    for (const std::string_view part : parts)
      line += to_log_part(part);
    write_printable(level, line);
  } catch (const std::bad_alloc&) {
    return;
  }
}

void log_internal::write_printable(LogLevel level, std::string_view line) noexcept {
  try {
    post(level, line);
  } catch (const std::bad_alloc&) {
    return;
  }
}

}  // namespace ws
