// wsload, a load generator for WebSocket servers: options, and the phases of a run (open, measure, close).
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "protocol/client/client_handshake.h"
#include "protocol/inspect/escape.h"
#include "server/main/quantity.h"
#include "server/net/fd.h"
#include "tools/wsc/field_options.h"
#include "tools/wsload/chat.h"
#include "tools/wsload/connect.h"
#include "tools/wsload/echo.h"
#include "tools/wsload/messages.h"
#include "tools/wsload/plan.h"
#include "tools/wsload/report.h"
#include "tools/wsload/worker.h"

namespace ws::load {
namespace {

constexpr const char* kFooter = R"(
Modes:
  echo     the server echoes each message; a connection sends the next message
           when fewer than --outstanding messages are unanswered, or at a --rate
  chat     --speakers is the number of connections that send. The server sends each
           message to all other connections; wsload counts these deliveries.
           --outstanding limits the messages of a speaker that have not reached all
           receivers yet
  connect  connections are opened and closed repeatedly; --connections is the number
           that exist at the same time. Latency is the time from connect to the 101
  idle     the connections stay open, and wsload pings each of them once a second
           (with --rate: the pings per second of all connections together)

  wsload echo ws://127.0.0.1:8080/echo/raw -c 64 --server-pid $(pidof wsd)
  wsload chat ws://127.0.0.1:8080/chat -c 1001 --speakers 1 --text ascii

wsload compares each answer with the expected answer. On the paths /echo and /chat
it expects wsd's prefix, 'Echo: ' or 'Broadcast: '; for other servers, use --prefix.
With a URL of tcp://HOST:PORT wsload sends the same frames, without a handshake, to
a server that echoes bytes.

Without --rate wsload sends the next message when an answer has arrived (closed
loop). With --rate each message has a scheduled time, and its latency is measured
from that time (open loop).

A connection that does not open is counted and reported with the reason: TCP was
refused, the server answered with another status than 101, the connection was lost,
or --timeout has passed. The other connections carry the load.

With --hold the connections stay open until standard input ends. Each input line
starts a round: one message per connection, or as many messages as --messages says.
wsload reports each round. Between rounds, other programs can examine the server.

Masking keys come from a fixed sequence. This suffices for load tests, but it is not
secure.

Exit codes:
  0  all connections opened, and all messages were answered
  1  the run was completed, but some connections did not open, or some messages
     were not answered; or the run was ended because a connection was lost, or
     because no answer arrived within --timeout
  2  bad options
  3  no connection opened
  4  the server closed a connection, or violated the protocol
  5  an answer differed from the expected answer)";

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
constexpr double kForever = 1e9;  // seconds
constexpr std::uint64_t kMaxKept = std::uint64_t{1} << 27U;

void say(std::string_view text) {
  std::cerr << "wsload: " + std::string(text) + "\n";
}

void write(const std::string& text) {
  std::cout << text << std::flush;
  if (!std::cout)
    throw Failure(ExitCode::kLost, "cannot write to standard output");
}

template <typename Value>
void add_choice(CLI::App& app, const char* name, Value& field, std::vector<Value> values,
                const char* type, const char* help) {
  const auto set = [&field, values, type](const std::string& text) {
    const auto found =
        std::ranges::find(values, text, [](Value value) { return std::string(name_of(value)); });
    if (found == values.end())
      throw CLI::ValidationError("'" + text + "' is not " + type);
    field = *found;
  };
  app.add_option_function<std::string>(name, set, help)->type_name(type);
}

void add_time(CLI::App& app, const char* name, double& seconds, std::uint64_t least_ms,
              const char* help) {
  add_quantity(app, name, kTime, {least_ms, kDay}, static_cast<std::uint64_t>(seconds * 1000), help,
               [&seconds](std::uint64_t ms) { seconds = static_cast<double>(ms) / 1000; });
}

template <typename Number>
CLI::Option* add_number(CLI::App& app, const char* name, Number& field, std::uint64_t least,
                        std::uint64_t most, const char* help) {
  return add_quantity(app, name, kNumber, {least, most}, static_cast<std::uint64_t>(field), help,
                      [&field](std::uint64_t number) { field = static_cast<Number>(number); });
}

[[noreturn]] void refuse(const std::string& text) {
  throw Failure(ExitCode::kUsage, text);
}

void parse_url(const std::string& text, Plan& plan) {
  constexpr std::string_view kTcp = "tcp://";
  plan.is_tcp = text.starts_with(kTcp);
  const std::string as_ws = plan.is_tcp ? "ws://" + text.substr(kTcp.size()) : text;
  const auto uri = parse_uri(as_ws);
  if (!uri)
    refuse("'" + escape_for_terminal(text) + "' " + escape_for_terminal(explain_bad_uri(as_ws)));
  plan.handshake.uri = *uri;
}

/// Throws Failure for options that have no effect in this mode, or contradict each other.
void refuse_meaningless(const Plan& plan, const CLI::App& app) {
  const auto only_for = [&](const char* name, std::initializer_list<Mode> modes) {
    if (app.count(name) != 0 && std::ranges::find(modes, plan.mode) == modes.end())
      refuse(std::string(name) + " has no effect in the mode " + std::string(name_of(plan.mode)));
  };
  only_for("--speakers", {Mode::kChat});
  only_for("--hears-itself", {Mode::kChat});
  only_for("--rate", {Mode::kEcho, Mode::kChat, Mode::kIdle});
  only_for("--outstanding", {Mode::kEcho, Mode::kChat});
  only_for("--hold", {Mode::kEcho, Mode::kIdle});
  only_for("--prefix", {Mode::kEcho, Mode::kChat});
  only_for("--text", {Mode::kEcho, Mode::kChat});
  if (plan.is_tcp) {
    for (const char* const name :
         {"--deflate", "--header", "--origin", "--subprotocol", "--user"}) {
      if (app.count(name) != 0)
        refuse(std::string(name) + " has no effect with tcp://");
    }
  }
  if (plan.is_tcp && plan.mode != Mode::kEcho)
    refuse("tcp:// can only be used in the mode echo");
  if (plan.threads > plan.connections)
    refuse("there are more --threads than --connections");
}

/// Looks up the addresses. With --sources, keeps only the addresses that the sources can reach.
void find_addresses(Plan& plan) {
  std::string why;
  const Uri& uri = plan.handshake.uri;
  plan.addresses = resolve(uri.host, uri.port, why);
  if (plan.addresses.empty())
    throw Failure(ExitCode::kRefused, "no address for " + uri.host + ": " + why);
  constexpr std::size_t kMost = 255;  // Link::address and Link::tried have one byte
  plan.addresses.resize(std::min(plan.addresses.size(), kMost));
  if (plan.sources == 1)
    return;
  std::erase_if(plan.addresses, [](const SocketAddress& address) {
    return !address.to_string().starts_with("127.");
  });
  if (plan.addresses.empty())
    refuse("--sources requires a server on an address of 127.0.0.0/8");
}

/// Validates combinations of options, and sets the defaults that depend on other options.
void validate(Plan& plan, const CLI::App& app) {
  const auto has = [&app](const char* name) { return app.count(name) != 0; };
  if (has("--rate") && !(plan.rate > 0))  // NaN
    refuse("--rate must be a number from 0.001 to 1e9");
  const std::string path =
      plan.handshake.uri.resource.substr(0, plan.handshake.uri.resource.find('?'));
  if (!has("--prefix") && !plan.is_tcp)
    plan.prefix = path == "/echo" ? "Echo: " : path == "/chat" ? "Broadcast: " : "";
  if (!plan.prefix.empty() && plan.filling == Filling::kBinary && plan.mode != Mode::kIdle &&
      plan.mode != Mode::kConnect) {
    refuse("answers with a prefix are text messages: use --text ascii or --text chinese");
  }
  if (plan.mode == Mode::kChat) {
    if (plan.speakers > plan.connections)
      refuse("there are more --speakers than --connections");
    if (plan.connections < 2 && !plan.hears_itself)
      refuse("a chat needs at least two connections, or --hears-itself");
    if (plan.size < Messages::kTagSize)
      refuse("--size must be at least " + std::to_string(Messages::kTagSize) + " in the mode chat");
    if (plan.is_open_loop() && !has("--outstanding"))
      plan.outstanding = 64;
  } else if (plan.is_open_loop() && !has("--outstanding")) {
    plan.outstanding = UINT64_MAX;
  }
  if (plan.mode == Mode::kIdle) {
    plan.prefix.clear();
    if (plan.size > kMaxControlPayload)
      refuse("--size must be at most 125 in the mode idle, since a ping carries at most 125 bytes");
    if (!has("--rate")) {
      plan.is_rate_per_connection = true;
      plan.rate = static_cast<double>(plan.connections);
    }
    plan.outstanding = UINT64_MAX;
  }
  // wsload stores a time for each outstanding message, and in a chat a position for each listener and speaker.
  const std::uint64_t kept = plan.mode == Mode::kChat        ? plan.speakers
                             : plan.outstanding < UINT64_MAX ? plan.outstanding
                                                             : 1;
  if (kept > kMaxKept / plan.connections)
    refuse("these options need too much memory: reduce --connections, --speakers or --outstanding");
  if (plan.is_held && plan.messages == 0) {
    plan.is_message_per_connection = true;
    plan.messages = plan.connections;
  }
  if (plan.messages != 0) {
    if (has("--duration") || has("--warm-up"))
      refuse((plan.is_held ? "--hold" : "--messages") +
             std::string(" cannot be combined with --duration or --warm-up"));
    plan.warm_up = 0;
  }
}

/// Returns false after --help and --version. Throws Failure for bad options.
bool parse_options(int argc, char** argv, Plan& plan) {
  CLI::App app(std::string("A load generator for WebSocket servers (RFC 6455).\n") + kUnitsHelp,
               "wsload");
  app.set_version_flag("--version", "wsload " FBF_VERSION);
  app.footer(kFooter);
  std::string url;
  add_choice<Mode>(app, "mode", plan.mode, {Mode::kEcho, Mode::kChat, Mode::kConnect, Mode::kIdle},
                   "echo, chat, connect or idle", "kind of load; see the modes below");
  app.get_option("mode")->required();
  app.add_option("url", url, "[ws://]HOST[:PORT][/PATH][?QUERY]")->type_name("")->required();
  add_number(app, "-c,--connections", plan.connections, 1, 10'000'000, "number of connections");
  add_number(app, "-t,--threads", plan.threads, 1, 256,
             "number of threads, which share the connections");
  add_number(app, "-o,--outstanding", plan.outstanding, 1, 100'000,
             "maximum number of unanswered messages per connection (chat: per speaker)");
  add_quantity(app, "-s,--size", kSize, {0, 16 * kMiB}, plan.size, "payload size of a message",
               [&plan](std::uint64_t bytes) { plan.size = bytes; });
  add_choice<Filling>(app, "--text", plan.filling, {Filling::kAscii, Filling::kChinese},
                      "ascii or chinese", "send text messages instead of binary messages");
  app.add_option("-r,--rate", plan.rate, "messages to send per second, all connections together")
      ->type_name("N")
      ->check(CLI::Range(0.001, 1e9).description(""));
  add_time(app, "-d,--duration", plan.seconds, 10, "time to measure");
  add_time(app, "--warm-up", plan.warm_up, 0, "time to run before the measurement");
  add_number(app, "-n,--messages", plan.messages, 1, UINT64_MAX / 2,
             "number of messages to send, instead of --duration")
      ->default_str("");
  client::add_field_options(app, plan.handshake, {"--origin", "--subprotocol"});
  app.add_flag("--deflate", plan.handshake.deflate.is_enabled,
               "use permessage-deflate: send all messages compressed, and decompress the answers");
  app.add_flag("--hold", plan.is_held,
               "echo, idle: stay connected; send a round of messages for each line of input");
  add_time(app, "--timeout", plan.timeout, 10,
           "time to wait for a connection to open, and for outstanding answers");
  add_number(app, "--speakers", plan.speakers, 1, 1'000'000,
             "chat: number of connections that send");
  app.add_flag("--hears-itself", plan.hears_itself,
               "chat: the server also sends a speaker its own messages");
  app.add_option("--prefix", plan.prefix,
                 "text that the server puts before the message in each answer")
      ->type_name("TEXT");
  add_number(
      app, "--sources", plan.sources, 1, 1'000'000,
      "number of addresses to connect from (127.0.0.1, 127.0.0.2, ...); each has about 28,000 "
      "ports");
  add_number(app, "--server-pid", plan.server_pid, 1, INT32_MAX,
             "report the CPU time and memory usage of this process")
      ->default_str("");
  app.add_flag("--json", plan.is_json,
               "print the report as one line of JSON, and show no progress");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    app.exit(request);
    return false;
  } catch (const CLI::ParseError& error) {
    refuse(escape_for_terminal(error.what()));
  }
  parse_url(url, plan);
  refuse_meaningless(plan, app);
  validate(plan, app);
  find_addresses(plan);
  return true;
}

