// raw_tcp [PORT]: echoes bytes without a protocol. No server with a protocol can be faster.
//
//      wsload echo tcp://127.0.0.1:PORT
#include "tests/bench/raw_loop.h"

namespace {

struct Server {
  using Peer = raw::Peer;
  int epoll = ::epoll_create1(0);

  bool take(Peer& peer, const char* bytes, std::size_t size) const {
    raw::Loop<Server>::send(epoll, peer, {bytes, size});
    return true;
  }
  void turn_end() const {}
  void gone(Peer& /*peer*/) const {}
};

}  // namespace

int main(int argc, char** argv) {
  Server server;
  return raw::Loop(server).run(raw::port_of(argc, argv));
}
