// The format of a fuzzer's input: the cuts, and the stream to cut.
//
//      byte 0       number of cuts, 0 to 15 (its low four bits); the other bits: for the target
//      next bytes   one per cut: the length of a read, 0 included
//      remainder    the stream; its bytes after the last cut are one last read
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace ws::fuzz {

struct Input {
  unsigned choice = 0;            ///< for the target: 0 to 15
  std::vector<std::size_t> cuts;  ///< where a read ends and the next begins; ascending
  std::string_view stream;

  Input(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
      return;
    choice = data[0] >> 4U;
    const std::size_t count = std::size_t{data[0]} & 0xFU;
    stream = {reinterpret_cast<const char*>(data) + 1, size - 1};
    if (stream.size() < count) {
      stream = {};
      return;
    }
    const std::string_view lengths = stream.substr(0, count);
    stream.remove_prefix(count);
    std::size_t at = 0;
    for (const char length : lengths) {
      at += static_cast<unsigned char>(length);
      if (at >= stream.size())
        break;
      cuts.push_back(at);
    }
  }
};

/// Aborts unless `holds`, so that the fuzzer saves the input.
inline void require(bool holds, const char* what) {
  if (holds)
    return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace ws::fuzz