/// Raises the soft limit of descriptors to the hard limit. Throws Failure if the connections need more.
void raise_descriptor_limit(const Plan& plan) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t others = 16 + 2 * std::size_t{plan.threads};
  if (limit.rlim_max != RLIM_INFINITY && plan.connections + others > limit.rlim_max) {
    refuse(grouped(plan.connections) + " connections need more descriptors than the " +
           grouped(limit.rlim_max) +
           " that are allowed (ulimit -Hn): run several wsload processes");
  }
}

class Run {
 public:
  explicit Run(const Plan& plan)
      : plan_(plan),
        messages_(plan),
        stage_(plan.threads),
        board_(plan, messages_),
        progress_(plan.is_json) {
    for (unsigned number = 0; number < plan.threads; ++number)
      workers_.push_back(make_worker(number));
  }

  /// Opens the connections, measures, closes. Calls `report` with the plan, adapted to the number of open connections,
  /// and the results: once, or with --hold after each round. Returns kLost if connections did not open or messages were
  /// not answered.
  template <typename Report>
  ExitCode run(Report report) {
    Results results;
    if (plan_.server_pid != 0)
      results.memory_before = read_memory(plan_.server_pid);
    std::vector<std::jthread> threads;  // joined when an exception leaves this function
    try {
      start(threads);
      open(results);
      if (plan_.is_held) {
        while (next_line()) {
          Results of_round = results;
          measure(of_round);
          report(plan_, of_round);
          if (of_round.unanswered != 0)
            throw Failure(ExitCode::kLost,
                          counted(of_round.unanswered, "unanswered message") + " after --timeout");
        }
      } else {
        measure(results);
      }
      stage_.let_close();
    } catch (const Failure& failure) {
      stage_.fail(failure);
      throw;
    } catch (
        const std::exception& error) {  // the threads must end before the destructor joins them
      stage_.fail(Failure(ExitCode::kLost, error.what()));
      throw;
    }
    threads.clear();
    stage_.throw_failure();
    if (!plan_.is_held)
      report(plan_, results);
    const bool is_complete = results.not_opened.total() == 0 && results.unanswered == 0;
    return is_complete ? ExitCode::kNormal : ExitCode::kLost;
  }

