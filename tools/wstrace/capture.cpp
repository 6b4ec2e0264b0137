#include "tools/wstrace/capture.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <system_error>

namespace ws::trace {
namespace {

constexpr int kSnapshotLength = 262'144;  // bytes: longer than any packet
/// Bytes. In immediate mode each packet uses a slot of the snapshot length: the default of 2 MiB would hold 8 packets.
constexpr int kBufferSize = 64 * 1024 * 1024;
/// Limit for the seconds before and after 1970. pcapng has 64 bits for a time; we need the difference of two times in
/// nanoseconds to fit in 64 bits.
constexpr std::int64_t kMaxTime = std::int64_t{1} << 32U;
constexpr int kWakeUpMs = 100;  // how often a live capture checks for `stop`

/// The resolution of a file's timestamps, 6 or 9 digits. libpcap converts it and does not report it, but Wireshark
/// shows it. In pcap it is in the magic number, in pcapng in the option if_tsresol of the first interface.
int time_digits_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<std::byte, 4096> head{};
  file.read(reinterpret_cast<char*>(head.data()), head.size());
  const auto bytes = std::span(head).first(static_cast<std::size_t>(file.gcount()));
  if (bytes.size() < 28)
    return 6;
  constexpr std::uint32_t kNanoseconds = 0xa1b23c4d;
  const auto magic = bytes.first(4);
  if (read_number(magic, true) == kNanoseconds || read_number(magic, false) == kNanoseconds)
    return 9;
  constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
  if (read_number(magic, true) != kSectionHeader)
    return 6;
  const bool is_little = read_number(bytes.subspan(8, 4), true) == 0x1a2b3c4d;
  const auto number = [&](std::size_t at, std::size_t size) {
    return read_number(bytes.subspan(at, size), is_little);
  };
  for (std::size_t block = 0; block + 16 <= bytes.size();) {
    const std::size_t size = number(block + 4, 4);
    if (size < 12 || size > bytes.size() - block)
      return 6;
    constexpr std::uint32_t kInterfaceDescription = 1;
    if (number(block, 4) == kInterfaceDescription) {
      constexpr std::uint32_t kTimeResolution = 9;
      for (std::size_t option = block + 16; option + 5 <= block + size;) {
        const std::size_t length = number(option + 2, 2);
        if (number(option, 2) == kTimeResolution && length == 1)
          return bytes[option + 4] == std::byte{9} ? 9 : 6;
        option += 4 + (length + 3) / 4 * 4;
      }
      return 6;
    }
    block += size;
  }
  return 6;
}

bool is_compressed(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return file.get() == 0x1f && file.get() == 0x8b;
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

Capture Capture::open_file(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  pcap_t* const handle = pcap_open_offline_with_tstamp_precision(
      path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error.data());
  if (handle == nullptr) {
    const std::string why = error.data();
    const std::string hint = is_compressed(path) ? " (gunzip it first)" : "";
    throw TraceFailure(why.starts_with(path) ? why : path + ": " + why + hint);
  }
  return {handle, path == "-" ? 6 : time_digits_of(path)};
}

Capture Capture::open_interface(const std::string& name, const std::string& filter) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  pcap_t* const handle = pcap_create(name.c_str(), error.data());
  if (handle == nullptr)
    throw TraceFailure(name + ": " + error.data());
  Capture capture(handle, 6);
  pcap_set_snaplen(handle, kSnapshotLength);
  pcap_set_immediate_mode(handle, 1);
  pcap_set_buffer_size(handle, kBufferSize);
  pcap_set_timeout(handle, kWakeUpMs);
  if (const int status = pcap_activate(handle); status < 0) {
    const std::string hint = status == PCAP_ERROR_PERM_DENIED ? " (capturing needs root)" : "";
    throw TraceFailure("cannot capture on " + name + ": " + pcap_statustostr(status) + hint);
  }
  if (!filter.empty()) {
    bpf_program program{};
    if (pcap_compile(handle, &program, filter.c_str(), 1, PCAP_NETMASK_UNKNOWN) != 0)
      throw TraceFailure("cannot use the filter '" + filter + "': " + pcap_geterr(handle));
    const int status = pcap_setfilter(handle, &program);
    pcap_freecode(&program);
    if (status != 0)
      throw TraceFailure("cannot use the filter '" + filter + "': " + pcap_geterr(handle));
  }
  return capture;
}

void Capture::write_to(const std::string& path) {
  dumper_.reset(pcap_dump_open(handle_.get(), path.c_str()));
  if (dumper_ == nullptr)
    throw TraceFailure(pcap_geterr(handle_.get()));
}

std::optional<CapturedPacket> Capture::next() {
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  int status = 0;
  do {
    status = pcap_next_ex(handle_.get(), &header, &data);
  } while (status == 0);  // 0: the timeout of a live capture, without a packet
  if (status == PCAP_ERROR_BREAK)
    return std::nullopt;
  if (status < 0)
    throw TraceFailure(pcap_geterr(handle_.get()));
  if (dumper_ != nullptr) {
    pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), header, data);
    if (pcap_dump_flush(dumper_.get()) != 0)
      throw TraceFailure("cannot write the capture: " + std::system_category().message(errno));
  }
  const bool is_nano = pcap_get_tstamp_precision(handle_.get()) == PCAP_TSTAMP_PRECISION_NANO;
  const std::int64_t seconds = std::clamp<std::int64_t>(header->ts.tv_sec, -kMaxTime, kMaxTime);
  return CapturedPacket{seconds * 1'000'000'000 + header->ts.tv_usec * (is_nano ? 1 : 1000),
                        header->len, std::as_bytes(std::span(data, header->caplen))};
}

}  // namespace ws::trace
