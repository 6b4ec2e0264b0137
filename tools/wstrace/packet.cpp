#include "tools/wstrace/packet.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include "protocol/text.h"

namespace ws::trace {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint32_t kIpv4 = 0x0800;  // EtherType numbers
constexpr std::uint32_t kArp = 0x0806;
constexpr std::uint32_t kIpv6 = 0x86dd;

std::uint16_t read16(Bytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(read_number(bytes.subspan(at, 2)));
}
unsigned read8(Bytes bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]);
}

std::string ip_address(int family, Bytes bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family, bytes.data(), text.data(), text.size());
  return text.data();
}

std::string mac_address(Bytes bytes) {
  return to_hex(bytes.first(6), ":");
}

std::string protocol_name(unsigned number, const char* other) {
  switch (number) {
    case IPPROTO_ICMP:
      return "ICMP";
    case IPPROTO_IGMP:
      return "IGMP";
    case IPPROTO_UDP:
      return "UDP";
    case IPPROTO_ICMPV6:
      return "ICMPv6";
    case IPPROTO_SCTP:
      return "SCTP";
    default:
      return other;
  }
}

/// `length`: bytes of the segment on the wire. `bytes`: the captured part.
void read_tcp(Bytes bytes, std::size_t length, Packet& packet) {
  packet.protocol = "TCP";
  bytes = bytes.first(std::min(bytes.size(), length));
  constexpr std::size_t kLeast = 20;
  if (bytes.size() < kLeast) {
    if (bytes.size() >= 4) {
      packet.info = std::to_string(read16(bytes, 0)) + " → " + std::to_string(read16(bytes, 2));
    }
    return;
  }
  TcpSegment tcp;
  tcp.source_port = read16(bytes, 0);
  tcp.destination_port = read16(bytes, 2);
  tcp.seq = read_number(bytes.subspan(4, 4));
  tcp.ack = read_number(bytes.subspan(8, 4));
  tcp.header_length = std::size_t{read8(bytes, 12) >> 4U} * 4;
  tcp.flags = read16(bytes, 12) & 0xFFFU;
  tcp.window = read16(bytes, 14);
  tcp.urgent_pointer = read16(bytes, 18);
  if (tcp.header_length >= kLeast && tcp.header_length <= length) {
    const std::size_t header = std::min(tcp.header_length, bytes.size());
    tcp.options = bytes.subspan(kLeast, header - kLeast);
    tcp.length = length - tcp.header_length;
    tcp.payload = bytes.subspan(header);
  }
  packet.tcp = tcp;
}

/// `length`: bytes of the packet on the wire.
void take_ipv4(Bytes bytes, std::size_t length, Packet& packet) {
  packet.protocol = "IPv4";
  if (bytes.size() < 20)
    return;
  const std::size_t header = std::size_t{read8(bytes, 0) & 0xFU} * 4;
  // The total length is 0 if the network card splits the segment (segmentation offload).
  std::size_t total = read16(bytes, 2);
  if (total == 0)
    total = length;
  packet.source = ip_address(AF_INET, bytes.subspan(12, 4));
  packet.destination = ip_address(AF_INET, bytes.subspan(16, 4));
  if (read8(bytes, 0) >> 4U != 4 || header < 20 || header > bytes.size() || total < header)
    return;
  const bool is_fragment = (read16(bytes, 6) & 0x3FFFU) != 0;  // MF, or an offset
  const unsigned protocol = read8(bytes, 9);
  if (is_fragment)
    return;
  if (protocol == IPPROTO_TCP)
    return read_tcp(bytes.subspan(header), std::min(total, length) - header, packet);
  packet.protocol = protocol_name(protocol, "IPv4");
}

