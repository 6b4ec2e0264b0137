// The log escapes text from peers and never blocks.
#include "server/log/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>

#include "protocol/frame/utf8.h"
#include "server/log/log_limit.h"
#include "server/net/fd.h"

namespace ws {
namespace {

TEST(LogPart, EscapesControlAndBidirectionalCharacters) {
  EXPECT_EQ(to_log_part("two\nlines \x1b[2J \\ \xE2\x80\xAE"),
            R"(two\nlines \x1b[2J \\ \xe2\x80\xae)");
}

TEST(LogPart, IsCutAtItsLimitAndShowsItsFullLength) {
  EXPECT_EQ(to_log_part(std::string(kLogPart, 'x')), std::string(kLogPart, 'x')) << "N";
  EXPECT_EQ(to_log_part(std::string(kLogPart + 1, 'x')),
            std::string(kLogPart, 'x') + "\xE2\x80\xA6 (1025 bytes)")
      << "N + 1";
  // Text is not cut inside a character.
  const std::string text = std::string(kLogPart - 1, 'x') + "\xC3\xBC";
  EXPECT_EQ(to_log_part(text), std::string(kLogPart - 1, 'x') + "\xE2\x80\xA6 (1025 bytes)");
  // Text that is not UTF-8 is cut as well.
  EXPECT_TRUE(to_log_part(std::string(5000, '\x80')).ends_with("\xE2\x80\xA6 (5000 bytes)"));
}

TEST(LogPart, IsShortUtf8AndSafeInJsonForRandomBytes) {
  std::mt19937 random(6455);
  for (int i = 0; i < 2000; ++i) {
    std::string text(random() % 3000, '\0');
    for (char& c : text)
      c = static_cast<char>(random() % (i % 2 == 0 ? 256 : 128));
    const std::string part = to_log_part(text);
    EXPECT_TRUE(is_utf8(std::as_bytes(std::span(part))));
    EXPECT_LE(part.size(), 4 * kLogPart + 20) << "every byte escaped, plus the length";
    // Quotes and backslashes are escaped in JSON: unescaping returns the part.
    std::string unescaped;
    const std::string json = to_json(part);
    for (std::size_t k = 0; k < json.size(); ++k) {
      ASSERT_GE(static_cast<unsigned char>(json[k]), 0x20U);
      ASSERT_NE(json[k], '"') << "a quote that is not escaped";
      unescaped += json[k] == '\\' ? json[++k] : json[k];
    }
    EXPECT_EQ(unescaped, part);
  }
}

TEST(LogJson, EscapesQuotesAndBackslashes) {
  EXPECT_EQ(to_json(to_log_part("say \"hi\"\n\x1b")), R"(say \"hi\"\\n\\x1b)");
}

/// Redirects standard error to `to` while it exists.
class RedirectedStderr {
 public:
  explicit RedirectedStderr(const Fd& to) : saved_(::dup(STDERR_FILENO)) {
    ::dup2(to.get(), STDERR_FILENO);
  }
  ~RedirectedStderr() { ::dup2(saved_.get(), STDERR_FILENO); }
  RedirectedStderr(const RedirectedStderr&) = delete;
  RedirectedStderr& operator=(const RedirectedStderr&) = delete;

