#include "tools/wstrace/capture.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <new>
#include <system_error>
#include <utility>

namespace ws::trace {
namespace {

constexpr int kSnapshotLength = 262'144;  // bytes: longer than any packet
/// Bytes. In immediate mode each packet uses a slot of the snapshot length: the default of 2 MiB would hold 8 packets.
constexpr int kBufferSize = 64 * 1024 * 1024;
constexpr int kWakeUpMs = 100;  // how often a live capture checks for `stop`

/// The resolution of a pcap file's timestamps, 6 or 9 digits. libpcap converts it and does not report it, but Wireshark
/// shows it.
int time_digits_of(std::span<const std::byte> magic) {
  constexpr std::uint32_t kNanoseconds = 0xa1b23c4d;
  return read_number(magic, true) == kNanoseconds || read_number(magic) == kNanoseconds ? 9 : 6;
}

/// Returns a FILE that reads from `input`, for libpcap; nullptr on failure.
std::FILE* open_stream(CaptureInput& input) {
  const auto read = [](void* cookie, char* bytes, std::size_t size) -> ssize_t {
    try {
      return static_cast<ssize_t>(
          static_cast<CaptureInput*>(cookie)->read(std::as_writable_bytes(std::span(bytes, size))));
    } catch (const TraceFailure&) {
      errno = EIO;
      return -1;
    }
  };
  return ::fopencookie(&input, "rb",
                       {.read = read, .write = nullptr, .seek = nullptr, .close = nullptr});
}

}  // namespace

Capture Capture::open_file(const std::string& path) {
  try {
    return Capture(std::make_unique<CaptureInput>(path));
  } catch (const TraceFailure& failure) {
    throw TraceFailure(path + ": " + failure.what());
  }
}

Capture::Capture(std::unique_ptr<CaptureInput> input) : input_(std::move(input)) {
  if (PcapngReader::is_pcapng(input_->magic())) {
    pcapng_ = std::make_unique<PcapngReader>(
        [from = input_.get()](std::span<std::byte> bytes) { return from->read(bytes); });
    return;
  }
  std::FILE* const stream = open_stream(*input_);
  if (stream == nullptr)
    throw std::bad_alloc();
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  handle_.reset(
      pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, error.data()));
  if (handle_ == nullptr) {
    static_cast<void>(std::fclose(stream));
    throw TraceFailure(input_->error().empty() ? error.data() : input_->error());
  }
  time_digits_ = time_digits_of(input_->magic());
}

Capture Capture::open_interface(const std::string& name, const std::string& filter) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  pcap_t* const handle = pcap_create(name.c_str(), error.data());
  if (handle == nullptr)
    throw TraceFailure(name + ": " + error.data());
  Capture capture(handle);
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

std::optional<int> Capture::link_type() const {
  if (pcapng_ != nullptr)
    return std::nullopt;
  return pcap_datalink(handle_.get());
}

std::optional<CapturedPacket> Capture::next() {
  if (pcapng_ != nullptr)
    return pcapng_->next();
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  int status = 0;
  do {
    status = pcap_next_ex(handle_.get(), &header, &data);
  } while (status == 0);  // 0: the timeout of a live capture, without a packet
  if (status == PCAP_ERROR_BREAK)
    return std::nullopt;
  if (status < 0) {
    const bool is_input = input_ != nullptr && !input_->error().empty();
    throw TraceFailure(is_input ? input_->error() : pcap_geterr(handle_.get()));
  }
  if (dumper_ != nullptr) {
    pcap_dump(reinterpret_cast<u_char*>(dumper_.get()), header, data);
    if (pcap_dump_flush(dumper_.get()) != 0)
      throw TraceFailure("cannot write the capture: " + std::system_category().message(errno));
  }
  const bool is_nano = pcap_get_tstamp_precision(handle_.get()) == PCAP_TSTAMP_PRECISION_NANO;
  const std::int64_t seconds = std::clamp<std::int64_t>(header->ts.tv_sec, -kMaxTime, kMaxTime);
  return CapturedPacket{seconds * 1'000'000'000 + header->ts.tv_usec * (is_nano ? 1 : 1000),
                        header->len, std::as_bytes(std::span(data, header->caplen)),
                        pcap_datalink(handle_.get()), time_digits_};
}

}  // namespace ws::trace
