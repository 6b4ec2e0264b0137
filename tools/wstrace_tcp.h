// TCP as an onlooker follows it: RFC 9293, RFC 7323; the words and the judgement are Wireshark's (its User's Guide,
// "TCP Analysis"), so that a reader finds the same row in both.
//
//      Seq, Ack   relative: the SYN is 0, the first byte of data 1; 32 bits, and they wrap around
//      Win        scaled, once the scale is known from the SYN
//      notes      [TCP Retransmission] and the like: what the numbers say about what was lost on the way
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tools/wstrace_packet.h"

namespace ws::trace {

/// a < b for sequence numbers, which wrap around. RFC 9293 §3.4
[[nodiscard]] constexpr bool is_before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

/// What is noted of a segment. A set bit each; the order is that in which they are judged.
namespace tcp_note {
inline constexpr unsigned kPortsReused = 1U << 0U;
inline constexpr unsigned kRetransmission = 1U << 1U;
inline constexpr unsigned kFastRetransmission = 1U << 2U;
inline constexpr unsigned kSpuriousRetransmission = 1U << 3U;
inline constexpr unsigned kOutOfOrder = 1U << 4U;
inline constexpr unsigned kLostSegment = 1U << 5U;
inline constexpr unsigned kAckedLostSegment = 1U << 6U;
inline constexpr unsigned kWindowUpdate = 1U << 7U;
inline constexpr unsigned kWindowFull = 1U << 8U;
inline constexpr unsigned kKeepAlive = 1U << 9U;
inline constexpr unsigned kKeepAliveAck = 1U << 10U;
inline constexpr unsigned kDuplicateAck = 1U << 11U;
inline constexpr unsigned kZeroWindowProbe = 1U << 12U;
inline constexpr unsigned kZeroWindow = 1U << 13U;
inline constexpr unsigned kZeroWindowProbeAck = 1U << 14U;
}  // namespace tcp_note

/// One direction of a connection, as far as it was seen.
struct TcpFlow {
  bool has_base = false;
  std::uint32_t base = 0;  ///< the initial sequence number
  static constexpr int kUnknownScale = -1;
  static constexpr int kNoScale = -2;
  int window_scale = kUnknownScale;   ///< 0 to 14, or one of those
  bool awaits_first_ack = false;      ///< the window of the first ACK is not scaled yet
  std::uint32_t window = UINT32_MAX;  ///< as it came last; nothing came yet
  std::uint32_t next = 0;        ///< the highest sequence number that is to come; 0: nothing came
  std::int64_t next_at = 0;      ///< when that was seen
  std::uint32_t contiguous = 0;  ///< up to here nothing is missing; 0: nothing came
  std::uint32_t last_ack = 0;
  std::int64_t last_ack_at = 0;
  std::uint64_t first_ack_packet = 0;  ///< the packet that acknowledged `last_ack` first
  int duplicate_acks = 0;              ///< of that
  unsigned last_notes = 0;             ///< of the last segment
};

class TcpConnection {
 public:
  std::uint64_t number = 0;      ///< Wireshark's tcp.stream: 0 for the first
  std::array<TcpFlow, 2> flows;  ///< [0]: from whoever was seen first
  std::string first_source;      ///< of flows[0]
  std::uint16_t first_port = 0;
  std::uint16_t server_port = 0;  ///< as the SYN tells; 0: not seen
  std::int64_t syn_at = 0;
  std::int64_t round_trip_ns = 0;  ///< from the SYN to the ACK of the handshake; 0: not seen
};

/// What is known of one segment.
struct TcpRow {
  TcpConnection* connection = nullptr;
  bool is_reply = false;  ///< sent by flows[1]
  std::uint32_t seq = 0;  ///< relative
  std::uint32_t ack = 0;  ///< relative; meaningless without the flag
  std::uint32_t window = 0;
  unsigned notes = 0;
  std::uint64_t duplicate_of = 0;  ///< the packet of the first of duplicate ACKs
  int duplicate_number = 0;

  [[nodiscard]] TcpFlow& sent() const { return connection->flows[is_reply ? 1 : 0]; }
  [[nodiscard]] TcpFlow& answered() const { return connection->flows[is_reply ? 0 : 1]; }
};

/// All connections of a capture.
class TcpTracker {
 public:
  /// Judges the next packet, which has a TCP segment.
  TcpRow take(const Packet& packet);

 private:
  using Key = std::tuple<std::string, std::uint16_t, std::string, std::uint16_t>;
  TcpConnection& begin(const Key& key, const Packet& packet);
  TcpRow find(const Packet& packet);
  std::map<Key, std::unique_ptr<TcpConnection>> connections_;
  std::vector<std::unique_ptr<TcpConnection>> replaced_;  ///< whose ports were used again
  std::uint64_t count_ = 0;
};

/// Whether the client has sent it: the SYN tells who that is; else it is whoever has the higher port, as most have.
[[nodiscard]] bool is_from_client(const TcpSegment& tcp, const TcpRow& row);
/// TSval and TSecr, if the segment has them. RFC 7323 §3.2
[[nodiscard]] std::optional<std::pair<std::uint32_t, std::uint32_t>> tcp_timestamps(
    const TcpSegment& tcp);
/// "[SYN, ACK]", as Wireshark writes the flags, without the brackets.
[[nodiscard]] std::string tcp_flags(unsigned flags);
/// Wireshark's Info column of a segment that carries nothing it knows, its notes not included.
[[nodiscard]] std::string tcp_info(const TcpSegment& tcp, const TcpRow& row);
/// "[TCP Retransmission] ", say; empty for most.
[[nodiscard]] std::string tcp_notes(const TcpRow& row);

}  // namespace ws::trace
