// Analyzes the TCP connections of a capture (RFC 9293, RFC 7323). Rules and wording are Wireshark's (User's Guide, "TCP
// Analysis"), so that both show the same row.
//
//      Seq, Ack   relative: the SYN is 0, the first byte of data is 1; 32 bits, with wraparound
//      Win        scaled, if the SYNs with the scale were seen
//      notes      [TCP Retransmission] and others: losses and retransmissions, derived from the numbers
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

#include "tools/wstrace/packet.h"

namespace ws::trace {

/// a < b for sequence numbers, which wrap around. RFC 9293 §3.4
[[nodiscard]] constexpr bool is_before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

/// Bits for the notes on a segment. Wireshark prepends them to the Info column in this order.
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

/// One direction of a connection, as far as it was captured.
struct TcpFlow {
  bool has_base = false;
  std::uint32_t base = 0;  ///< the initial sequence number
  static constexpr int kUnknownScale = -1;
  static constexpr int kNoScale = -2;
  int window_scale = kUnknownScale;   ///< 0 to 14, or one of the constants above
  bool awaits_first_ack = false;      ///< `window` is from the SYN, and so not scaled
  std::uint32_t window = UINT32_MAX;  ///< of the last segment, unscaled; UINT32_MAX: none
  std::uint32_t next = 0;             ///< highest expected sequence number; 0: no segment yet
  std::int64_t next_at = 0;           ///< when `next` last changed
  std::uint32_t contiguous = 0;       ///< up to here no byte is missing; 0: no segment yet
  std::uint32_t last_ack = 0;
  std::int64_t last_ack_at = 0;
  std::uint64_t first_ack_packet = 0;  ///< the first packet with `last_ack`
  int duplicate_acks = 0;              ///< of `last_ack`; -1 after an ACK of unseen bytes
  unsigned last_notes = 0;             ///< of the last segment
};

class TcpConnection {
 public:
  std::uint64_t number = 0;      ///< Wireshark's tcp.stream: 0 for the first
  std::array<TcpFlow, 2> flows;  ///< [0]: from the side that was seen first
  std::string first_source;      ///< sender of flows[0]
  std::uint16_t first_port = 0;
  std::uint16_t server_port = 0;  ///< known from the SYN; 0: not seen
  std::int64_t syn_at = 0;
  std::int64_t round_trip_ns = 0;  ///< from the SYN to the ACK of the handshake; 0: not seen
};

/// The analysis of one segment.
struct TcpRow {
  TcpConnection* connection = nullptr;
  bool is_reply = false;  ///< sent by flows[1]
  std::uint32_t seq = 0;  ///< relative
  std::uint32_t ack = 0;  ///< relative; valid only with the flag ACK
  std::uint32_t window = 0;
  unsigned notes = 0;
  std::uint64_t duplicate_of = 0;  ///< the packet with the original of a duplicate ACK
  int duplicate_number = 0;

  [[nodiscard]] TcpFlow& sent() const { return connection->flows[is_reply ? 1 : 0]; }
  [[nodiscard]] TcpFlow& answered() const { return connection->flows[is_reply ? 0 : 1]; }
};

/// All connections of a capture.
class TcpTracker {
 public:
  /// Analyzes the next packet, which must have a TCP segment.
  TcpRow take(const Packet& packet);

 private:
  using Key = std::tuple<std::string, std::uint16_t, std::string, std::uint16_t>;
  TcpConnection& begin(const Key& key, const Packet& packet);
  TcpRow find(const Packet& packet);
  std::map<Key, std::unique_ptr<TcpConnection>> connections_;
  std::vector<std::unique_ptr<TcpConnection>> replaced_;  ///< connections whose ports were reused
  std::uint64_t count_ = 0;
};

/// Whether the client sent the segment. The client is known from the SYN; without a SYN, it is the side with the higher
/// port.
[[nodiscard]] bool is_from_client(const TcpSegment& tcp, const TcpRow& row);
/// TSval and TSecr, if the segment has them. RFC 7323 §3.2
[[nodiscard]] std::optional<std::pair<std::uint32_t, std::uint32_t>> tcp_timestamps(
    const TcpSegment& tcp);
/// The flags as Wireshark writes them, without brackets: "SYN, ACK".
[[nodiscard]] std::string tcp_flags(unsigned flags);
/// Wireshark's Info column for a segment without dissected payload, without notes.
[[nodiscard]] std::string tcp_info(const TcpSegment& tcp, const TcpRow& row);
/// The notes, such as "[TCP Retransmission] "; empty if there are none.
[[nodiscard]] std::string tcp_notes(const TcpRow& row);

}  // namespace ws::trace
