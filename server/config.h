// The options of wsd.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/extensions.h"
#include "protocol/limits.h"
#include "server/log.h"
#include "server/wire_log.h"

namespace ws {

struct Config {
  std::string address = "127.0.0.1";           ///< numeric, IPv4 or IPv6
  std::uint16_t port = 8080;                   ///< 0: the kernel chooses
  unsigned threads = 1;                        ///< loops
  bool has_affinity = false;                   ///< each on a processor of its own
  std::vector<std::string> allowed_origins{};  ///< empty: all, as in the article
  std::vector<std::string> subprotocols{};
  Limits limits{};
  DeflateSettings deflate{};
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  WireDetail wire_log = WireDetail::kOff;
};

struct ParsedConfig {
  std::optional<Config> config;  ///< empty: print `output` and exit
  int exit_status = 0;           ///< 0: help or version, for standard output; 2: an error, one line
  std::string output{};
};

[[nodiscard]] ParsedConfig parse_config(int argc, const char* const* argv);

}  // namespace ws
