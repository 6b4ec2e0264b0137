// The options of wsd.
#include "server/config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace ws {
namespace {

ParsedConfig parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "wsd");
  return parse_config(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Config, HasTheDefaultsOfItsStruct) {
  const ParsedConfig parsed = parse({});
  ASSERT_TRUE(parsed.config.has_value());
  EXPECT_EQ(parsed.config->address, "127.0.0.1");
  EXPECT_EQ(parsed.config->port, 8080);
  EXPECT_TRUE(parsed.config->allowed_origins.empty());
  EXPECT_EQ(parsed.config->log_level, LogLevel::kInfo);
  EXPECT_EQ(parsed.config->log_format, LogFormat::kText);
  EXPECT_EQ(parsed.config->limits.message, 16U << 20U);
  EXPECT_EQ(parsed.config->limits.ping_ms, 0U);
}

TEST(Config, TakesEachLimitInItsUnits) {
  const auto limits = [](const char* option, const char* value) {
    const ParsedConfig parsed = parse({option, value});
    EXPECT_TRUE(parsed.config.has_value()) << option << " " << value << ": " << parsed.output;
    return parsed.config.value_or(Config{}).limits;
  };
  EXPECT_EQ(limits("--max-request-line", "100").request_line, 100U);
  EXPECT_EQ(limits("--max-field-line", "64B").field_line, 64U);
  EXPECT_EQ(limits("--max-fields", "7").fields, 7U);
  EXPECT_EQ(limits("--max-field-bytes", "3KiB").field_bytes, 3072U);
  EXPECT_EQ(limits("--max-message", "2MiB").message, 2'097'152U);
  EXPECT_EQ(limits("--max-message", "4GiB").message, 4'294'967'296U);
  EXPECT_EQ(limits("--max-fragments", "12").fragments, 12U);
  EXPECT_EQ(limits("--outbox-high", "1MiB").outbox_high, 1'048'576U);
  EXPECT_EQ(limits("--outbox-low", "1").outbox_low, 1U);
  EXPECT_EQ(limits("--chat-queue", "5KiB").chat_queue, 5120U);
  EXPECT_EQ(limits("--max-buffered", "1GiB").buffered, 1'073'741'824U);
  EXPECT_EQ(limits("--max-connections", "9").connections, 9U);
  EXPECT_EQ(limits("--max-connections-per-address", "8").connections_per_address, 8U);
  EXPECT_EQ(limits("--handshake-timeout", "1500ms").handshake_ms, 1500U);
  EXPECT_EQ(limits("--close-timeout", "20ms").close_ms, 20U);
  EXPECT_EQ(limits("--drain-timeout", "4s").drain_ms, 4000U);
  EXPECT_EQ(limits("--write-timeout", "2min").write_ms, 120'000U);
  EXPECT_EQ(limits("--ping-interval", "24h").ping_ms, 86'400'000U);
  EXPECT_EQ(limits("--ping-interval", "0").ping_ms, 0U);
  EXPECT_EQ(limits("--pong-timeout", "1s").pong_ms, 1000U);
  EXPECT_EQ(limits("--stop-timeout", "1ms").stop_ms, 1U);
}

TEST(Config, TakesWhatIsNoLimit) {
  const ParsedConfig parsed =
      parse({"--address", "::1", "--port", "0", "--allowed-origin", "https://a.example",
             "--allowed-origin", "http://b.example:81", "--subprotocol", "chat.v1", "--subprotocol",
             "chat.v2", "--log-level", "warn", "--log-format", "json"});
  ASSERT_TRUE(parsed.config.has_value()) << parsed.output;
  EXPECT_EQ(parsed.config->address, "::1");
  EXPECT_EQ(parsed.config->port, 0);
  EXPECT_EQ(parsed.config->allowed_origins,
            (std::vector<std::string>{"https://a.example", "http://b.example:81"}));
  EXPECT_EQ(parsed.config->subprotocols, (std::vector<std::string>{"chat.v1", "chat.v2"}));
  EXPECT_EQ(parsed.config->log_level, LogLevel::kWarn);
  EXPECT_EQ(parsed.config->log_format, LogFormat::kJson);
}

TEST(Config, AnswersABadOptionInOneLineThatNamesIt) {
  const std::vector<std::vector<const char*>> rows = {
      {"--port", "65536"},
      {"--port", "-1"},
      {"--port", "http"},
      {"--port"},
      {"--address", "localhost"},
      {"--address", ""},
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
      {"--log-level", "loud"},
      {"--log-level", "1"},
      {"--log-format", "xml"},
      {"--allowed-origin", "a.example"},
      {"--allowed-origin", "https://a.example/path"},
      {"--subprotocol", "two words"},
      {"--nonsense"},
      {"--max-messages", "1"}};
  for (const auto& row : rows) {
    const ParsedConfig parsed = parse(row);
    EXPECT_FALSE(parsed.config.has_value()) << row.back();
    EXPECT_EQ(parsed.exit_status, 2) << row.back();
    EXPECT_EQ(std::ranges::count(parsed.output, '\n'), 1) << parsed.output;
    EXPECT_TRUE(parsed.output.starts_with("wsd: ")) << parsed.output;
    EXPECT_NE(parsed.output.find(row.front()), std::string::npos) << parsed.output;
  }
}

TEST(Config, HelpsAndTellsItsVersion) {
  const ParsedConfig version = parse({"--version"});
  EXPECT_FALSE(version.config.has_value());
  EXPECT_EQ(version.exit_status, 0);
  EXPECT_TRUE(version.output.starts_with("wsd ")) << version.output;
  const ParsedConfig help = parse({"--help"});
  EXPECT_FALSE(help.config.has_value());
  EXPECT_EQ(help.exit_status, 0);
  for (const std::string_view text :
       {"--address ADDRESS=127.0.0.1", "--port PORT=8080", "--allowed-origin", "--subprotocol",
        "--max-message SIZE=16MiB", "--max-fragments NUMBER=131072", "--handshake-timeout TIME=10s",
        "--outbox-high SIZE=256KiB", "--max-buffered SIZE=512MiB", "--ping-interval TIME=0",
        "--log-level"}) {
    EXPECT_NE(help.output.find(text), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace ws
