#include "tools/wstrace/pcapng.h"

#include <pcap/dlt.h>

#include <algorithm>
#include <array>
#include <utility>

#include "tools/wstrace/input.h"

namespace ws::trace {
namespace {

/// The blocks that are read. draft-ietf-opsawg-pcapng §4
namespace block_type {
constexpr std::uint32_t kSectionHeader = 0x0A0D0D0A;  // the same in both byte orders
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kObsoletePacket = 2;
constexpr std::uint32_t kSimplePacket = 3;
constexpr std::uint32_t kEnhancedPacket = 6;
}  // namespace block_type

constexpr std::uint32_t kByteOrder = 0x1A2B3C4D;
constexpr std::size_t kAround =
    12;  // bytes of a block around its body: type, length, and length again
constexpr std::size_t kMaxBlock =
    16'777'216;  // bytes of a block that is read; libpcap has the same limit
constexpr std::size_t kMaxInterfaces = 65'536;  // of a section
constexpr std::uint64_t kSecond = 1'000'000'000;

std::string block_name(std::uint32_t type) {
  switch (type) {
    case block_type::kSectionHeader:
      return "section header";
    case block_type::kInterface:
      return "interface";
    case block_type::kObsoletePacket:
      return "obsolete packet";
    case block_type::kSimplePacket:
      return "simple packet";
    case block_type::kEnhancedPacket:
      return "enhanced packet";
    default:
      return "type " + std::to_string(type);
  }
}

bool is_read(std::uint32_t type) {
  return type == block_type::kSectionHeader || type == block_type::kInterface ||
         type == block_type::kObsoletePacket || type == block_type::kSimplePacket ||
         type == block_type::kEnhancedPacket;
}

/// Maps the link types of files to those of libpcap: raw IP has another number, and old files have numbers of systems.
int to_dlt(std::uint32_t link_type) {
  constexpr std::uint32_t kRaw = 101;
  constexpr std::uint32_t kRawOfLinux = 12;
  constexpr std::uint32_t kRawOfOpenBsd = 14;
  if (link_type == kRaw || link_type == kRawOfLinux || link_type == kRawOfOpenBsd)
    return DLT_RAW;
  return static_cast<int>(link_type);
}

/// The option if_tsresol: an exponent of 10, or of 2 if the highest bit is set. Returns 0 for 2⁶⁴ or more.
std::uint64_t to_ticks_per_second(std::byte resolution) {
  const unsigned exponent = std::to_integer<unsigned>(resolution) & 0x7FU;
  if ((resolution & std::byte{0x80}) != std::byte{0})
    return exponent < 64 ? std::uint64_t{1} << exponent : 0;
  if (exponent > 19)
    return 0;
  std::uint64_t ticks = 1;
  for (unsigned i = 0; i < exponent; ++i)
    ticks *= 10;
  return ticks;
}

/// The nanoseconds of `ticks`, which are less than a second.
std::uint64_t to_nanoseconds(std::uint64_t ticks, std::uint64_t per_second) {
  if (per_second % kSecond == 0)  // each power of 10 from 9 on
    return ticks / (per_second / kSecond);
  // Shortens a power of 2, so that the product fits in 64 bits.
  while (per_second > std::uint64_t{1} << 34U) {
    per_second /= 2;
    ticks /= 2;
  }
  return ticks * kSecond / per_second;
}

/// The digits that Wireshark shows for a resolution.
int to_digits(std::uint64_t per_second) {
  if (per_second == 0)
    return 9;
  constexpr std::array<std::pair<std::uint64_t, int>, 5> kDigits = {
      {{kSecond, 9}, {1'000'000, 6}, {1000, 3}, {100, 2}, {10, 1}}};
  const auto found = std::ranges::find_if(
      kDigits, [per_second](const auto& entry) { return per_second >= entry.first; });
  return found != kDigits.end() ? found->second : 0;
}

}  // namespace

std::uint32_t read_number(std::span<const std::byte> bytes, bool is_little) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::byte next = bytes[is_little ? bytes.size() - 1 - i : i];
    value = value << 8U | std::to_integer<std::uint32_t>(next);
  }
  return value;
}

bool PcapngReader::is_pcapng(std::span<const std::byte> magic) {
  return magic.size() == 4 && read_number(magic) == block_type::kSectionHeader;
}

