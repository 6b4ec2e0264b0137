// How many connections there are, in all and of each address, over all loops: the limits that --max-connections and
// --max-connections-per-address set. Everything here may be called from any thread.
//
// Who is over a limit is answered 503, and counts until that was said and TCP has ended. Some such refusals may be
// under way at a time; what comes above them is just closed.
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
  /// `most_of_address`: 0 for no such limit, and then no address is looked at.
  ConnectionCount(std::size_t most, std::size_t most_of_address)
      : most_(most), most_of_address_(most_of_address) {}

  enum class Verdict : std::uint8_t {
    kWelcome,
    kFull,     ///< over a limit, and counted: to be refused
    kTooMany,  ///< not even that: not counted
  };
  /// Index of the count of one client address.
  using Address = std::uint32_t;
  static constexpr Address kNotCounted = UINT32_MAX;
  struct Entry {
    Verdict verdict;
    Address address = kNotCounted;  ///< for `leave`
  };

  /// Counts one more, from `host`: an address of 4 or 16 bytes.
  [[nodiscard]] Entry enter(std::string_view host);
  /// ... and one less.
  void leave(Address address);

 private:
  std::size_t most_;
  std::size_t most_of_address_;
  std::atomic<std::size_t> size_{0};

  [[nodiscard]] Address find_or_add(std::string_view host);

  std::mutex mutex_;                                ///< for what is below
  std::unordered_map<std::string, Address> index_;  ///< of each address that has connections
  struct Count {
    const std::string* host;    ///< its key in `index_`
    std::uint32_t connections;  ///< 0: free
  };
  std::vector<Count> counts_;
  std::vector<Address> free_;  ///< those of `counts_` that are; it has the memory for all of them
};

}  // namespace ws
