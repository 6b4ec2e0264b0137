// How the open connections are spread over the threads, and their numbers: 0 to `total()` - 1, round-robin over the
// threads. Threads may have different numbers of connections, since some may not have opened.
//
//      thread 0   │ 0 │ 3 │ 5 │
//      thread 1   │ 1 │            slots 0, 1, 2
//      thread 2   │ 2 │ 4 │
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace ws::load {

class Layout {
 public:
  Layout() = default;
  /// `open`: the number of connections of each thread.
  explicit Layout(std::vector<std::size_t> open) : open_(std::move(open)) {}

  [[nodiscard]] bool is_known() const { return !open_.empty(); }
  [[nodiscard]] std::size_t total() const {
    return std::accumulate(open_.begin(), open_.end(), std::size_t{0});
  }
  /// The number of connections of `thread`.
  [[nodiscard]] std::size_t of(unsigned thread) const { return open_[thread]; }
  [[nodiscard]] std::size_t number(unsigned thread, std::size_t slot) const {
    std::size_t before = 0;
    for (std::size_t other = 0; other < open_.size(); ++other)
      before += std::min(open_[other], other < thread ? slot + 1 : slot);
    return before;
  }
  struct Place {
    unsigned thread = 0;
    std::size_t slot = 0;
  };
  /// The places of the connections 0 to `count` - 1; `count` is at most `total()`.
  [[nodiscard]] std::vector<Place> first(std::size_t count) const {
    std::vector<Place> places;
    for (std::size_t slot = 0; places.size() < count; ++slot) {
      for (unsigned thread = 0; thread < open_.size() && places.size() < count; ++thread) {
        if (slot < open_[thread])
          places.push_back({thread, slot});
      }
    }
    return places;
  }
  /// Threads that have connections, and how many of them come before `thread`.
  [[nodiscard]] unsigned busy_threads() const { return busy_before(open_.size()); }
  [[nodiscard]] unsigned busy_before(std::size_t thread) const {
    return static_cast<unsigned>(std::count_if(open_.begin(),
                                               open_.begin() + static_cast<std::ptrdiff_t>(thread),
                                               [](std::size_t open) { return open != 0; }));
  }

 private:
  std::vector<std::size_t> open_;
};

}  // namespace ws::load
