// Reads pcapng files (draft-ietf-opsawg-pcapng). libpcap refuses files whose interfaces differ in snapshot length, link
// type or time resolution. Such files are common: captures of several interfaces, and files from Windows or mergecap.
//
//      section header   begins a section: byte order, and a new list of interfaces
//      interface        link type, resolution of the times
//      packet           enhanced, simple or obsolete; refers to its interface by the number in the section
//      other blocks     (names, statistics, secrets, custom, unknown) are skipped
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ws::trace {

/// Reads an unsigned number of at most 4 bytes; big-endian, as in packets, unless `is_little`.
[[nodiscard]] std::uint32_t read_number(std::span<const std::byte> bytes, bool is_little = false);

/// The maximum seconds before and after 1970, so that the difference of two times in nanoseconds fits in 64 bits.
inline constexpr std::int64_t kMaxTime = std::int64_t{1} << 32U;

struct CapturedPacket {
  std::int64_t time_ns = 0;  ///< since 1970, at most `kMaxTime` seconds away; 0 if unknown
  std::size_t length = 0;    ///< bytes on the wire
  std::span<const std::byte> bytes{};  ///< the captured part; valid until the next packet is read
  int link_type = 0;                   ///< a DLT_… constant, see pcap-linktype(7)
  int time_digits = 6;  ///< decimals of the time in seconds, 0 to 9; kNoTime: the time is unknown
  static constexpr int kNoTime = -1;
};

class PcapngReader {
 public:
  /// Reads 1 to `bytes.size()` bytes of the file; returns 0 at its end.
  using Read = std::function<std::size_t(std::span<std::byte> bytes)>;

  explicit PcapngReader(Read read) : read_(std::move(read)) {}

  /// Whether a file that begins with these bytes is pcapng.
  [[nodiscard]] static bool is_pcapng(std::span<const std::byte> magic);
  /// The next packet; nullopt at the end of the file. If the file is truncated or damaged, throws a TraceFailure that
  /// names the block and its offset; packets returned earlier are valid.
  std::optional<CapturedPacket> next();

 private:
  struct Interface {
    int link_type = 0;
    std::uint32_t snapshot_length = 0;           ///< 0: unlimited
    std::uint64_t ticks_per_second = 1'000'000;  ///< 0: 2⁶⁴ or more; then the times are 0
    std::int64_t offset = 0;                     ///< seconds to add to each time
  };

  bool read_block();
  void begin_section();
  void add_interface();
  [[nodiscard]] CapturedPacket read_enhanced() const;
  [[nodiscard]] CapturedPacket read_simple() const;
  [[nodiscard]] CapturedPacket read_obsolete() const;
  void set_time(std::size_t at, const Interface& interface, CapturedPacket& packet) const;
  [[nodiscard]] const Interface& interface_at(std::uint32_t number) const;
  void set_bytes(std::size_t header, std::size_t captured, CapturedPacket& packet) const;
  [[nodiscard]] std::uint32_t number(std::size_t at, std::size_t size = 4) const;
  void require_body(std::size_t size) const;

  std::size_t fill(std::span<std::byte> bytes);
  void read_all(std::span<std::byte> bytes);
  void skip(std::size_t size);
  [[noreturn]] void fail(const std::string& why) const;

  Read read_;
  bool is_little_ = true;
  std::vector<Interface> interfaces_;  ///< of the section
  std::vector<std::byte> body_;        ///< of the block, without type and lengths; empty if skipped
  std::uint64_t block_ = 0;            ///< number of the block, 1 for the first
  std::uint64_t block_at_ = 0;         ///< its offset in the (decompressed) file
  std::uint64_t offset_ = 0;           ///< bytes read
  std::uint32_t type_ = 0;             ///< of the block
};

}  // namespace ws::trace