void take_ipv6(Bytes bytes, std::size_t length, Packet& packet) {
  packet.protocol = "IPv6";
  constexpr std::size_t kHeader = 40;
  if (bytes.size() < kHeader)
    return;
  packet.source = ip_address(AF_INET6, bytes.subspan(8, 16));
  packet.destination = ip_address(AF_INET6, bytes.subspan(24, 16));
  std::size_t left = read16(bytes, 4);
  if (left == 0)
    left = length - kHeader;
  left = std::min(left, length - kHeader);
  unsigned next = read8(bytes, 6);
  bytes = bytes.subspan(kHeader);
  // Extension headers: type of the next header, then length in units of 8 bytes, without the first 8.
  while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
    if (bytes.size() < 8)
      return;
    const std::size_t size = (std::size_t{read8(bytes, 1)} + 1) * 8;
    if (size > bytes.size() || size > left)
      return;
    next = read8(bytes, 0);
    bytes = bytes.subspan(size);
    left -= size;
  }
  if (next == IPPROTO_TCP)
    return read_tcp(bytes, left, packet);
  packet.protocol = protocol_name(next, "IPv6");
}

void read_ether_type(std::uint32_t type, Bytes bytes, std::size_t length, Packet& packet) {
  constexpr std::uint32_t kVlan = 0x8100;
  constexpr std::uint32_t kProviderVlan = 0x88a8;     // 802.1ad
  constexpr std::uint32_t kOldProviderVlan = 0x9100;  // of switches older than 802.1ad
  while ((type == kVlan || type == kProviderVlan || type == kOldProviderVlan) &&
         bytes.size() >= 4) {
    type = read16(bytes, 2);
    bytes = bytes.subspan(4);
    length -= 4;
  }
  if (type == kIpv4) {
    take_ipv4(bytes, length, packet);
  } else if (type == kIpv6) {
    take_ipv6(bytes, length, packet);
  } else {
    packet.protocol = type == kArp ? "ARP" : "Ethernet";
  }
}

void read_ip(Bytes bytes, std::size_t length, Packet& packet) {
  const unsigned version = bytes.empty() ? 0 : read8(bytes, 0) >> 4U;
  if (version == 4) {
    take_ipv4(bytes, length, packet);
  } else if (version == 6) {
    take_ipv6(bytes, length, packet);
  }
}

/// Skips the BSD loopback header: an address family, in the byte order of the capturing machine.
void read_loopback(Bytes bytes, std::size_t length, Packet& packet) {
  if (bytes.size() < 4)
    return;
  read_ip(bytes.subspan(4), length - 4, packet);
}

}  // namespace

bool is_known_link_type(int link_type) {
  constexpr std::array kKnown = {DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_NULL,
                                 DLT_LOOP,   DLT_RAW,       DLT_IPV4,       DLT_IPV6};
  return std::ranges::find(kKnown, link_type) != kKnown.end();
}

Packet dissect_packet(const CapturedPacket& captured, std::uint64_t number) {
  Packet packet{
      .number = number, .time_ns = captured.time_ns, .length = captured.length, .protocol = "?"};
  const Bytes bytes = captured.bytes;
  const std::size_t length = std::max(captured.length, bytes.size());
  switch (captured.link_type) {
    case DLT_EN10MB:
      if (bytes.size() < 14)
        break;
      packet.destination = mac_address(bytes);
      packet.source = mac_address(bytes.subspan(6));
      read_ether_type(read16(bytes, 12), bytes.subspan(14), length - 14, packet);
      break;
    case DLT_LINUX_SLL:  // 16 bytes; the EtherType is the last field
      if (bytes.size() >= 16)
        read_ether_type(read16(bytes, 14), bytes.subspan(16), length - 16, packet);
      break;
    case DLT_LINUX_SLL2:  // 20 bytes; the EtherType is the first field
      if (bytes.size() >= 20)
        read_ether_type(read16(bytes, 0), bytes.subspan(20), length - 20, packet);
      break;
    case DLT_NULL:
    case DLT_LOOP:
      read_loopback(bytes, length, packet);
      break;
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
      read_ip(bytes, length, packet);
      break;
    default:
      packet.info = "link type " + std::to_string(captured.link_type) + " is not supported";
      break;
  }
  if (!packet.tcp.has_value() && bytes.size() < length)
    packet.info += kPacketCut;
  return packet;
}

}  // namespace ws::trace
