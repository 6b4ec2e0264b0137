// Where packets come from: a capture file (pcap or pcapng), or a network interface; both by libpcap.
#pragma once

#include <pcap/pcap.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

namespace ws::trace {

/// Something that ends the program, with a line that says what and what to do.
struct TraceFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A number of four bytes at most. In packets the most significant byte comes first.
[[nodiscard]] std::uint32_t read_number(std::span<const std::byte> bytes, bool is_little = false);

struct CapturedPacket {
  std::int64_t time_ns = 0;            ///< since 1970; two of them can be subtracted
  std::size_t length = 0;              ///< bytes on the wire
  std::span<const std::byte> bytes{};  ///< those that were captured; valid until the next call
};

class Capture {
 public:
  /// A capture file; "-" is standard input. Throws TraceFailure.
  static Capture open_file(const std::string& path);
  /// Captures live; `filter` is one of pcap-filter(7), empty for all. Throws TraceFailure.
  static Capture open_interface(const std::string& name, const std::string& filter);

  /// Writes what `next` returns to a pcap file, each packet at once. Throws TraceFailure.
  void write_to(const std::string& path);
  /// The next packet; nullopt at the end of the file, or once `stop` was called. Throws TraceFailure where the
  /// file is cut or damaged: what was returned before is sound.
  std::optional<CapturedPacket> next();
  /// Makes `next` return nullopt. May be called from a signal handler.
  void stop() { pcap_breakloop(handle_.get()); }

  /// A DLT_… of pcap-linktype(7).
  [[nodiscard]] int link_type() const { return pcap_datalink(handle_.get()); }
  /// Decimal digits of a second that the source has: 6 or 9.
  [[nodiscard]] int time_digits() const { return time_digits_; }

 private:
  struct Close {
    void operator()(pcap_t* handle) const { pcap_close(handle); }
    void operator()(pcap_dumper_t* dumper) const { pcap_dump_close(dumper); }
  };
  Capture(pcap_t* handle, int time_digits) : handle_(handle), time_digits_(time_digits) {}

  std::unique_ptr<pcap_t, Close> handle_;
  std::unique_ptr<pcap_dumper_t, Close> dumper_;
  int time_digits_;
};

}  // namespace ws::trace