 private:
  struct Moment {
    Nanoseconds at = monotonic_now();
    std::uint64_t answers = 0;
    std::uint64_t heard = 0;
    CpuTime server;
  };

  std::unique_ptr<Worker> make_worker(unsigned number) {
    if (plan_.mode == Mode::kConnect)
      return std::make_unique<ConnectWorker>(plan_, messages_, stage_, number);
    if (plan_.mode != Mode::kChat)
      return std::make_unique<EchoWorker>(plan_, messages_, stage_, number);
    auto worker = std::make_unique<ChatWorker>(plan_, messages_, stage_, board_, number);
    return worker;
  }

  void start(std::vector<std::jthread>& threads) {
    for (const auto& worker : workers_) {
      try {
        threads.emplace_back([&worker] { worker->run(); });
      } catch (const std::system_error& error) {
        throw Failure(ExitCode::kLost, "cannot start thread " + std::to_string(threads.size() + 1) +
                                           " of " + std::to_string(plan_.threads) + ": " +
                                           error.code().message());
      }
    }
  }

  void add_reasons(Results& results) {
    results.not_opened = {};
    for (const auto& worker : workers_)
      results.not_opened.add(worker->not_opened());
  }

  /// Throws Failure if too few connections have opened. `attempts`: how many were to open.
  void require_open(const Results& results, std::uint64_t opened, std::uint64_t attempts) {
    const std::string reasons = to_line(results.not_opened);
    if (opened == 0 && attempts == 1)
      throw Failure(ExitCode::kRefused, "the connection did not open: " + reasons);
    if (opened == 0)
      throw Failure(ExitCode::kRefused,
                    "none of " + counted(attempts, "connection") + " opened: " + reasons);
    if (plan_.mode == Mode::kChat && opened < 2 && !plan_.hears_itself)
      throw Failure(ExitCode::kLost, "a chat needs at least two connections, but only one of " +
                                         grouped(attempts) + " opened: " + reasons);
  }

