// Reads packets from a capture file or a network interface: pcapng files with PcapngReader, the others with libpcap.
#pragma once

#include <pcap/pcap.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tools/wstrace/input.h"
#include "tools/wstrace/pcapng.h"

namespace ws::trace {

class Capture {
 public:
  /// Opens a capture file, which may be compressed with gzip; "-" is standard input. Throws TraceFailure.
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

  /// The link-layer type of all packets: a DLT_… constant, see pcap-linktype(7). nullopt: each packet may have another.
  [[nodiscard]] std::optional<int> link_type() const;

 private:
  struct Close {
    void operator()(pcap_t* handle) const { pcap_close(handle); }
    void operator()(pcap_dumper_t* dumper) const { pcap_dump_close(dumper); }
  };
  explicit Capture(pcap_t* handle) : handle_(handle) {}
  explicit Capture(std::unique_ptr<CaptureInput> input);

  std::unique_ptr<CaptureInput> input_;   ///< of a file
  std::unique_ptr<PcapngReader> pcapng_;  ///< of a pcapng file; then `handle_` is not used
  std::unique_ptr<pcap_t, Close> handle_;
  std::unique_ptr<pcap_dumper_t, Close> dumper_;
  int time_digits_ = 6;
};

}  // namespace ws::trace
