#include "server/main/server.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include "server/log/log.h"
#include "server/main/worker.h"

namespace ws {
namespace {

/// Descriptors that sessions must not use: kDescriptorReserve for the log and for libraries, and kDescriptorsOfALoop
/// for each loop.
constexpr std::size_t kDescriptorReserve = 60;
constexpr std::size_t kDescriptorsOfALoop = 4;

std::size_t sessions_that_descriptors_allow(std::size_t loops) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto descriptors = static_cast<std::size_t>(limit.rlim_cur);
  const std::size_t reserve = kDescriptorReserve + loops * kDescriptorsOfALoop;
  return descriptors > 2 * reserve ? descriptors - reserve : descriptors / 2;
}

/// The processors that the caller may use.
std::vector<int> processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  std::vector<int> all;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(static_cast<std::size_t>(i), &set))
      all.push_back(i);
  }
  return all;
}

ServerOptions within_range(ServerOptions options) {
  options.threads = std::clamp(options.threads, 1U, kMaxLoops);
  return options;
}

}  // namespace

void ServerState::ask_all(unsigned what) {
  for (const auto& worker : workers)
    worker->ask(what);
}

void ServerState::ask_others(unsigned what) {
  for (std::size_t i = 1; i < workers.size(); ++i)
    workers[i]->ask(what);
}

Server::Server(ServerOptions options)
    : options_(within_range(std::move(options))),
      shared_(std::make_unique<ServerState>(
          options_.limits, options_.limits.connections != 0
                               ? options_.limits.connections
                               : sessions_that_descriptors_allow(options_.threads))) {
  for (unsigned i = 0; i < options_.threads; ++i)
    shared_->workers.push_back(std::make_unique<Worker>(*shared_, options_));
  shared_->loops_with_websockets = shared_->workers.size();
}

Server::~Server() = default;

std::string ServerState::load_tls(const TlsOptions& options) {
  tls_options_ = options;
  TlsContext::Loaded loaded =
      TlsContext::load(options.certificate_file, options.key_file, tickets_);
  for (const std::string& warning : loaded.warnings)
    log(LogLevel::kWarn, {"TLS: ", warning});
  if (loaded.context != nullptr) {
    const std::lock_guard lock(tls_mutex_);
    tls_ = std::move(loaded.context);
  }
  return loaded.error;
}

void ServerState::reload_tls() {
  if (!tls_options_.has_value()) {
    log(LogLevel::kInfo, {"SIGHUP ignored: there is no TLS certificate to reload"});
  } else if (const std::string error = load_tls(TlsOptions(*tls_options_)); error.empty()) {
    log(LogLevel::kInfo, {"SIGHUP: reloaded the TLS certificate and key"});
  } else {
    log(LogLevel::kError,
        {"SIGHUP: cannot reload the TLS certificate and key, the old ones stay in use: ", error});
  }
}

std::string Server::load_tls() {
  return shared_->load_tls(options_.tls.value());
}

void Server::add(const std::string& path, Endpoint& endpoint) {
  for (const auto& worker : shared_->workers)
    worker->add(path, endpoint);
}

void Server::add(const std::string& path, const std::function<std::unique_ptr<Endpoint>()>& make) {
  for (const auto& worker : shared_->workers)
    worker->add(path, make());
}

void Server::add_echo_and_chat() {
  for (const auto& worker : shared_->workers)
    worker->add_echo_and_chat();
}

std::error_code Server::listen(SocketAddress* failed) {
  if (options_.tls.has_value()) {
    if (shared_->tls() == nullptr)
      return std::make_error_code(std::errc::operation_not_permitted);  // load_tls was not called
    tls_addresses_ = options_.addresses;
    for (SocketAddress& address : tls_addresses_)
      address.set_port(options_.tls->port);
  }
  if (!options_.has_plain)
    options_.addresses.clear();
  else if (const auto error = listen_on(options_.addresses, false, failed))
    return error;
  return options_.tls.has_value() ? listen_on(tls_addresses_, true, failed) : std::error_code();
}

/// Replaces `addresses` with those that the server listens on.
std::error_code Server::listen_on(std::vector<SocketAddress>& addresses, bool is_tls,
                                  SocketAddress* failed) {
  std::vector<SocketAddress> bound;
  std::error_code error = std::make_error_code(std::errc::address_not_available);
  for (SocketAddress address : addresses) {
    if (!bound.empty())
      address.set_port(bound.front().port());
    const SocketAddress wanted = address;
    error = listen_on_all_loops(address, is_tls);
    if (!error) {
      bound.push_back(address);
      continue;
    }
    if (failed != nullptr)
      *failed = wanted;
    // For example, localhost has the address ::1, but the system has no IPv6.
    if (error != std::errc::address_not_available &&
        error != std::errc::address_family_not_supported)
      return error;
    if (addresses.size() > 1)
      log(LogLevel::kWarn, {"Not listening on ", wanted.to_string(), ": ", error.message()});
  }
  if (bound.empty())
    return error;
  addresses = std::move(bound);
  return {};
}

std::error_code Server::listen_on_all_loops(SocketAddress& address, bool is_tls) {
  PortSharing sharing = options_.threads == 1 ? PortSharing::kNone : PortSharing::kFirst;
  for (const auto& worker : shared_->workers) {
    if (const auto error = worker->listen(address, sharing, is_tls))
      return error;
    sharing = PortSharing::kFurther;
  }
  return {};
}

std::error_code Server::handle_signals() {
  return shared_->workers.front()->handle_signals();
}

int Server::run() {
  const std::vector<int> all = options_.has_affinity ? processors() : std::vector<int>{};
  // For each loop, the exception that ended it (epoll_wait failed), or null.
  std::vector<std::exception_ptr> failures(shared_->workers.size());
  const auto run_loop = [&](std::size_t i) {
    Worker& worker = *shared_->workers[i];
    if (!all.empty())
      worker.keep_to(all[i % all.size()]);
    try {
      worker.run();
    } catch (...) {
      failures[i] = std::current_exception();
      shared_->ask_all(Worker::kEnd);
    }
  };
  std::vector<std::thread> threads;
  try {
    for (std::size_t i = 1; i < shared_->workers.size(); ++i)
      threads.emplace_back(run_loop, i);
  } catch (...) {  // a thread cannot be started: end the threads that run
    shared_->ask_all(Worker::kEnd);
    for (std::thread& thread : threads)
      thread.join();
    throw;
  }
  run_loop(0);
  for (std::thread& thread : threads)
    thread.join();
  for (const std::exception_ptr& failure : failures) {
    if (failure != nullptr)
      std::rethrow_exception(failure);
  }
  return shared_->exit_status;
}

void Server::stop() {
  shared_->workers.front()->ask(Worker::kStop);  // the first worker asks the others to stop
}

}  // namespace ws