  Moment look() {
    Moment moment;
    for (const auto& worker : workers_)
      moment.answers += worker->answers();
    if (plan_.mode == Mode::kChat) {
      for (const ChatWorker* worker : board_.workers)
        moment.heard += worker->heard();
    }
    if (plan_.server_pid != 0)
      moment.server = read_cpu(plan_.server_pid);
    return moment;
  }

  void open(Results& results) {
    stage_.await_ready(plan_.threads, [this] {
      progress_.show("opening: " + grouped(stage_.open()) + " of " + grouped(plan_.connections) +
                     " connections");
    });
    if (plan_.mode != Mode::kConnect) {
      add_reasons(results);
      const std::size_t opened = stage_.layout().total();
      require_open(results, opened, plan_.connections);
      if (opened != plan_.connections)
        plan_.adapt(opened);
      if (plan_.server_pid != 0)
        results.memory_after = read_memory(plan_.server_pid);
    }
    if (plan_.is_held)
      write(plan_.is_json ? "{\"open\": " + std::to_string(plan_.connections) + ", " +
                                to_json(results.not_opened) + "}\n"
                          : counted(plan_.connections, "open connection") + "\n" +
                                to_rows(results.not_opened));
  }

  /// Waits for a line. Returns false at the end of standard input. Throws Failure if a connection is lost meanwhile.
  bool next_line() {
    for (char character = 0; character != '\n';) {
      pollfd input{STDIN_FILENO, POLLIN, 0};
      const int ready = ::poll(&input, 1, 100);
      stage_.throw_failure();
      if (ready > 0 && ::read(STDIN_FILENO, &character, 1) != 1)
        return false;
    }
    return true;
  }

