// wsc, a WebSocket client for the command line: options and main(). The client itself is in client.h.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "protocol/client/client_handshake.h"
#include "protocol/frame/utf8.h"
#include "protocol/inspect/escape.h"
#include "protocol/text.h"
#include "server/main/quantity.h"
#include "server/net/fd.h"
#include "tools/wsc/client.h"
#include "tools/wsc/field_options.h"
#include "tools/wsc/text.h"

namespace ws::client {
namespace {

constexpr std::string_view kForever = "forever";

constexpr const char* kFooter = R"(
Each line of standard input is sent as a message, without its LF or CR LF; each
received message is printed as a line. At the end of the input wsc sends a Close,
prints the messages that arrive before the server's Close, and exits:

  printf 'a\nb\n' | wsc ws://localhost:8080/echo

A server that answers in order sends all answers before its Close. For other
servers, or to receive more messages, use --wait. For messages that contain line
feeds, use --file or --null.

On a terminal, control characters are shown as \xNN, and binary messages in hex.
A pipe or a file receives each message unchanged, followed by a line feed.
Everything else is printed to standard error. Ctrl-C sends Close 1001 and waits
for the server's Close; press Ctrl-C again to end wsc immediately.

Exit codes:
  0  closed normally: with code 1000 or 1001, or without a code (1005)
  1  no connection; or the connection ended without a Close (1006); or wsc could
     not read standard input or write standard output
  2  bad options; or closed normally, but a line could not be sent
  3  the server refused the opening handshake, or answered it wrongly
  4  closed with another code: by the server, or by wsc because the server
     violated the protocol)";

std::string validate_uri(const std::string& uri) {
  const std::string why = explain_bad_uri(uri);
  return why.empty() ? "" : "'" + uri + "' " + why;
}

/// Options of the opening handshake.
void add_handshake_options(CLI::App& app, std::string& uri, ClientHandshake& handshake) {
  app.add_option("uri", uri, "[ws://]HOST[:PORT][/PATH][?QUERY]")
      ->type_name("")
      ->required()
      ->check(validate_uri);
  add_field_options(app, handshake, {});
  DeflateSettings& deflate = handshake.deflate;
  app.add_flag("--deflate", deflate.is_enabled, "offer permessage-deflate (RFC 7692)");
  app.add_flag_callback(
      "--deflate-no-takeover", [&deflate] { deflate.keeps_context = false; },
      "with --deflate: both sides must reset their compression\nwindow after each message");
  app.add_option("--deflate-window-bits", deflate.window_bits,
                 "with --deflate: limit the compression windows of both sides\nto 2^BITS bytes")
      ->type_name("BITS")
      ->default_str(std::to_string(deflate.window_bits))
      ->check(CLI::Range(9, 15).description(""));
}

/// Options for input lines and received messages.
void add_message_options(CLI::App& app, ClientOptions& options, std::string& file) {
  auto* binary = app.add_flag("-b,--binary", options.is_binary, "send binary messages, not text");
  auto* path =
      app.add_option("-f,--file", file, "send this file as one message; do not read standard input")
          ->type_name("PATH");
  auto* null = app.add_flag("-0,--null", options.is_null_terminated,
                            "messages on input and output end with a NUL byte instead\nof a line "
                            "end, and may contain line feeds");
  auto* slash = app.add_flag("--slash", options.has_commands,
                             "treat lines that begin with '/' as commands:\n/ping [TEXT], /pong "
                             "[TEXT], /close [CODE [REASON]]");
  path->excludes(null, slash);
  app.add_flag("--echo", options.echoes,
               "send each message back unchanged until the server\ncloses; do not read input or "
               "print messages")
      ->excludes(binary, slash, path, null);
}

/// Timeouts and the message size limit.
void add_limits(CLI::App& app, ClientOptions& options) {
  const auto add_time = [&app](const char* name, double& seconds, const char* help) {
    add_quantity(app, name, kTime, {1, kDay}, static_cast<std::uint64_t>(seconds * 1000), help,
                 [&seconds](std::uint64_t ms) { seconds = static_cast<double>(ms) / 1000; });
  };
  const auto set_wait = [&options](const std::string& text) {
    const auto ms = parse_quantity(text, kMilliseconds);
    if (text != kForever && (!ms || *ms > kDay))
      throw CLI::ValidationError(
          "--wait", "'" + text + "' is not allowed; use a TIME of at most 24h, or 'forever'");
    options.wait = text == kForever ? -1 : static_cast<double>(*ms) / 1000;
  };
  app.add_option_function<std::string>(
         "-w,--wait", set_wait,
         "time to wait between the end of the input and our Close,\nor 'forever'")
      ->type_name("TIME")
      ->default_str("0");
  add_time(
      "--connect-timeout", options.connect_timeout,
      "time to connect to each address of the host, and the same\ntime for the opening handshake");
  add_time("--close-timeout", options.close_timeout,
           "time to receive the server's Close, and the same time to\nreceive its FIN");
  add_quantity(app, "--max-message", kSize, {1, std::uint64_t{1} << 40U}, options.max_message,
               "maximum size of a message, in both directions",
               [&options](std::uint64_t bytes) { options.max_message = bytes; });
}

/// Reads the file at `path`. Throws Failure if it cannot be read or sent.
std::string read_message(const std::string& path, const ClientOptions& options) {
  const auto fail = [&path](const std::string& why) {
    throw Failure(ExitCode::kUsage, "cannot send " + escape_for_terminal(path) + why);
  };
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.is_open())
    fail(because(errno));
  std::string message;
  std::array<char, std::size_t{64} * 1024> buffer{};
  for (;;) {
    const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
    if (size == 0)
      break;
    if (size < 0 && errno != EINTR)
      fail(because(errno));
    if (size > 0)
      message.append(buffer.data(), static_cast<std::size_t>(size));
    if (message.size() > options.max_message)
      fail(": it is longer than --max-message");
  }
  if (!options.is_binary && !is_utf8(as_bytes(message)))
    fail(": it is not UTF-8; use --binary to send it");  // [6455-5.6-TEXT]
  return message;
}

