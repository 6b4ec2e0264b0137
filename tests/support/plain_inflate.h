// The plain decoder's half of permessage-deflate: RFC 7692 §7.2.2, by zlib on all that is there of a message, with
// the text before it in its window.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>

#include <zlib.h>

namespace ws::plain {

inline constexpr std::size_t kWindow = 32768;
inline constexpr std::string_view kTail{"\x00\x00\xff\xff", 4};

struct Inflated {
  std::string text;        ///< as far as it goes, but no more than was asked for
  bool is_broken = false;  ///< and no further
  bool is_at_end = false;  ///< of a block, and of a byte
};

/// What `octets`, which look back at `before`, come to: `most` bytes at most. `flush`: Z_SYNC_FLUSH goes as far as the
/// bits go; Z_BLOCK stops behind the last block, for `is_at_end`.
inline Inflated inflate(std::string_view octets, std::string_view before, std::size_t most,
                        int flush) {
  z_stream zlib{};
  Inflated inflated;
  // A stream of its own for what is behind a block with BFINAL: for zlib that one ends the first.
  const auto begin = [&] {
    if (inflateInit2(&zlib, -15) != Z_OK)
      std::abort();
    std::string window = std::string(before) + inflated.text;
    window.erase(0, window.size() - std::min(window.size(), kWindow));
    if (inflateSetDictionary(&zlib, reinterpret_cast<const Bytef*>(window.data()),
                             static_cast<uInt>(window.size())) != Z_OK)
      std::abort();
  };
  begin();
  zlib.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(octets.data()));
  zlib.avail_in = static_cast<uInt>(octets.size());
  for (;;) {
    char piece[4096];
    const std::size_t room = std::min(sizeof piece, most - inflated.text.size());
    zlib.next_out = reinterpret_cast<Bytef*>(piece);
    zlib.avail_out = static_cast<uInt>(room);
    // data_type tells that a block ended (128), that it was the last (64), and how many bits of a
    // byte are left over (1 to 7), which BFINAL makes padding.
    const int status = ::inflate(&zlib, flush);
    inflated.text.append(piece, room - zlib.avail_out);
    inflated.is_broken = status == Z_DATA_ERROR;
    inflated.is_at_end =
        (zlib.data_type & 128) != 0 && ((zlib.data_type & 64) != 0 || (zlib.data_type & 7) == 0);
    const bool is_used_up = zlib.avail_in == 0 && zlib.avail_out != 0;
    if (inflated.is_broken || is_used_up || inflated.text.size() == most)
      break;
    if (status == Z_STREAM_END) {
      inflateEnd(&zlib);
      begin();
    }
  }
  inflateEnd(&zlib);
  return inflated;
}

/// One direction's messages, one after the other.
class Context {
 public:
  explicit Context(bool takes_over) : takes_over_(takes_over) {}

  /// Of a message that is not whole.
  Inflated look_at(std::string_view octets, std::size_t most) const {
    return inflate(octets, before_, most, Z_SYNC_FLUSH);
  }
  /// A message that is whole: is it sound? What a sender has left off its end is the end of an empty block, and no
  /// part of the text.
  bool end(std::string_view octets, std::size_t most) {
    const Inflated without = look_at(octets, most);
    const Inflated with = inflate(std::string(octets).append(kTail), before_, most, Z_BLOCK);
    if (takes_over_)
      before_ += with.text;
    return !with.is_broken && with.is_at_end && with.text == without.text;
  }

 private:
  bool takes_over_;
  std::string before_;
};

}  // namespace ws::plain
