// Dissects a captured packet, from the link layer to TCP.
//
//      Ethernet, Linux cooked v1 and v2, loopback, raw IP  ▶  IPv4 (RFC 791), IPv6 (RFC 8200)  ▶  TCP (RFC 9293)
//
// Of other packets only the addresses, the name of the protocol and the length are determined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "tools/wstrace/capture.h"

namespace ws::trace {

namespace tcp_flag {
inline constexpr unsigned kFin = 0x001;
inline constexpr unsigned kSyn = 0x002;
inline constexpr unsigned kRst = 0x004;
inline constexpr unsigned kAck = 0x010;
inline constexpr unsigned kUrg = 0x020;
}  // namespace tcp_flag

/// The fields of a TCP header (RFC 9293 §3.1), and the payload.
struct TcpSegment {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::size_t header_length =
      0;  ///< bytes; if invalid (such as less than 20), options and payload are empty
  unsigned flags = 0;
  std::uint16_t window = 0;
  std::uint16_t urgent_pointer = 0;
  std::span<const std::byte> options{};
  std::size_t length = 0;                ///< bytes of payload on the wire
  std::span<const std::byte> payload{};  ///< the captured part of these bytes
};

/// Wireshark appends this to the Info column if the capture has only a part of the packet.
inline constexpr std::string_view kPacketCut = "[Packet size limited during capture]";

struct Packet {
  std::uint64_t number = 0;  ///< 1 for the first
  std::int64_t time_ns = 0;
  std::size_t length = 0;  ///< bytes on the wire, from the link layer on
  std::string source{};
  std::string destination{};
  std::string protocol{};           ///< "TCP" if `tcp` is set
  std::string info{};               ///< the Info column if `tcp` is not set
  std::optional<TcpSegment> tcp{};  ///< views into the captured bytes
};

/// Dissects a packet as far as possible. Never fails: a truncated or unknown packet has at least a
/// protocol name.
[[nodiscard]] Packet dissect_packet(const CapturedPacket& captured, std::uint64_t number);
/// Whether `dissect_packet` knows this link type.
[[nodiscard]] bool is_known_link_type(int link_type);

}  // namespace ws::trace