std::optional<CapturedPacket> PcapngReader::next() {
  std::optional<CapturedPacket> packet;
  while (!packet.has_value()) {
    if (!read_block())
      return std::nullopt;
    switch (type_) {
      case block_type::kSectionHeader:
        begin_section();
        break;
      case block_type::kInterface:
        add_interface();
        break;
      case block_type::kEnhancedPacket:
        packet = read_enhanced();
        break;
      case block_type::kObsoletePacket:
        packet = read_obsolete();
        break;
      case block_type::kSimplePacket:
        packet = read_simple();
        break;
      default:
        break;
    }
  }
  return packet;
}

/// Reads the next block, its body only if the block is used. Returns false at the end of the file. §3.1
bool PcapngReader::read_block() {
  ++block_;
  block_at_ = offset_;
  type_ = 0;
  std::array<std::byte, 8> head{};
  const std::size_t head_size = fill(head);
  if (head_size == 0)
    return false;
  if (head_size < head.size())
    fail("is truncated");
  type_ = read_number(std::span(head).first(4), is_little_);
  body_.clear();
  if (type_ == block_type::kSectionHeader) {  // its first field is the byte order
    body_.resize(4);
    read_all(body_);
    is_little_ = read_number(body_, true) == kByteOrder;
    if (!is_little_ && read_number(body_) != kByteOrder)
      fail("has an invalid byte order");
  } else if (block_ == 1) {
    fail("is not a section header");
  }
  const std::uint32_t size = read_number(std::span(head).last(4), is_little_);
  if (size < kAround + body_.size() || size % 4 != 0)
    fail("has an invalid length of " + std::to_string(size) + " bytes");
  if (is_read(type_)) {
    if (size > kMaxBlock)
      fail("has " + std::to_string(size) + " bytes, more than " + std::to_string(kMaxBlock));
    const std::size_t begin = body_.size();
    body_.resize(size - kAround);
    read_all(std::span(body_).subspan(begin));
  } else {
    skip(size - kAround);
  }
  std::array<std::byte, 4> tail{};
  read_all(tail);
  if (const std::uint32_t again = read_number(tail, is_little_); again != size)
    fail("has " + std::to_string(size) + " bytes, but ends with a length of " +
         std::to_string(again));
  return true;
}

/// §4.1
void PcapngReader::begin_section() {
  require_body(16);
  const std::uint32_t major = number(4, 2);
  const std::uint32_t minor = number(6, 2);
  if (major != 1 || (minor != 0 && minor != 2)) {
    fail("has version " + std::to_string(major) + "." + std::to_string(minor) +
         ", which is not supported (only 1.0 and 1.2)");
  }
  interfaces_.clear();
}

/// §4.2
void PcapngReader::add_interface() {
  constexpr std::size_t kOptions = 8;
  constexpr std::uint32_t kEndOfOptions = 0;
  constexpr std::uint32_t kResolution = 9;
  constexpr std::uint32_t kOffset = 14;
  require_body(kOptions);
  if (interfaces_.size() == kMaxInterfaces)
    fail("is one more than " + std::to_string(kMaxInterfaces) + " interfaces");
  Interface interface { .link_type = to_dlt(number(0, 2)), .snapshot_length = number(4) };
  bool has_resolution = false;
  for (std::size_t at = kOptions; at + 4 <= body_.size();) {
    const std::uint32_t code = number(at, 2);
    const std::size_t size = number(at + 2, 2);
    at += 4;
    if (code == kEndOfOptions)
      break;
    if (size > body_.size() - at)
      fail("ends within option " + std::to_string(code));
    if (code == kResolution && size == 1 && !has_resolution) {
      interface.ticks_per_second = to_ticks_per_second(body_[at]);
      has_resolution = true;
    } else if (code == kOffset && size == 8) {
      const std::uint64_t high = number(is_little_ ? at + 4 : at);
      const std::uint64_t low = number(is_little_ ? at : at + 4);
      interface.offset = static_cast<std::int64_t>(high << 32U | low);
    }
    at += (size + 3) / 4 * 4;
  }
  interfaces_.push_back(interface);
}

/// §4.3
CapturedPacket PcapngReader::read_enhanced() const {
  constexpr std::size_t kHeader = 20;
  require_body(kHeader);
  const Interface& interface = interface_at(number(0));
  CapturedPacket packet{.length = number(16), .link_type = interface.link_type};
  set_time(4, interface, packet);
  set_bytes(kHeader, number(12), packet);
  return packet;
}

