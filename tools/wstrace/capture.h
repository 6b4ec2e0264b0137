// Reads packets from a capture file (pcap or pcapng) or a network interface, with libpcap.
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

/// An error that ends the program; the text is a line for the user.
struct TraceFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Reads an unsigned number of at most 4 bytes; big-endian, as in packets, unless `is_little`.
[[nodiscard]] std::uint32_t read_number(std::span<const std::byte> bytes, bool is_little = false);

struct CapturedPacket {
  std::int64_t time_ns = 0;            ///< since 1970; limited, so that differences do not overflow
  std::size_t length = 0;              ///< bytes on the wire
  std::span<const std::byte> bytes{};  ///< the captured part; valid until the next call of `next`
};

class Capture {
 public:
  /// Opens a capture file; "-" is standard input. Throws TraceFailure.
  static Capture open_file(const std::string& path);
  /// Starts a live capture. `filter`: an expression of pcap-filter(7); empty: all packets. Throws TraceFailure.
  static Capture open_interface(const std::string& name, const std::string& filter);

  /// Opens a pcap file to which `next` then writes and flushes each packet. Throws TraceFailure.
  void write_to(const std::string& path);
  /// The next packet; nullopt at the end of the file, or after `stop`. Throws TraceFailure where the file is truncated
  /// or damaged; the packets returned before are valid.
  std::optional<CapturedPacket> next();
  /// Makes `next` return nullopt. May be called from a signal handler.
  void stop() { pcap_breakloop(handle_.get()); }

  /// The link-layer type: a DLT_… constant, see pcap-linktype(7).
  [[nodiscard]] int link_type() const { return pcap_datalink(handle_.get()); }
  /// Resolution of the times, in decimal digits of a second: 6 or 9.
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
