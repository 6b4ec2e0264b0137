// Extracts HTTP heads and WebSocket frames from the streams of a capture, each with its offset in the stream.
//
//      segments      in any order, some twice, some missing
//        ▼           ordered by sequence number; a gap that is never filled is reported and skipped
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
#include "tools/wstrace/packet.h"
#include "tools/wstrace/tcp.h"

namespace ws::trace {

/// A head, a frame, or bytes that are missing from the capture.
struct StreamItem {
  std::uint64_t packet = 0;      ///< the packet in which it ends
  std::uint64_t connection = 0;  ///< Wireshark's tcp.stream
  std::string source{};          ///< "127.0.0.1:53522"
  std::string destination{};
  std::uint64_t missing =
      0;             ///< bytes missing at `item.offset`; if not 0, `item` is empty otherwise
  Dissected item{};  ///< `item.bytes` is valid during the call
};

class StreamFollower {
 public:
  using Visit = std::function<void(const StreamItem&)>;
  /// `keep`: payload bytes that are kept for each frame.
  explicit StreamFollower(std::size_t keep) : keep_(keep) {}

  /// Visits the items that the packet completes.
  void take(const Packet& packet, const TcpRow& row, const Visit& visit);
  /// To be called at the end of the capture: visits items after gaps, and incomplete items.
  void finish(const Visit& visit);

 private:
  /// Bytes that are buffered after a gap before the gap is skipped.
  static constexpr std::size_t kMaxWaiting = 4 * 1024 * 1024;
  static constexpr std::size_t kWaitingCost = 128;  ///< bytes of overhead per buffered segment
  /// If the receiver has acknowledged the bytes of a gap, the capture lacks them: after this many packets the gap is
  /// skipped.
  static constexpr int kPatience = 16;

  struct Stream {
    explicit Stream(Sender sender, std::size_t keep) : dissector(sender, keep) {}
    Dissector dissector;
    std::string source{};
    std::string destination{};
    bool has_begun = false;
    bool is_beginning_known = false;  ///< its SYN was seen
    std::uint64_t next = 1;           ///< offset of the next expected byte
    std::uint64_t acked = 1;          ///< offset up to which the other side has acknowledged
    int acked_packets = 0;            ///< packets since `acked` has passed `next`
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
  std::map<std::uint64_t, Connection> connections_;  ///< by connection number
};

}  // namespace ws::trace
