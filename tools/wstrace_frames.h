// What the streams of a capture carry: heads and WebSocket frames, each with the stream offset of its first byte.
//
//      segments      in any order, some twice, some missing
//        ▼           put in order by sequence number; a gap that stays is said, and what follows it goes on
//      bytes         of one direction
//        ▼           protocol/inspect/dissector
//      frames
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "protocol/inspect/dissector.h"
#include "tools/wstrace_packet.h"
#include "tools/wstrace_tcp.h"

namespace ws::trace {

/// Something that crossed, or bytes that are missing from the capture.
struct StreamItem {
  std::uint64_t packet = 0;      ///< in which it ended
  std::uint64_t connection = 0;  ///< Wireshark's tcp.stream
  std::string source{};          ///< "127.0.0.1:53522"
  std::string destination{};
  std::uint64_t missing =
      0;  ///< not 0: so many bytes are missing at `item.offset`, and `item` is nothing more
  Dissected item{};  ///< its bytes are valid during the call
};

class StreamFollower {
 public:
  using Visit = std::function<void(const StreamItem&)>;
  /// `keep`: bytes of a payload that are kept to be shown.
  explicit StreamFollower(std::size_t keep) : keep_(keep) {}

  /// Visits what the packet completes.
  void take(const Packet& packet, const TcpRow& row, const Visit& visit);
  /// The capture is over: visits what lies behind gaps, and what has no end.
  void finish(const Visit& visit);

 private:
  /// Behind a gap; more of them is not waited for.
  static constexpr std::size_t kMaxWaiting = 4 * 1024 * 1024;  // bytes
  static constexpr std::size_t kWaitingCost = 128;  // bytes of memory that a segment of none takes
  /// A gap that the receiver has acknowledged is one of the capture; so many packets later it is given up.
  static constexpr int kPatience = 16;

  struct Stream {
    explicit Stream(Sender sender, std::size_t keep) : dissector(sender, keep) {}
    Dissector dissector;
    std::string source{};
    std::string destination{};
    bool has_begun = false;
    bool is_beginning_known = false;  ///< its SYN was seen
    std::uint64_t next = 1;           ///< offset of the byte that is to come
    std::uint64_t acked = 1;          ///< what the other side has acknowledged
    int acked_packets = 0;            ///< since it acknowledged more than we have
    std::map<std::uint64_t, std::vector<std::byte>> waiting{};
    std::size_t waiting_size = 0;
    std::uint64_t last_packet = 0;
  };
  struct Connection {
    std::uint64_t number = 0;
    std::array<Stream, 2> streams;
  };

  Connection& find(const Packet& packet, const TcpRow& row);
  void add(Connection& connection, Stream& stream, std::uint64_t offset,
           std::span<const std::byte> bytes, const Visit& visit);
  void deliver(Connection& connection, Stream& stream, std::span<const std::byte> bytes,
               const Visit& visit);
  void deliver_waiting(Connection& connection, Stream& stream, const Visit& visit);
  void give_up_gap(Connection& connection, Stream& stream, const Visit& visit);
  static void show(const Connection& connection, const Stream& stream, const Dissected& item,
                   const Visit& visit);

  std::size_t keep_;
  std::map<std::uint64_t, Connection> connections_;  ///< by their number
};

}  // namespace ws::trace
