// The options of wsd.
#include "server/main/command_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ws {
namespace {

ParsedCommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "wsd");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

/// Returns one limit, converted from the type of its member.
template <auto kMember>
std::uint64_t limit(const Limits& limits) {
  return limits.*kMember;
}

struct LimitRow {
  const char* option;
  std::uint64_t (*field)(const Limits&);
  const char* value;
  std::uint64_t expected;
  const char* least;  ///< the smallest valid value; `below` is rejected
  const char* below;
  const char* most;  ///< the largest valid value; `above` is rejected
  const char* above;
};

/// All limits.
constexpr LimitRow kLimits[] = {
    {"--max-request-line", limit<&Limits::request_line>, "100", 100, "16", "15", "1GiB",
     "1073741825"},
    {"--max-field-line", limit<&Limits::field_line>, "64B", 64, "16", "15", "1GiB", "1073741825"},
    {"--max-fields", limit<&Limits::fields>, "7", 7, "1", "0", "10000", "10001"},
    {"--max-field-bytes", limit<&Limits::field_bytes>, "3KiB", 3072, "16", "15", "1GiB",
     "1073741825"},
    {"--max-message", limit<&Limits::message>, "2MiB", 2'097'152, "1", "0", "4GiB", "4294967297"},
    {"--max-fragments", limit<&Limits::fragments>, "12", 12, "1", "0", "4294967295", "4294967296"},
    {"--outbox-high", limit<&Limits::outbox_high>, "1MiB", 1'048'576, "64KiB", "0", "1GiB",
     "1073741825"},
    {"--outbox-low", limit<&Limits::outbox_low>, "5KiB", 5120, "1", "0", "256KiB", "262145"},
    {"--chat-queue", limit<&Limits::chat_queue>, "5KiB", 5120, "1", "0", "1GiB", "1073741825"},
    {"--max-buffered", limit<&Limits::buffered>, "1GiB", 1'073'741'824, "64KiB", "65535", "1024GiB",
     "1025GiB"},
    {"--max-connections", limit<&Limits::connections>, "9", 9, "0", "-1", "10000000", "10000001"},
    {"--max-connections-per-address", limit<&Limits::connections_per_address>, "8", 8, "0", "-1",
     "10000000", "10000001"},
    {"--handshake-timeout", limit<&Limits::handshake_ms>, "1500ms", 1500, "1ms", "0", "24h",
     "86400001ms"},
    {"--close-timeout", limit<&Limits::close_ms>, "20ms", 20, "1ms", "0", "24h", "86400001ms"},
    {"--drain-timeout", limit<&Limits::drain_ms>, "4s", 4000, "1ms", "0", "24h", "86400001ms"},
    {"--read-timeout", limit<&Limits::read_ms>, "2min", 120'000, "1ms", "0", "24h", "86400001ms"},
    {"--write-timeout", limit<&Limits::write_ms>, "2min", 120'000, "1ms", "0", "24h", "86400001ms"},
    {"--ping-interval", limit<&Limits::ping_ms>, "3h", 10'800'000, "0", "-1ms", "24h",
     "86400001ms"},
    {"--pong-timeout", limit<&Limits::pong_ms>, "1s", 1000, "1ms", "0", "24h", "86400001ms"},
    {"--stop-timeout", limit<&Limits::stop_ms>, "7ms", 7, "1ms", "0", "24h", "86400001ms"},
};

TEST(CommandLine, UsesTheDefaultsWithoutArguments) {
  const ParsedCommandLine parsed = parse({});
  ASSERT_TRUE(parsed.options.has_value());
  EXPECT_EQ(parsed.options->addresses.size(), 1U);
  EXPECT_EQ(parsed.options->addresses.front().to_string(), "127.0.0.1:8080");
  EXPECT_EQ(parsed.options->threads, 1U);
  EXPECT_TRUE(parsed.options->allowed_origins.empty());
  EXPECT_TRUE(parsed.options->subprotocols.empty());
  EXPECT_EQ(parsed.log_level, LogLevel::kInfo);
  EXPECT_EQ(parsed.log_format, LogFormat::kText);
  EXPECT_EQ(parsed.options->wire_log, WireDetail::kOff);
  for (const LimitRow& row : kLimits)
    EXPECT_EQ(row.field(parsed.options->limits), row.field(Limits{})) << row.option;
}

TEST(CommandLine, SetsEachLimitWithoutChangingTheOthers) {
  for (const LimitRow& row : kLimits) {
    const ParsedCommandLine parsed = parse({row.option, row.value});
    ASSERT_TRUE(parsed.options.has_value()) << parsed.output;
    EXPECT_NE(row.expected, row.field(Limits{}))
        << "the row tests nothing: its value is the default";
    for (const LimitRow& other : kLimits) {
      EXPECT_EQ(other.field(parsed.options->limits),
                &other == &row ? row.expected : other.field(Limits{}))
          << row.option << " " << row.value << " and " << other.option;
    }
  }
}

TEST(CommandLine, RejectsALimitOutsideItsRange) {
  for (const LimitRow& row : kLimits) {
    for (const char* value : {row.least, row.most})
      EXPECT_TRUE(parse({row.option, value}).options.has_value()) << row.option << " " << value;
    for (const char* value : {row.below, row.above}) {
      const ParsedCommandLine parsed = parse({row.option, value});
      EXPECT_FALSE(parsed.options.has_value()) << row.option << " " << value;
      EXPECT_NE(parsed.output.find(row.option), std::string::npos) << parsed.output;
    }
  }
}

TEST(CommandLine, ParsesTheOptionsThatAreNotLimits) {
  const ParsedCommandLine parsed = parse({"--address",        "::1",
                                          "--port",           "0",
                                          "--allowed-origin", "https://a.example",
                                          "--allowed-origin", "http://b.example:81",
                                          "--allowed-origin", "null",
                                          "--allowed-origin", "file://",
                                          "--subprotocol",    "chat.v1",
                                          "--subprotocol",    "chat.v2",
                                          "--log-level",      "warn",
                                          "--log-format",     "json"});
  ASSERT_TRUE(parsed.options.has_value()) << parsed.output;
  EXPECT_EQ(parsed.options->addresses.front().to_string(), "[::1]:0");
  EXPECT_EQ(
      parsed.options->allowed_origins,
      (std::vector<std::string>{"https://a.example", "http://b.example:81", "null", "file://"}));
  EXPECT_EQ(parsed.options->subprotocols, (std::vector<std::string>{"chat.v1", "chat.v2"}));
  EXPECT_EQ(parsed.log_level, LogLevel::kWarn);
  EXPECT_EQ(parsed.log_format, LogFormat::kJson);
  EXPECT_EQ(parse({"--threads", "2"}).options->threads, 2U);
  EXPECT_EQ(parse({"--threads", "64"}).options->threads, 64U);
  EXPECT_FALSE(parsed.options->has_affinity);
  EXPECT_TRUE(parse({"--affinity"}).options->has_affinity);
  EXPECT_EQ(parse({"--wire-log"}).options->wire_log, WireDetail::kFields);
  EXPECT_EQ(parse({"--wire-log", "--port", "1"}).options->wire_log, WireDetail::kFields);
  EXPECT_EQ(parse({"--wire-log=hex"}).options->wire_log, WireDetail::kHex);
}

TEST(CommandLine, ReportsABadOptionInOneLineThatNamesIt) {
  const std::vector<std::vector<const char*>> rows = {
      {"--port", "65536"},
      {"--port", "-1"},
      {"--port", "http"},
      {"--port"},
      {"--port", "1", "--port", "2"},
      {"--port", ""},
      {"--port", "80.5"},
      {"--port", "80x"},
      {"--threads", "0"},
      {"--threads", "65"},
      {"--threads", "all"},
      {"--address", "no-such-host.invalid"},
      {"--address", "fe80::1%no-such-if"},
      {"--address", "*"},
      {"--address", "0"},
      {"--address", "127.1"},
      {"--address", "0x7f000001"},
      {"--address", ""},
      {"--address", "127.0.0.1\nforged"},
      {"--max-message", "0"},
      {"--max-message", "5GiB"},
      {"--max-message", "1KB"},
      {"--max-message", "1.5MiB"},
      {"--max-message", "99999999999999999999"},
      {"--max-message", "18014398509481985KiB"},
      {"--max-fields", "10KiB"},
      {"--max-fields", "0"},
      {"--max-fragments", "4294967296"},
      {"--close-timeout", "0"},
      {"--close-timeout", "25h"},
      {"--close-timeout", "1KiB"},
      {"--close-timeout", "10"},
      {"--ping-interval", "-5s"},
      {"--outbox-low", "257KiB"},
      {"--outbox-low", "2", "--outbox-high", "1"},
      {"--log-level", "loud"},
      {"--log-level", "1"},
      {"--log-format", "xml"},
      {"--wire-log", "octal"},
      {"--allowed-origin", "a.example"},
      {"--allowed-origin", "https://a.example/path"},
      {"--allowed-origin", "https://a.example:65536"},
      {"--allowed-origin", "http://"},
      {"--allowed-origin", "*"},
      {"--subprotocol", "two words"},
      {"serve"},
      {"--nonsense"},
      {"--max-messages", "1"}};
  for (const auto& row : rows) {
    const ParsedCommandLine parsed = parse(row);
    EXPECT_FALSE(parsed.options.has_value()) << row.back();
    EXPECT_EQ(parsed.exit_status, 2) << row.back();
    EXPECT_EQ(std::ranges::count(parsed.output, '\n'), 1) << parsed.output;
    EXPECT_TRUE(parsed.output.starts_with("wsd: ")) << parsed.output;
    EXPECT_NE(parsed.output.find(row.front()), std::string::npos) << parsed.output;
  }
}

TEST(CommandLine, PrintsHelpAndVersion) {
  const ParsedCommandLine version = parse({"--version"});
  EXPECT_FALSE(version.options.has_value());
  EXPECT_EQ(version.exit_status, 0);
  EXPECT_TRUE(version.output.starts_with("wsd ")) << version.output;
  EXPECT_TRUE(version.output.ends_with(" (Frame by Frame)\n")) << version.output;
  const ParsedCommandLine help = parse({"--help"});
  EXPECT_FALSE(help.options.has_value());
  EXPECT_EQ(help.exit_status, 0);
  for (const LimitRow& row : kLimits)
    EXPECT_NE(help.output.find(std::string("  ") + row.option + " "), std::string::npos)
        << row.option;
  for (const std::string_view text :
       {"--address ADDRESS=127.0.0.1", "--port PORT=8080", "--threads NUMBER=1", "--allowed-origin",
        "--subprotocol", "--max-message SIZE=16MiB", "--max-fragments NUMBER=131072",
        "--handshake-timeout TIME=10s", "--outbox-high SIZE=256KiB", "--max-buffered SIZE=512MiB",
        "--ping-interval TIME=0", "--log-level NAME=info", "--log-format NAME=text", "--version"}) {
    EXPECT_NE(help.output.find(text), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace ws