/// Parses the command line into `options`. Throws Failure for a file that cannot be sent. Returns an exit code if the
/// program must exit at once.
std::optional<ExitCode> parse_options(int argc, char** argv, ClientOptions& options) {
  CLI::App app(std::string("A WebSocket client for the command line (RFC 6455).\n") + kUnitsHelp,
               "wsc");
  app.set_version_flag("--version", "wsc " FBF_VERSION);
  app.footer(kFooter);
  std::string uri;
  std::string file;
  add_handshake_options(app, uri, options.handshake);
  add_message_options(app, options, file);
  add_limits(app, options);
  app.add_flag("-v,--verbose", options.is_verbose,
               "show the opening handshake, and each frame's header:\n> sent, < received");
  try {
    app.parse(argc, argv);
    for (const char* const name : {"--deflate-no-takeover", "--deflate-window-bits"}) {
      if (app.count(name) != 0 && !options.handshake.deflate.is_enabled)
        throw CLI::ValidationError(name, "requires --deflate");
    }
  } catch (const CLI::Success& request) {  // --help, --version
    app.exit(request);
    return ExitCode::kNormal;
  } catch (const CLI::ParseError& error) {
    say(escape_for_terminal(error.what()));
    return ExitCode::kUsage;
  }
  options.handshake.uri = *parse_uri(uri);
  if (app.count("--file") != 0)
    options.message = read_message(file, options);
  return std::nullopt;
}

}  // namespace
}  // namespace ws::client

int main(int argc, char** argv) {
  try {
    ws::hold_standard_descriptors();
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));

    ws::client::ClientOptions options;
    if (const auto code = ws::client::parse_options(argc, argv, options))
      return static_cast<int>(*code);
    return static_cast<int>(ws::client::Client(options).run());
  } catch (const ws::client::Failure& failure) {
    ws::client::say(failure.what());
    return static_cast<int>(failure.code);
  } catch (const std::exception& error) {
    ws::client::say(error.what());
    return static_cast<int>(ws::client::ExitCode::kLost);
  }
}