 private:
  Fd saved_;
};

std::string read_all(const Fd& fd) {
  std::string text;
  std::array<char, 65536> part;
  for (ssize_t n; (n = ::read(fd.get(), part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  return text;
}

/// The lines, without their times, that `act` logs at info or above.
template <typename Act>
std::string lines_that(Act act) {
  const Fd file(::memfd_create("log", MFD_CLOEXEC));
  {
    const RedirectedStderr redirected(file);
    start_log(LogLevel::kInfo, LogFormat::kText);
    act();
    stop_log();
  }
  ::lseek(file.get(), 0, SEEK_SET);
  std::istringstream written(read_all(file));
  std::string lines;
  for (std::string line; std::getline(written, line);)
    lines += line.substr(25) + "\n";
  return lines;
}

TEST(LogLimit, AllowsSomeLinesInEachIntervalAndReportsTheOthers) {
  static_assert(LogLimit::kLines == 10 && LogLimit::kIntervalMs == 10'000);
  LogLimit limit(LogLevel::kWarn, "tests");
  const auto allowed = [&](int calls, std::int64_t now) {
    int count = 0;
    for (int i = 0; i < calls; ++i)
      count += limit.allows(now) ? 1 : 0;
    return count;
  };
  EXPECT_EQ(lines_that([&] {
              EXPECT_EQ(allowed(9, 500), 9);
              EXPECT_EQ(allowed(2, 10'499), 1) << "one interval: from the first line on";
              EXPECT_EQ(limit.end(), 10'500);
            }),
            "");
  EXPECT_EQ(lines_that([&] { EXPECT_EQ(allowed(12, 10'500), 10) << "the next interval"; }),
            "warning: Log limit: 1 more lines about tests were left out (at most 10 in 10 s for "
            "each loop)\n");
  const std::string report =
      "warning: Log limit: 2 more lines about tests were left out (at most 10 in 10 s for each "
      "loop)\n";
  EXPECT_EQ(lines_that([&] { limit.report(); }), report);
  EXPECT_EQ(lines_that([&] { limit.report(); }), "") << "counted once";
  EXPECT_EQ(allowed(1, 20'499), 0) << "a report does not end the interval";
  EXPECT_EQ(allowed(1, 90'000), 1);
  EXPECT_EQ(lines_that([&] { limit.report(); }), "") << "reported, while the log was stopped";
}

/// Logs one line of each level, and returns the output of a log with this level and format.
std::string lines_of(LogLevel level, LogFormat format) {
  const Fd file(::memfd_create("log", MFD_CLOEXEC));
  {
    const RedirectedStderr redirected(file);
    start_log(level, format);
    for (const LogLevel one :
         {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
      EXPECT_EQ(is_logged(one), one >= level);
      log(one, {"a ", "\"b\"\n"});
    }
    stop_log();
  }
  EXPECT_FALSE(is_logged(LogLevel::kError)) << "the log is stopped";
  ::lseek(file.get(), 0, SEEK_SET);
  return read_all(file);
}

TEST(Log, WritesOneLinePerEventAtOrAboveItsLevel) {
  const std::string lines = lines_of(LogLevel::kWarn, LogFormat::kText);
  const std::size_t second = lines.find('\n') + 1;
  // The time has 24 characters: 2026-11-24T10:00:00.123Z.
  EXPECT_EQ(lines.substr(24, second - 24), " warning: a \"b\"\\n\n");
  EXPECT_EQ(lines.substr(second + 24), " error: a \"b\"\\n\n");
  EXPECT_EQ(lines[10], 'T');
  EXPECT_EQ(lines[23], 'Z');
}

TEST(Log, WritesJsonIfTheFormatIsJson) {
  const std::string lines = lines_of(LogLevel::kError, LogFormat::kJson);
  EXPECT_TRUE(lines.starts_with(R"({"time":")")) << lines;
  EXPECT_TRUE(lines.ends_with(R"(Z","level":"error","message":"a \"b\"\\n"})"
                              "\n"))
      << lines;
}

TEST(Log, WritesNothingIfTheLevelIsOff) {
  EXPECT_EQ(lines_of(LogLevel::kOff, LogFormat::kText), "");
}

TEST(Log, DropsAndCountsTheOldestLinesInsteadOfBlocking) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd out(ends[0]);
  Fd in(ends[1]);
  constexpr std::size_t kLines = 3 * kLogQueue;
  std::string text;
  std::thread reader;
  {
    const RedirectedStderr redirected(in);
    in.reset();
    start_log(LogLevel::kInfo, LogFormat::kText);
    // Twice, because the second report must not include the lines of the first report.
    for (const std::string_view last : {"the end of the first;", "the end of the second;"}) {
      // The pipe is not read. When it (64 KiB) and the queue are full, log() must not block.
      for (std::size_t i = 1; i < kLines; ++i)
        log(LogLevel::kInfo, {"line ", std::to_string(i), ";"});
      log(LogLevel::kInfo, {last});
      while (last.ends_with("first;") && text.find(last) == std::string::npos) {
        std::array<char, 4096> part{};
        const ssize_t size = ::read(out.get(), part.data(), part.size());
        ASSERT_GT(size, 0);
        text.append(part.data(), static_cast<std::size_t>(size));
      }
    }
    reader = std::thread([&] { text += read_all(out); });
    stop_log();
  }
  reader.join();
  EXPECT_NE(text.find("the end of the second;"), std::string::npos) << "the newest line is written";
  // Each line is either written or counted; the reports do not displace lines. Which lines are dropped depends on when
  // the log's thread first ran.
  std::size_t written_lines = 0;
  std::size_t dropped = 0;
  std::istringstream written(text);
  for (std::string line; std::getline(written, line);) {
    const bool is_report = line.ends_with(" log lines were dropped");
    if (is_report)
      dropped += std::stoul(line.substr(line.find("warning: ") + 9));
    else
      ++written_lines;
  }
  EXPECT_GT(dropped, 0U) << "older lines are dropped";
  EXPECT_EQ(written_lines + dropped, 2 * kLines);
}

TEST(Log, StopsEvenIfStandardErrorIsNotRead) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd out(ends[0]);
  Fd in(ends[1]);
  {
    const RedirectedStderr redirected(in);
    in.reset();
    start_log(LogLevel::kInfo, LogFormat::kText);
    for (std::size_t i = 0; i < 2 * kLogQueue; ++i)
      log(LogLevel::kInfo, {"more than a pipe takes"});
    pollfd entry{out.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, 60'000), 1) << "the log's thread has started";
    stop_log(std::chrono::milliseconds(0));  // must return, although the pipe is full
  }
  EXPECT_TRUE(read_all(out).ends_with('\n')) << "no line is written partly";
}

}  // namespace
}  // namespace ws
