// Extracts HTTP heads and WebSocket frames from the streams of a capture, each with its offset in the stream.
//
//      segments      in any order, some twice, some missing, some cut by the snaplen of the capture
//        ▼           ordered by sequence number; a gap that is never filled is reported and skipped; so are cut bytes
//      bytes         of one direction
//        ▼           protocol/inspect/dissector
//      frames
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "protocol/inspect/dissector.h"
#include "tools/wstrace/packet.h"
#include "tools/wstrace/tcp.h"

namespace ws::trace {

/// A head, a frame, or bytes that are missing from the capture.
struct StreamItem {
  std::uint64_t packet =
      0;  ///< the last packet that carried bytes of it; of a gap: the one that revealed it
  std::uint64_t connection = 0;  ///< Wireshark's tcp.stream
  std::string source{};          ///< "127.0.0.1:53522"
  std::string destination{};
  std::uint64_t missing =
      0;  ///< bytes missing at `item.offset`; if not 0, `item` has only this offset
  bool is_cut =
      false;         ///< the missing bytes are the end of a packet that is longer than the snaplen
  Dissected item{};  ///< `item.bytes` is valid during the call

  /// True if wstrace shows the item: missing bytes, frames, complete HTTP heads, and incomplete heads that begin like
  /// HTTP. It shows no bodies and no other protocols.
  [[nodiscard]] bool is_shown() const;
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

  struct Segment {
    std::uint64_t packet = 0;
    std::uint64_t end = 0;               ///< offset after its last byte on the wire
    std::span<const std::byte> bytes{};  ///< the captured part
  };
  /// A copy of a segment that follows a gap.
  struct Waiting {
    std::uint64_t packet = 0;
    std::uint64_t end = 0;
    std::vector<std::byte> bytes{};
  };
  struct Stream {
    Stream(Sender from, std::size_t keep) : sender(from), dissector(from, keep) {}
    Sender sender;
    Dissector dissector;
    std::string source{};
    std::string destination{};
    bool has_begun = false;
    bool is_beginning_known = false;  ///< its SYN was seen
    bool needs_resync =
        false;  ///< bytes are missing, so it is unknown what the next segment begins with
    bool has_only_heads = false;   ///< no frames follow: the last head was not an upgrade
    std::uint64_t next = 1;        ///< offset of the next expected byte
    std::uint64_t cut_end = 1;     ///< missing bytes before this offset were cut by the snaplen
    std::uint64_t cut_packet = 0;  ///< the packet that ends at `cut_end`
    std::uint64_t acked = 1;       ///< offset up to which the other side has acknowledged
    int acked_packets = 0;         ///< packets since `acked` has passed `next`
    std::map<std::uint64_t, Waiting> waiting{};  ///< by offset
    std::size_t waiting_size = 0;
    std::uint64_t last_packet = 0;
    std::uint64_t item_packet =
        0;  ///< the last packet with bytes of the incomplete item; 0: no item
  };
  struct Connection {
    std::uint64_t number = 0;
    std::array<Stream, 2> streams;
    bool is_upgraded = false;  ///< a 101 was seen, perhaps cut
    bool is_not_http = false;  ///< a head was not HTTP, so this is another protocol
  };

  Connection& find(const Packet& packet, const TcpRow& row);
  void add(Connection& connection, Stream& stream, std::uint64_t offset, const Segment& segment,
           const Visit& visit);
  void deliver(Connection& connection, Stream& stream, std::uint64_t offset, const Segment& segment,
               const Visit& visit);
  void dissect(Connection& connection, Stream& stream, std::uint64_t packet,
               std::span<const std::byte> bytes, const Visit& visit);
  static void resynchronize(const Connection& connection, Stream& stream,
                            std::span<const std::byte> bytes);
  void deliver_waiting(Connection& connection, Stream& stream, const Visit& visit);
  void give_up_gap(Connection& connection, Stream& stream, const Visit& visit);
  void skip_missing(Connection& connection, Stream& stream, std::uint64_t size,
                    std::uint64_t packet, bool is_cut, const Visit& visit);
  void handle_head(Connection& connection, Stream& stream, const Dissected& item,
                   const Visit& visit);
  static void show(const Connection& connection, const Stream& stream, std::uint64_t packet,
                   const Dissected& item, const Visit& visit);

  std::size_t keep_;
  std::map<std::uint64_t, Connection> connections_;  ///< by connection number
};

}  // namespace ws::trace