  void measure(Results& results) {
    const auto nanoseconds = [](double seconds) { return static_cast<Nanoseconds>(seconds * 1e9); };
    Stage::Times times;
    times.start = monotonic_now();
    times.begin = times.start + nanoseconds(plan_.warm_up);
    times.end = times.begin + nanoseconds(plan_.seconds);
    if (plan_.messages != 0) {
      // Open loop: all messages are due before this time. Closed loop: the duration depends on the server.
      const double most = static_cast<double>(plan_.messages) +
                          static_cast<double>(plan_.speakers + 2 * std::size_t{plan_.threads});
      times.end = plan_.is_open_loop()
                      ? times.begin + nanoseconds(std::min(most / plan_.rate, kForever))
                      : INT64_MAX;
    }
    const Moment start = look();
    stage_.start(times);
    for (const auto& worker : workers_)
      worker->wake();
    wait(times.begin, "warm-up");
    const Moment before = plan_.warm_up > 0 ? look() : start;
    wait(plan_.messages != 0 ? INT64_MAX : times.end, "measuring");
    const Moment after = look();
    wait(INT64_MAX, "waiting for outstanding answers");
    if (plan_.mode == Mode::kConnect) {
      add_reasons(results);
      const std::uint64_t opened = stage_.open();
      require_open(results, opened, opened + results.not_opened.total());
      if (plan_.server_pid != 0)
        results.memory_after = read_memory(plan_.server_pid);
    }

    results.seconds = static_cast<double>(after.at - before.at) / 1e9;
    results.messages = after.answers - before.answers;
    results.heard = after.heard - before.heard;
    if (plan_.server_pid != 0) {
      results.server = CpuTime{after.server.user - before.server.user,
                               after.server.system - before.server.system};
    }
    for (const auto& worker : workers_) {
      const double cpu = static_cast<double>(worker->cpu()) / 1e9;
      results.latencies.add(worker->latencies());
      results.lateness.add(worker->lateness());
      results.unanswered += worker->unanswered();
      results.cpu += cpu;
      results.busiest_cpu = std::max(results.busiest_cpu, cpu);
    }
  }

  void wait(Nanoseconds until, std::string_view what) {
    std::uint64_t seen = look().answers;
    Nanoseconds seen_at = monotonic_now();
    stage_.wait(until, plan_.threads, [&] {
      const Nanoseconds now = monotonic_now();
      if (now - seen_at < kSecond / 5)
        return;
      std::uint64_t answers = 0;
      for (const auto& worker : workers_)
        answers += worker->answers();
      const double rate =
          static_cast<double>(answers - seen) * 1e9 / static_cast<double>(now - seen_at);
      progress_.show(std::string(what) + ": " + grouped(answers) +
                     (plan_.mode == Mode::kConnect ? " connections" : " answers") + " so far, " +
                     grouped(static_cast<std::uint64_t>(rate)) + " a second");
      seen = answers;
      seen_at = now;
    });
  }

  Plan plan_;  ///< a copy, which is adapted to the number of connections that open
  Messages messages_;
  Stage stage_;
  ChatBoard board_;
  Progress progress_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

ExitCode run(const Plan& plan) {
  raise_descriptor_limit(plan);
  return Run(plan).run([](const Plan& adapted, const Results& results) {
    write(adapted.is_json ? to_json(adapted, results) : to_table(adapted, results));
  });
}

}  // namespace
}  // namespace ws::load

int main(int argc, char** argv) {
  try {
    ws::hold_standard_descriptors();
    ws::load::Plan plan;
    if (!ws::load::parse_options(argc, argv, plan))
      return static_cast<int>(ws::load::ExitCode::kNormal);
    return static_cast<int>(ws::load::run(plan));
  } catch (const ws::load::Failure& failure) {
    ws::load::say(failure.what());
    return static_cast<int>(failure.code);
  } catch (const std::exception& error) {
    ws::load::say(error.what());
    return static_cast<int>(ws::load::ExitCode::kLost);
  }
}