/// §4.4: the packet has no time and belongs to interface 0; its captured length is computed from the other lengths.
CapturedPacket PcapngReader::read_simple() const {
  constexpr std::size_t kHeader = 4;
  require_body(kHeader);
  const Interface& interface = interface_at(0);
  CapturedPacket packet{.length = number(0),
                        .link_type = interface.link_type,
                        .time_digits = CapturedPacket::kNoTime};
  std::size_t captured = packet.length;
  if (interface.snapshot_length != 0)
    captured = std::min<std::size_t>(captured, interface.snapshot_length);
  set_bytes(kHeader, captured, packet);
  return packet;
}

/// Appendix A
CapturedPacket PcapngReader::read_obsolete() const {
  constexpr std::size_t kHeader = 20;
  require_body(kHeader);
  const Interface& interface = interface_at(number(0, 2));
  CapturedPacket packet{.length = number(16), .link_type = interface.link_type};
  set_time(4, interface, packet);
  set_bytes(kHeader, number(12), packet);
  return packet;
}

/// Sets the time from the ticks at `at`. The high 32 bits come first in both byte orders.
void PcapngReader::set_time(std::size_t at, const Interface& interface,
                            CapturedPacket& packet) const {
  const std::uint64_t ticks = std::uint64_t{number(at)} << 32U | number(at + 4);
  const std::uint64_t per_second = interface.ticks_per_second;
  std::uint64_t seconds = 0;
  std::uint64_t nanoseconds = 0;
  if (per_second != 0) {
    constexpr std::uint64_t kLimit = 2 * static_cast<std::uint64_t>(kMaxTime);
    seconds = std::min(ticks / per_second, kLimit);
    nanoseconds = to_nanoseconds(ticks % per_second, per_second);
  }
  // Clamp before the addition, so that the sum does not overflow, and after it.
  const std::int64_t offset = std::clamp(interface.offset, -2 * kMaxTime, 2 * kMaxTime);
  const std::int64_t sum =
      std::clamp(static_cast<std::int64_t>(seconds) + offset, -kMaxTime, kMaxTime);
  packet.time_ns =
      sum * static_cast<std::int64_t>(kSecond) + static_cast<std::int64_t>(nanoseconds);
  packet.time_digits = to_digits(per_second);
}

const PcapngReader::Interface& PcapngReader::interface_at(std::uint32_t number) const {
  if (number >= interfaces_.size())
    fail("is of interface " + std::to_string(number) + ", which the section does not have");
  return interfaces_[number];
}

void PcapngReader::set_bytes(std::size_t header, std::size_t captured,
                             CapturedPacket& packet) const {
  if (captured > body_.size() - header) {
    fail("is too short for " + std::to_string(captured) + " captured bytes");
  }
  packet.bytes = std::span(body_).subspan(header, captured);
}

/// A number of the body, of at most 4 bytes. The caller has checked the size.
std::uint32_t PcapngReader::number(std::size_t at, std::size_t size) const {
  return read_number(std::span(body_).subspan(at, size), is_little_);
}

void PcapngReader::require_body(std::size_t size) const {
  if (body_.size() < size)
    fail("is too short");
}

/// Reads until `bytes` is full or the file ends. Returns the number of bytes.
std::size_t PcapngReader::fill(std::span<std::byte> bytes) {
  std::size_t size = 0;
  try {
    while (size < bytes.size()) {
      const std::size_t more = read_(bytes.subspan(size));
      if (more == 0)
        break;
      size += more;
      offset_ += more;
    }
  } catch (const TraceFailure& failure) {
    fail(std::string("cannot be read: ") + failure.what());
  }
  return size;
}

void PcapngReader::read_all(std::span<std::byte> bytes) {
  if (fill(bytes) < bytes.size())
    fail("is truncated");
}

void PcapngReader::skip(std::size_t size) {
  std::array<std::byte, 4096> skipped;
  while (size > 0) {
    const auto part = std::span(skipped).first(std::min(size, skipped.size()));
    read_all(part);
    size -= part.size();
  }
}

void PcapngReader::fail(const std::string& why) const {
  const std::string name = type_ != 0 ? " (" + block_name(type_) + ")" : "";
  throw TraceFailure("block " + std::to_string(block_) + name + " at byte " +
                     std::to_string(block_at_) + " " + why);
}

}  // namespace ws::trace
