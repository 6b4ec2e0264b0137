#include "tools/wsc/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <system_error>

#include "tools/wsc/text.h"

namespace ws::client {
namespace {

/// Connects `fd` to `address`. Returns 0 or an errno value.
int try_address(const Fd& fd, const addrinfo& address, Clock::time_point deadline) {
  if (!fd.is_open())
    return errno;
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0)
    return 0;
  if (errno != EINPROGRESS)
    return errno;
  pollfd entry{fd.get(), POLLOUT, 0};
  if (!poll_until({&entry, 1}, deadline))
    return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof(error);
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

}  // namespace

Clock::time_point in_seconds(double seconds) {
  const std::chrono::duration<double> wait(seconds);
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(wait);
}

bool poll_until(std::span<pollfd> entries, Clock::time_point deadline) {
  for (;;) {
    // Rounded up, so that poll() does not return early; at most a day, so that it fits in an int.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0)
      return false;
    const auto timeout = static_cast<int>(std::min<std::int64_t>(left, 24L * 3600 * 1000));
    const int ready = ::poll(entries.data(), entries.size(), timeout);
    if (ready > 0)
      return true;
    if (ready < 0 && errno != EINTR)
      throw std::system_error(errno, std::system_category(), "poll");
  }
}

ClientSocket::ClientSocket(const Uri& uri, double timeout, std::string& address) {
  const std::string port = std::to_string(uri.port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  if (const int error = ::getaddrinfo(uri.host.c_str(), port.c_str(), &hints, &first); error != 0) {
    throw Failure(ExitCode::kLost, "no address for " + uri.host + ": " + ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(first, ::freeaddrinfo);

  // [6455-4.1-CONNECT] one address after another, until one accepts
  std::string failures;
  for (const addrinfo* next = first; next != nullptr; next = next->ai_next) {
    Fd fd(::socket(next->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int error = try_address(fd, *next, in_seconds(timeout));
    std::array<char, NI_MAXHOST> numeric{};
    ::getnameinfo(next->ai_addr, next->ai_addrlen, numeric.data(), numeric.size(), nullptr, 0,
                  NI_NUMERICHOST);
    address = numeric.data();
    if (error == 0) {
      const int on = 1;
      // TCP_NODELAY: a message must not wait for an ACK. SO_KEEPALIVE: detects, after hours, a server that vanished
      // without a FIN.
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
      fd_ = std::move(fd);
      return;
    }
    failures += (failures.empty() ? "" : "; ") + address + because(error);
  }
  throw Failure(ExitCode::kLost,
                "cannot connect to " + uri.host + " port " + port + ": " + failures);
}

pollfd ClientSocket::entry(const Output& out) const {
  const int output = out.empty() ? 0 : POLLOUT;
  return {fd_.get(), static_cast<short>(POLLIN | output), 0};
}

std::optional<std::span<std::byte>> ClientSocket::receive(std::span<std::byte> buffer) {
  const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (size > 0)
    return buffer.first(static_cast<std::size_t>(size));
  if (size < 0 && (errno == EAGAIN || errno == EINTR))
    return buffer.first(0);
  if (size < 0)
    end_ = because(errno);
  return std::nullopt;
}

void ClientSocket::send(Output& out, FrameLog* log) {
  out.for_each_piece([&](Output::Bytes piece) {  // one at most: a client lends nothing
    while (sent_ < piece.size()) {
      const auto rest = piece.subspan(sent_);
      const ssize_t size = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (size >= 0) {
        sent_ += static_cast<std::size_t>(size);
        if (log != nullptr)
          log->sent(rest.first(static_cast<std::size_t>(size)));
      } else if (errno == EAGAIN) {
        return;
      } else if (errno != EINTR) {
        // Discard the output: the server no longer reads. Data received before, perhaps a Close, can still be
        // read, and `receive` reports the error.
        sent_ = piece.size();
      }
    }
  });
  if (sent_ < out.size())
    return;
  out.clear();
  sent_ = 0;
}

void ClientSocket::finish_writing() {
  ::shutdown(fd_.get(), SHUT_WR);
}

}  // namespace ws::client
