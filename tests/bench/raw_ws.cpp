// raw_ws [PORT]: the minimal work of a WebSocket server. It upgrades, parses a frame's length, unmasks, and replies to
// all frames of a read in one write. It validates nothing: no UTF-8, no opcode, no limit.
//
//      /chat       sends each message to all other clients, once per loop iteration
//      otherwise   echoes each frame
#include <algorithm>

#include "protocol/http/handshake.h"
#include "tests/bench/raw_frame.h"
#include "tests/bench/raw_loop.h"

namespace {

struct Peer : raw::Peer {
  bool is_upgraded = false;
  bool is_in_chat = false;
  std::string rest;        ///< a header, or in the chat a frame, that was cut by the end of a read
  std::uint64_t left = 0;  ///< bytes of the current payload that are still to come
  std::uint64_t key = 0;   ///< the masking key, twice, rotated for the next byte
};

struct Server {
  using Peer = ::Peer;
  struct Said {
    Peer* speaker;
    std::size_t begin;
    std::size_t end;
  };
  int epoll = ::epoll_create1(0);
  std::vector<Peer*> members;
  std::string block;  ///< the messages of this iteration, as frames
  std::vector<Said> said;

  void send(Peer& peer, std::string_view bytes) const {
    if (!bytes.empty())
      raw::Loop<Server>::send(epoll, peer, bytes);
  }

  bool take(Peer& peer, char* bytes, std::size_t size) {
    if (!peer.is_upgraded)
      return upgrade(peer, {bytes, size});
    if (peer.rest.empty() && !peer.is_in_chat)
      return answer(peer, bytes, size);
    std::string whole = std::move(peer.rest) + std::string(bytes, size);
    peer.rest.clear();
    return peer.is_in_chat ? speak(peer, whole) : answer(peer, whole.data(), whole.size());
  }

  bool upgrade(Peer& peer, std::string_view bytes) {
    peer.rest += bytes;
    if (!peer.rest.ends_with("\r\n\r\n"))
      return true;
    constexpr std::string_view kKey = "Sec-WebSocket-Key: ";
    const std::string_view head = peer.rest;
    const ws::AcceptKey accept = ws::accept_key(head.substr(head.find(kKey) + kKey.size(), 24));
    send(peer,
         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: " +
             std::string(accept.data(), accept.size()) + "\r\n\r\n");
    peer.is_upgraded = true;
    peer.is_in_chat = head.starts_with("GET /chat ");
    if (peer.is_in_chat)
      members.push_back(&peer);
    peer.rest.clear();
    return true;
  }

  /// In place, since an answer is shorter than its request: the first payload stays where it is, and its header moves
  /// up to it; later frames move forward to close the gaps.
  bool answer(Peer& peer, char* bytes, std::size_t size) const {
    const std::size_t begin = peer.left == 0 && size >= 4 ? 4 : 0;
    std::size_t in = 0;
    std::size_t out = begin;
    bool goes_on = true;
    while (in < size && goes_on) {
      if (peer.left == 0) {
        const raw::Header header = raw::read_header(bytes + in, size - in);
        if (header.size == 0) {
          peer.rest.assign(bytes + in, size - in);
          break;
        }
        goes_on = (bytes[in] & 0x0F) != 0x8 || header.payload + header.size > size - in;
        out += raw::write_header(bytes + out, bytes + in, header);
        in += header.size;
        peer.left = header.payload;
        peer.key = header.key;
      }
      const std::uint64_t part = std::min<std::uint64_t>(peer.left, size - in);
      raw::unmask(bytes + out, bytes + in, part, peer.key);
      const std::uint64_t turned = part % 4 * 8;
      if (turned != 0)
        peer.key = peer.key >> turned | peer.key << (64 - turned);
      peer.left -= part;
      in += part;
      out += part;
    }
    send(peer, {bytes + begin, out - begin});
    return goes_on;
  }

  /// Handles the whole frames of a member.
  bool speak(Peer& peer, std::string& bytes) {
    std::size_t in = 0;
    for (raw::Header header = raw::read_header(bytes.data(), bytes.size());
         header.size != 0 && header.size + header.payload <= bytes.size() - in;
         header = raw::read_header(bytes.data() + in, bytes.size() - in)) {
      const bool is_control = (bytes[in] & 0x08) != 0;
      if (is_control) {
        std::string frame = bytes.substr(in, header.size + header.payload);
        in += frame.size();
        if (!answer(peer, frame.data(), frame.size()))
          return false;
        continue;
      }
      const std::size_t begin = block.size();
      block.resize(begin + header.size - 4 + header.payload);
      const std::size_t head = raw::write_header(block.data() + begin, bytes.data() + in, header);
      raw::unmask(block.data() + begin + head, bytes.data() + in + header.size, header.payload,
                  header.key);
      said.push_back({&peer, begin, block.size()});
      in += header.size + header.payload;
    }
    peer.rest = bytes.substr(in);
    return true;
  }

  void turn_end() {
    if (said.empty())
      return;
    std::vector<Peer*> speakers;
    for (const Said& one : said)
      speakers.push_back(one.speaker);
    std::ranges::sort(speakers);
    for (Peer* member : members) {
      if (!std::ranges::binary_search(speakers, member)) {
        send(*member, block);
        continue;
      }
      std::string others;
      for (const Said& one : said) {
        if (one.speaker != member)
          others.append(block, one.begin, one.end - one.begin);
      }
      send(*member, others);
    }
    said.clear();
    block.clear();
  }
  void gone(Peer& peer) {
    std::erase(members, &peer);
    std::erase_if(said, [&peer](const Said& one) { return one.speaker == &peer; });
  }
};

}  // namespace

int main(int argc, char** argv) {
  Server server;
  return raw::Loop(server).run(raw::port_of(argc, argv));
}
