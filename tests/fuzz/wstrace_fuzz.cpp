// The capture reader, from the link layer to the frames, on invalid packets.
//
// Input: a pcapng file; or a byte that chooses the link type, then packets, each with two bytes for its length, one for the number of
// bytes that the capture lacks, one for the time since the previous packet, and its bytes. Each packet must have a row,
// and each byte of a stream must be in at most one item.
#include <pcap/dlt.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/fuzz/input.h"
#include "tools/wstrace/check.h"
#include "tools/wstrace/frames.h"
#include "tools/wstrace/input.h"
#include "tools/wstrace/packet.h"
#include "tools/wstrace/pcapng.h"
#include "tools/wstrace/rows.h"
#include "tools/wstrace/tcp.h"
#include "tools/wstrace/text.h"

namespace {

using Bytes = std::span<const std::byte>;

/// Calls `take` with each packet of a pcapng file.
template <typename Take>
void read_file(Bytes file, Take take) {
  ws::trace::PcapngReader reader([&file](std::span<std::byte> bytes) {
    const std::size_t size = std::min(bytes.size(), file.size());
    std::ranges::copy(file.first(size), bytes.begin());
    file = file.subspan(size);
    return size;
  });
  try {
    while (const auto packet = reader.next())
      take(*packet);
  } catch (const ws::trace::TraceFailure& failure) {
    ws::fuzz::require(std::string_view(failure.what()).starts_with("block "),
                      "an error without the block");
  }
}

/// Calls `take` with each packet of an input in the fuzz target's own format.
template <typename Take>
void read_packets(Bytes in, Take take) {
  constexpr std::array kLinkTypes = {DLT_EN10MB, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_NULL,
                                     DLT_LOOP,   DLT_RAW,       DLT_IPV4,       DLT_IPV6};
  const int link_type = kLinkTypes[std::to_integer<std::size_t>(in[0]) % kLinkTypes.size()];
  in = in.subspan(1);
  std::int64_t now = 0;
  while (in.size() >= 4) {
    const auto length =
        std::to_integer<std::size_t>(in[0]) << 8U | std::to_integer<std::size_t>(in[1]);
    const auto more = std::to_integer<std::size_t>(in[2]);
    now += std::to_integer<std::int64_t>(in[3]) * 1'000'000;
    in = in.subspan(4);
    const Bytes bytes = in.first(std::min(length, in.size()));
    in = in.subspan(bytes.size());
    take(ws::trace::CapturedPacket{now, bytes.size() + more, bytes, link_type});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes in = std::as_bytes(std::span(data, size));
  if (in.empty())
    return 0;

  ws::trace::TcpTracker tracker;
  ws::trace::RowWriter rows;
  ws::trace::StreamFollower follower(16);
  std::map<std::string, std::uint64_t> ends;  // of each direction of each connection
  std::uint64_t number = 0;                   // of packets
  const auto visit = [&](const ws::trace::StreamItem& item) {
    const std::uint64_t length = item.missing != 0 ? item.missing : item.item.size;
    std::uint64_t& end = ends[std::to_string(item.connection) + item.source];
    ws::fuzz::require(length != 0 && item.item.offset >= end, "items overlap");
    end = item.item.offset + length;
    ws::fuzz::require(item.packet > 0 && item.packet <= number, "an item without a packet");
    ws::fuzz::require(!ws::trace::to_text(item).empty() && !ws::trace::to_json(item).empty(),
                      "an item without text");
  };
  std::vector<ws::trace::CheckedRow> checked;
  const auto take = [&](ws::trace::CapturedPacket captured) {
    // A separate allocation, so that a read past its end is found.
    const std::vector<std::byte> bytes(captured.bytes.begin(), captured.bytes.end());
    captured.bytes = bytes;
    const ws::trace::Packet packet = ws::trace::dissect_packet(captured, ++number);
    std::optional<ws::trace::TcpRow> tcp;
    if (packet.tcp.has_value()) {
      tcp = tracker.take(packet);
      follower.take(packet, *tcp, visit);
    }
    const ws::trace::Row row = rows.take(packet, tcp);
    ws::fuzz::require(row.number == number && !row.protocol.empty(), "a packet without a row");
    ws::fuzz::require(!ws::trace::to_line(row, captured.time_digits).empty() &&
                          !ws::trace::to_json(row, captured.time_digits).empty(),
                      "an empty row");
    checked.push_back({.row = row});
  };
  if (ws::trace::PcapngReader::is_pcapng(in.first(std::min<std::size_t>(in.size(), 4)))) {
    read_file(in, take);
  } else {
    read_packets(in, take);
  }
  follower.finish(visit);
  if (checked.size() < 32) {
    const std::vector<ws::trace::DocumentRow> document = {
        {1, "1", "connect", "a", "b", "TCP", "66", "1 → 2 [SYN] Seq=0 Win=0 Len=0"}};
    static_cast<void>(ws::trace::check(document, checked, true));
  }
  return 0;
}
