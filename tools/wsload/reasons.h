// Why connections did not open: texts, each with the number of connections.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ws::load {

class Reasons {
 public:
  /// The server controls a part of the text, so the number of different texts is limited. All others are counted as
  /// `kOthers`.
  static constexpr std::size_t kMost = 20;
  static constexpr const char* kOthers = "other reasons";

  void add(std::string reason, std::uint64_t count = 1) {
    total_ += count;
    const auto has = [&reason](const Entry& entry) { return entry.first == reason; };
    auto found = std::ranges::find_if(entries_, has);
    if (found == entries_.end() && entries_.size() >= kMost) {
      reason = kOthers;
      found = std::ranges::find_if(entries_, has);
    }
    if (found == entries_.end()) {
      entries_.emplace_back(std::move(reason), count);
    } else {
      found->second += count;
    }
  }
  void add(const Reasons& other) {
    for (const auto& [reason, count] : other.entries_)
      add(reason, count);
  }

  [[nodiscard]] std::uint64_t total() const { return total_; }
  using Entry = std::pair<std::string, std::uint64_t>;
  /// The most frequent reason first; equally frequent ones in alphabetical order.
  [[nodiscard]] std::vector<Entry> sorted() const {
    std::vector<Entry> entries = entries_;
    std::ranges::sort(entries, [](const Entry& one, const Entry& two) {
      return one.second != two.second ? one.second > two.second : one.first < two.first;
    });
    return entries;
  }

 private:
  std::vector<Entry> entries_;
  std::uint64_t total_ = 0;
};

}  // namespace ws::load
