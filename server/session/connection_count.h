// Counts the connections of all loops, in total and per client address, and enforces --max-connections and
// --max-connections-per-address. All functions may be called from any thread.
//
// A connection over a limit is refused with 503, and is counted until it is closed. Only a few refusals may be in
// progress at a time; further connections are closed without an answer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ws {

class ConnectionCount {
 public:
  /// `most`: maximum number of connections. `most_of_address`: maximum per client address; 0: no limit.
  ConnectionCount(std::size_t most, std::size_t most_of_address)
      : most_(most), most_of_address_(most_of_address) {}

  enum class Verdict : std::uint8_t {
    kWelcome,
    kFull,     ///< over a limit, but counted: refuse it with 503
    kTooMany,  ///< too many refusals in progress: not counted; close it
  };
  /// Identifies a client address: its index in `counts_`.
  using Address = std::uint32_t;
  static constexpr Address kNotCounted = UINT32_MAX;
  struct Entry {
    Verdict verdict;
    Address address = kNotCounted;  ///< to be passed to `leave`
  };

  /// Counts a connection from `host`, an address of 4 or 16 bytes.
  [[nodiscard]] Entry enter(std::string_view host);
  /// Number of connections.
  [[nodiscard]] std::size_t size() const { return size_.load(std::memory_order_relaxed); }
  /// Counts the end of a connection. `address`: from `enter`.
  void leave(Address address);

 private:
  std::size_t most_;
  std::size_t most_of_address_;
  std::atomic<std::size_t> size_{0};

  [[nodiscard]] Address find_or_add(std::string_view host);

  std::mutex mutex_;  ///< guards the members below
  /// Maps the address of a client to its index in `counts_`. Contains only clients with connections.
  std::unordered_map<std::string, Address> index_;
  struct Count {
    const std::string* host;    ///< the key of this entry in `index_`
    std::uint32_t connections;  ///< 0: the entry is free
  };
  std::vector<Count> counts_;
  std::vector<Address> free_;  ///< free entries of `counts_`; has capacity for all entries
};

}  // namespace ws
