// The command line of wsd.
#pragma once

#include <optional>
#include <string>

#include "server/log/log.h"
#include "server/main/options.h"

namespace ws {

struct ParsedCommandLine {
  std::optional<ServerOptions> options{};  ///< if empty, print `output` and exit
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  int exit_status = 0;  ///< 0: `output` is help or version; 2: `output` is an error, one line
  std::string output{};
};

/// Parses the command line of wsd. Without options it listens on 127.0.0.1, port 8080.
[[nodiscard]] ParsedCommandLine parse_command_line(int argc, const char* const* argv);

}  // namespace ws
