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
#include <utility>

namespace ws {

/// An address (4 or 16 bytes), and how many connections it has.
using AddressCount = std::pair<const std::string, std::uint32_t>;

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
  struct Entry {
    Verdict verdict;
    AddressCount* address = nullptr;  ///< for `leave`; null if addresses are not counted
  };

  /// Counts one more, from `host`.
  [[nodiscard]] Entry enter(std::string_view host);
  /// ... and one less.
  void leave(AddressCount* address);

 private:
  std::size_t most_;
  std::size_t most_of_address_;
  std::atomic<std::size_t> size_{0};
  std::mutex mutex_;  ///< for what is below
  std::unordered_map<std::string, std::uint32_t> addresses_;
};

}  // namespace ws
