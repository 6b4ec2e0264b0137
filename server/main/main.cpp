// The program wsd: parses the options, sets up signals and limits, and runs the server.
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <string>

#include "protocol/deflate/deflate.h"
#include "server/log/log.h"
#include "server/main/command_line.h"
#include "server/main/server.h"
#include "server/net/fd.h"
#include "server/session/session_context.h"

namespace {

int fail(const std::string& why) {
  std::cerr << "wsd: " << why << '\n';
  return 1;
}

/// Raises the soft limit of descriptors to the hard limit, because each connection needs a descriptor. Returns the soft
/// limit, which is unchanged if this fails.
rlim_t raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    return before;
  return limit.rlim_cur;
}

/// Blocks the signals that the server reads from a descriptor, and ignores SIGPIPE. Call it before other threads start,
/// because threads inherit the mask.
void block_signals() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP})
    ::sigaddset(&signals, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // If SIGPIPE is ignored, a write to a closed pipe or connection fails with EPIPE and does not end the process.
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, nullptr);
}

/// Sets constant mmap and trim thresholds in glibc, so that freed large blocks return to the system. By default glibc
/// raises both thresholds when large blocks are freed, and then keeps memory after a peak.
void return_memory_when_freed() {
  // NOLINTBEGIN(concurrency-mt-unsafe): there is no other thread yet
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 64 * 1024);
  // NOLINTEND(concurrency-mt-unsafe)
}

void log_compression_memory(const ws::ServerOptions& options) {
  const std::size_t most = ws::deflate_memory(options.deflate);
  const std::size_t reserve = ws::Budgets(options.limits).reserve.room();
  ws::log(ws::LogLevel::kInfo,
          {"permessage-deflate: at most ", std::to_string(most), " bytes of memory per session",
           options.deflate.keeps_context
               ? "; context takeover for at least " +
                     std::to_string(reserve / std::max<std::size_t>(most, 1)) +
                     " sessions (half of --max-buffered)"
               : " while the session receives a compressed message"});
}

/// Disables core files, which would contain the private key of TLS. Not enforced if core_pattern is a pipe: core(5).
void forbid_core_files() {
  const rlimit none{};
  ::setrlimit(RLIMIT_CORE, &none);
}

int serve(const ws::ServerOptions& options, ws::LogLevel log_level, ws::LogFormat log_format) {
  return_memory_when_freed();
  block_signals();
  const rlim_t descriptors = raise_descriptor_limit();
  if (options.tls.has_value())
    forbid_core_files();
  ws::start_log(log_level, log_format);
  ws::Server server(options);
  server.add_echo_and_chat();
  if (options.tls.has_value()) {
    if (const std::string why = server.load_tls(); !why.empty()) {
      ws::stop_log();
      return fail(why);
    }
  }
  ws::SocketAddress failed;
  if (const auto error = server.listen(&failed)) {
    ws::stop_log();
    return fail("cannot listen on " + failed.to_string() + ": " + error.message() +
                (error == std::errc::address_in_use && failed.port() != 0
                     ? " (with --port 0 or --tls-port 0 the kernel chooses a free port)"
                     : ""));
  }
  if (const auto error = server.handle_signals()) {
    ws::stop_log();
    return fail("cannot handle signals: " + error.message());
  }
  ws::log(ws::LogLevel::kInfo, {"Descriptors allowed: ", std::to_string(descriptors)});
  if (options.deflate.is_enabled)
    log_compression_memory(options);
  for (const ws::SocketAddress& address : server.addresses())
    std::cout << "listening on " << address.to_string() << std::endl;
  for (const ws::SocketAddress& address : server.tls_addresses())
    std::cout << "listening on " << address.to_string() << " (TLS)" << std::endl;
  const int status = server.run();
  ws::stop_log();
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    ws::hold_standard_descriptors();
    const ws::ParsedCommandLine parsed = ws::parse_command_line(argc, argv);
    if (parsed.options.has_value())
      return serve(*parsed.options, parsed.log_level, parsed.log_format);
    (parsed.exit_status == 0 ? std::cout : std::cerr) << parsed.output;
    return parsed.exit_status;
  } catch (const std::exception& exception) {
    ws::stop_log();
    return fail(exception.what());
  }
}
