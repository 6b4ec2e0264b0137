// raw_tcp [PORT]: returns bytes. It knows no protocol, and is what no server that has one can be faster than.
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
