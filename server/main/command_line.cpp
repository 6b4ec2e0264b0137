#include "server/main/command_line.h"

#include <arpa/inet.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

#include "protocol/text.h"
#include "server/http/origin.h"
#include "server/main/quantity.h"
#include "server/net/address.h"
#include "server/net/event_loop.h"

namespace ws {
namespace {

/// An option that sets one number in Limits.
template <typename Number>
struct LimitOption {
  const char* group;
  const char* name;
  Number Limits::*field;
  const QuantityType& type;
  std::uint64_t least;
  std::uint64_t most;
  const char* help;
};

constexpr const char* kHandshake = "Opening handshake";
constexpr const char* kTls = "TLS";
constexpr const char* kMessages = "Messages";
constexpr const char* kCompression = "Compression";
constexpr const char* kMemory = "Memory";
constexpr const char* kConnections = "Connections";
constexpr const char* kDeadlines = "Deadlines";
constexpr std::uint64_t kGiB = 1 << 30;
constexpr const char* kSignalsHelp =
    "Signals:\n"
    "  SIGTERM, SIGINT  close the sessions with Close 1001, then exit; send it again to exit\n"
    "                   immediately\n"
    "  SIGUSR1          log the number of sessions and a line for each\n"
    "  SIGHUP           reload the TLS certificate and key, for new connections";

constexpr LimitOption<std::size_t> kSizes[] = {
    {kHandshake, "--max-request-line", &Limits::request_line, kSize, 16, kGiB,
     "maximum bytes of the request line; if exceeded: HTTP 414"},
    {kHandshake, "--max-field-line", &Limits::field_line, kSize, 16, kGiB,
     "maximum bytes of one header field; if exceeded: HTTP 431"},
    {kHandshake, "--max-fields", &Limits::fields, kNumber, 1, 10'000,
     "maximum number of header fields; if exceeded: HTTP 431"},
    {kHandshake, "--max-field-bytes", &Limits::field_bytes, kSize, 16, kGiB,
     "maximum bytes of all header fields; if exceeded: HTTP 431"},
    {kMessages, "--max-message", &Limits::message, kSize, 1, 4 * kGiB,
     "maximum bytes of one message; if exceeded: Close 1009"},
    {kMemory, "--outbox-high", &Limits::outbox_high, kSize, 1, kGiB,
     "stop reading from a session when more bytes than this are queued for it"},
    {kMemory, "--outbox-low", &Limits::outbox_low, kSize, 1, kGiB,
     "resume reading from a session when fewer bytes than this are queued for it"},
    {kMemory, "--chat-queue", &Limits::chat_queue, kSize, 1, kGiB,
     "maximum bytes queued for a chat member; if exceeded: Close 1008"},
    {kMemory, "--max-buffered", &Limits::buffered, kSize, 64 << 10, 1024 * kGiB,
     "maximum bytes held for all sessions together, of which compression may use three quarters; "
     "if exceeded: Close 1013"},
    {kConnections, "--max-connections", &Limits::connections, kNumber, 0, 10'000'000,
     "maximum number of connections; 0: as many as the descriptor limit allows; if exceeded: "
     "HTTP 503"},
    {kConnections, "--max-connections-per-address", &Limits::connections_per_address, kNumber, 0,
     10'000'000,
     "maximum number of connections from one client address; 0: no limit; if exceeded: HTTP 503"},
};
constexpr LimitOption<std::uint32_t> kNumbers[] = {
    {kMessages, "--max-fragments", &Limits::fragments, kNumber, 1, UINT32_MAX,
     "maximum number of frames in one message; if exceeded: Close 1008"},
    {kDeadlines, "--handshake-timeout", &Limits::handshake_ms, kTime, 1, kDay,
     "time to receive the request head; otherwise HTTP 408"},
    {kDeadlines, "--close-timeout", &Limits::close_ms, kTime, 1, kDay,
     "time to receive the peer's Close after wsd's; otherwise wsd sends FIN"},
    {kDeadlines, "--drain-timeout", &Limits::drain_ms, kTime, 1, kDay,
     "time to receive the peer's FIN after wsd's; otherwise the socket is closed"},
    {kDeadlines, "--read-timeout", &Limits::read_ms, kTime, 1, kDay,
     "while a message is incomplete: time in which at least --outbox-low bytes of it, or the rest, "
     "must arrive; otherwise Close 1008"},
    {kDeadlines, "--write-timeout", &Limits::write_ms, kTime, 1, kDay,
     "while output is queued: time in which the peer must read at least --outbox-low bytes, or the "
     "rest of the output; otherwise the connection is reset"},
    {kDeadlines, "--ping-interval", &Limits::ping_ms, kTime, 0, kDay,
     "time without input before a ping is sent; 0: never"},
    {kDeadlines, "--pong-timeout", &Limits::pong_ms, kTime, 1, kDay,
     "after a ping: time without input, and without an acknowledgement of output by the peer's "
     "TCP, "
     "before the connection is reset"},
    {kDeadlines, "--stop-timeout", &Limits::stop_ms, kTime, 1, kDay,
     "time for the sessions to end after SIGTERM or SIGINT; then wsd exits"},
};

template <typename Number>
void add_limit(CLI::App& app, Limits& limits, const LimitOption<Number>& option) {
  const auto set = [&limits, &option](std::uint64_t value) {
    limits.*option.field = static_cast<Number>(value);
  };
  add_quantity(app, option.name, option.type, {option.least, option.most}, limits.*option.field,
               option.help, set)
      ->group(option.group);
}

template <typename Value>
struct Choice {
  std::string_view name;
  Value value;
};
constexpr Choice<LogLevel> kLevels[] = {{"debug", LogLevel::kDebug},
                                        {"info", LogLevel::kInfo},
                                        {"warn", LogLevel::kWarn},
                                        {"error", LogLevel::kError},
                                        {"off", LogLevel::kOff}};
constexpr Choice<LogFormat> kFormats[] = {{"text", LogFormat::kText}, {"json", LogFormat::kJson}};

template <typename Value, std::size_t kCount>
void add_choice(CLI::App& app, const char* name, Value& field,
                const Choice<Value> (&choices)[kCount], const char* help) {
  const auto set = [&field, &choices, name, help](const std::string& text) {
    const auto choice = std::ranges::find(choices, text, &Choice<Value>::name);
    if (choice == std::end(choices)) {
      throw CLI::ValidationError(name, "'" + text + "' is not " + help);
    }
    field = choice->value;
  };
  app.add_option_function<std::string>(name, set, help)
      ->default_str(std::string(std::ranges::find(choices, field, &Choice<Value>::value)->name))
      ->type_name("NAME");
}

/// The options of permessage-deflate. It is off by default, since the server of the article (README.md) declines it.
void add_deflate(CLI::App& app, DeflateSettings& deflate) {
  app.add_flag("--deflate", deflate.is_enabled,
               "accept permessage-deflate (RFC 7692) from clients that offer it. Context takeover "
               "reserves at most half of --max-buffered; after that, clients get no takeover")
      ->group(kCompression);
  app.add_flag_callback(
         "--deflate-no-takeover", [&deflate] { deflate.keeps_context = false; },
         "reset the compression window after each message: compresses less, but needs no memory "
         "for idle sessions")
      ->group(kCompression);
  app.add_option("--deflate-window-bits", deflate.window_bits,
                 "maximum window size, 2^BITS bytes, in both directions")
      ->default_str(std::to_string(deflate.window_bits))
      ->type_name("BITS")
      ->check(CLI::Range(9, 15).description(""))
      ->group(kCompression);
  const auto set_threshold = [&deflate](std::uint64_t bytes) {
    deflate.threshold = static_cast<std::size_t>(bytes);
  };
  add_quantity(app, "--deflate-from", kSize, {1, kGiB}, deflate.threshold,
               "compress messages of at least this size", set_threshold)
      ->group(kCompression);
}

std::string validate_origin(const std::string& text) {
  return is_origin(text)
             ? ""
             : "'" + text + "' is not an origin such as https://example.org:8443, file:// or null";
}

std::string validate_subprotocol(const std::string& text) {
  return is_token(text) ? "" : "'" + text + "' is not a subprotocol name such as chat.v1";
}

/// The options for the address, the threads, and the clients that are accepted.
void add_listening(CLI::App& app, ServerOptions& options, std::string& address,
                   std::uint16_t& port) {
  app.add_option("--address", address,
                 "address to listen on: IPv4, IPv6 (link-local: fe80::1%eth0), or a host name, for "
                 "all its addresses")
      ->capture_default_str()
      ->type_name("ADDRESS");
  const auto set_port = [&port](std::uint64_t number) {
    port = static_cast<std::uint16_t>(number);
  };
  add_quantity(app, "--port", {"PORT", kNoUnit}, {0, UINT16_MAX}, port,
               "port to listen on; 0: the kernel chooses one", set_port);
  const auto set_threads = [&options](std::uint64_t number) {
    options.threads = static_cast<unsigned>(number);
  };
  add_quantity(app, "--threads", kNumber, {1, kMaxLoops}, options.threads,
               "number of event-loop threads", set_threads);
  app.add_flag("--affinity", options.has_affinity,
               "pin each loop to one processor; a connection belongs to the loop on the processor "
               "that handles its packets");
  app.add_option("--allowed-origin", options.allowed_origins,
                 "origin whose pages may connect, such as https://example.org:8443, file:// or "
                 "null; repeatable; "
                 "default: all origins")
      ->type_name("ORIGIN")
      ->allow_extra_args(false)
      ->check(validate_origin);
  app.add_option("--subprotocol", options.subprotocols,
                 "subprotocol that clients may request; repeatable")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->check(validate_subprotocol);
}

/// The options of TLS. `tls` is used if `--tls-cert` is given.
void add_tls(CLI::App& app, TlsOptions& tls, bool& has_plain) {
  app.add_option("--tls-cert", tls.certificate_file,
                 "accept TLS connections too (https://, wss://); FILE contains the server's "
                 "certificate and then the intermediate certificates, in PEM format")
      ->type_name("FILE")
      ->group(kTls);
  app.add_option("--tls-key", tls.key_file, "private key of the certificate, in PEM format")
      ->type_name("FILE")
      ->group(kTls);
  const auto set_port = [&tls](std::uint64_t number) {
    tls.port = static_cast<std::uint16_t>(number);
  };
  add_quantity(app, "--tls-port", {"PORT", kNoUnit}, {0, UINT16_MAX}, tls.port,
               "port for TLS connections; 0: the kernel chooses one", set_port)
      ->group(kTls);
  app.add_flag_callback(
         "--no-plain", [&has_plain] { has_plain = false; },
         "accept only TLS connections; --port is not used")
      ->group(kTls);
}

void add_wire_log(CLI::App& app, WireDetail& wire_log) {
  const auto set_wire_log = [&wire_log](const std::string& text) {
    if (!text.empty() && text != "hex")
      throw CLI::ValidationError("--wire-log",
                                 "'" + text + "' is not allowed; use --wire-log or --wire-log=hex");
    wire_log = text.empty() ? WireDetail::kFields : WireDetail::kHex;
  };
  app.add_option_function<std::string>("--wire-log", set_wire_log,
                                       "log each handshake and frame that is sent or received, at "
                                       "level info; =hex: also log its bytes")
      ->expected(0, 1)
      ->type_name("[=hex]");
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv) {
  ServerOptions options;
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;
  CLI::App app(std::string("wsd, the WebSocket server of Frame by Frame, with the endpoints /echo, "
                           "/echo/raw and /chat.\n") +
                   kUnitsHelp,
               "wsd");
  app.get_formatter()->column_width(46);
  app.footer(kSignalsHelp);
  app.set_version_flag("--version", "wsd " FBF_VERSION " (Frame by Frame)",
                       "Print the version and exit");

  add_listening(app, options, address, port);
  add_choice(app, "--log-level", log_level, kLevels, "debug, info, warn, error or off");
  add_choice(app, "--log-format", log_format, kFormats, "text or json");
  add_wire_log(app, options.wire_log);
  TlsOptions tls;
  add_tls(app, tls, options.has_plain);
  add_deflate(app, options.deflate);
  for (const auto& option : kSizes)
    add_limit(app, options.limits, option);
  for (const auto& option : kNumbers)
    add_limit(app, options.limits, option);

  try {
    app.parse(argc, argv);
    for (const char* const name :
         {"--deflate-no-takeover", "--deflate-window-bits", "--deflate-from"}) {
      if (app.count(name) != 0 && !options.deflate.is_enabled)
        throw CLI::ValidationError(name, "requires --deflate");
    }
    for (const char* const name : {"--tls-key", "--tls-port", "--no-plain"}) {
      if (app.count(name) != 0 && app.count("--tls-cert") == 0)
        throw CLI::ValidationError(name, "requires --tls-cert");
    }
    if (app.count("--tls-cert") != 0) {
      if (app.count("--tls-key") == 0)
        throw CLI::ValidationError("--tls-cert", "requires --tls-key");
      options.tls = tls;
    }
    if (options.limits.outbox_low > options.limits.outbox_high) {
      throw CLI::ValidationError("--outbox-low", "must not be greater than --outbox-high");
    }
    std::string why;
    // Short forms of IPv4 addresses, such as 0 and 127.1, are more often mistakes: 0 means all interfaces.
    in_addr short_form{};
    if (address == "*" || (::inet_aton(address.c_str(), &short_form) != 0 &&
                           !SocketAddress::parse(address, port).has_value())) {
      throw CLI::ValidationError(
          "--address", "'" + address + "' is not an address; use 0.0.0.0 or :: for all interfaces");
    }
    options.addresses = resolve(address, port, why);
    if (options.addresses.empty())
      throw CLI::ValidationError("--address", "no address for '" + address + "': " + why);
  } catch (const CLI::CallForHelp&) {
    return {.exit_status = 0, .output = app.help()};
  } catch (const CLI::CallForVersion& version) {
    return {.exit_status = 0, .output = std::string(version.what()) + "\n"};
  } catch (const CLI::ParseError& error) {
    std::string line = error.what();
    std::ranges::replace(line, '\n', ' ');
    return {.exit_status = 2, .output = "wsd: " + line + " (wsd --help lists the options)\n"};
  }
  return {.options = std::move(options), .log_level = log_level, .log_format = log_format};
}

}  // namespace ws
