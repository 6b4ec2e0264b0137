// The event loop of the raw servers: one thread, one epoll instance, and a queue of bytes that a socket did not accept.
// They only measure an upper bound for servers on this machine: any peer can make them use unlimited memory.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace raw {

/// The size of the receive buffer, and therefore of the largest write.
constexpr std::size_t kBufferSize = std::size_t{512} * 1024;

struct Peer {
  int fd = -1;
  std::string unsent;
  bool ends = false;  ///< close once `unsent` is empty
};

/// `Server` has a type Peer, derived from the one above; `bool take(Peer&, char*, size_t)`, which handles the bytes of
/// a read, and returns false to end the connection; `turn_end()`, for the end of an iteration; and `gone(Peer&)`.
template <typename Server>
class Loop {
 public:
  using ServerPeer = typename Server::Peer;
  explicit Loop(Server& server) : server_(server), buffer_(kBufferSize) {}

  /// Bytes that the socket does not accept are queued.
  static void send(int epoll, ServerPeer& peer, std::string_view bytes) {
    if (!peer.unsent.empty()) {
      peer.unsent += bytes;
      return;
    }
    const ssize_t sent = ::send(peer.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
      return;  // the next read reports the error
    bytes.remove_prefix(static_cast<std::size_t>(sent < 0 ? 0 : sent));
    if (!bytes.empty()) {
      peer.unsent = bytes;
      watch(epoll, EPOLL_CTL_MOD, peer, EPOLLOUT);  // and read no more until then
    }
  }

  /// Returns only if it cannot listen.
  int run(std::uint16_t port) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int on = 1;
    ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    socklen_t size = sizeof address;
    if (::bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(listener, SOMAXCONN) != 0) {
      std::perror("cannot listen");
      return 1;
    }
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    std::printf("listening on 127.0.0.1:%u\n", static_cast<unsigned>(ntohs(address.sin_port)));
    std::fflush(stdout);

    epoll_event first{};
    first.events = EPOLLIN;
    ::epoll_ctl(server_.epoll, EPOLL_CTL_ADD, listener, &first);
    std::array<epoll_event, 512> events;
    for (;;) {
      const int count = ::epoll_wait(server_.epoll, events.data(), 512, -1);
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        auto* peer = static_cast<ServerPeer*>(event.data.ptr);
        if (peer == nullptr) {
          accept(listener);
        } else if ((event.events & EPOLLOUT) != 0) {
          flush(*peer);
        } else {
          read(*peer);
        }
      }
      server_.turn_end();
    }
  }

 private:
  static void watch(int epoll, int operation, ServerPeer& peer, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &peer;
    ::epoll_ctl(epoll, operation, peer.fd, &event);
  }
  void accept(int listener) {
    for (int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK); fd >= 0;
         fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) {
      auto* peer = new ServerPeer;
      peer->fd = fd;
      watch(server_.epoll, EPOLL_CTL_ADD, *peer, EPOLLIN);
    }
  }
  void read(ServerPeer& peer) {
    const ssize_t size = ::recv(peer.fd, buffer_.data(), buffer_.size(), 0);
    if (size < 0 && errno == EAGAIN)
      return;
    if (size <= 0 || !server_.take(peer, buffer_.data(), static_cast<std::size_t>(size)))
      peer.ends = true;
    if (size <= 0 || (peer.ends && peer.unsent.empty()))
      end(peer);
  }
  void flush(ServerPeer& peer) {
    const std::string bytes = std::move(peer.unsent);
    peer.unsent.clear();
    watch(server_.epoll, EPOLL_CTL_MOD, peer, EPOLLIN);
    send(server_.epoll, peer, bytes);
    if (peer.ends && peer.unsent.empty())
      end(peer);
  }
  void end(ServerPeer& peer) {
    server_.gone(peer);
    ::close(peer.fd);
    delete &peer;
  }

  Server& server_;
  std::vector<char> buffer_;
};

/// The port, from the only argument; without one 0: the kernel chooses.
inline std::uint16_t port_of(int argc, char** argv) {
  return static_cast<std::uint16_t>(argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 0);
}

}  // namespace raw
