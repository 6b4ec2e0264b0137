// Random numbers for tests, from a fixed seed: the same on every machine, so that a failure can be reproduced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace ws::test {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}

  /// From 0 to `end` - 1. (The standard's distributions differ between libraries.)
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine_() % end); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  char byte() { return static_cast<char>(below(256)); }
  template <typename T, std::size_t n>
  const T& one_of(const T (&choices)[n]) {
    return choices[below(n)];
  }
  /// Positions that cut `size` bytes into chunks of random sizes, up to a random limit of at most `longest`.
  std::vector<std::size_t> cuts(std::size_t size, std::size_t longest) {
    std::vector<std::size_t> cuts;
    longest = 1 + below(longest);
    for (std::size_t at = 1 + below(longest); at < size; at += 1 + below(longest))
      cuts.push_back(at);
    return cuts;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace ws::test
