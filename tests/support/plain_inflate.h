// permessage-deflate for the plain decoder: RFC 7692 §7.2.2. zlib inflates all bytes of a message that have arrived,
// with the previous text as the window.
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
  std::string text;        ///< at most the requested number of bytes
  bool is_broken = false;  ///< the octets after `text` are invalid
  bool is_at_end = false;  ///< at the end of a block and of a byte
};

/// Inflates `octets`, with `before` as the window, to at most `most` bytes. `flush`: Z_SYNC_FLUSH consumes all bits;
/// Z_BLOCK stops after the last block, for `is_at_end`.
inline Inflated inflate(std::string_view octets, std::string_view before, std::size_t most,
                        int flush) {
  z_stream zlib{};
  Inflated inflated;
  // A new zlib stream for each part after a block with BFINAL, which ends a stream for zlib.
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
    // data_type tells that a block ended (128), that it was the last (64), and how many bits of the last byte are
    // unused (1 to 7), which are padding after BFINAL.
    const int status = ::inflate(&zlib, flush);
    inflated.text.append(piece, room - zlib.avail_out);
    inflated.is_broken = status == Z_DATA_ERROR;
    const bool is_block_end =
        (zlib.data_type & 128) != 0 && ((zlib.data_type & 64) != 0 || (zlib.data_type & 7) == 0);
    // With Z_BUF_ERROR the call did nothing, so an end before it still counts.
    inflated.is_at_end =
        is_block_end || status == Z_STREAM_END || (status == Z_BUF_ERROR && inflated.is_at_end);
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

/// How the octets of a message end.
enum class Ending {
  kBroken,  ///< inside a block, or there are no octets
  kWithTail,  ///< as the RFC requires: the tail that the sender removed ends an empty block and adds no text
  kWhole,  ///< at the end of a block: the sender did not remove the tail, or did not add an empty block
};

/// Inflates the messages of one direction, one after the other.
class Context {
 public:
  explicit Context(bool takes_over) : takes_over_(takes_over) {}

  /// Inflates a part of a message.
  Inflated look_at(std::string_view octets, std::size_t most) const {
    return inflate(octets, before_, most, Z_SYNC_FLUSH);
  }
  /// Ends a message.
  Ending end(std::string_view octets, std::size_t most) {
    const Inflated without = inflate(octets, before_, most, Z_BLOCK);
    const Inflated with = inflate(std::string(octets).append(kTail), before_, most, Z_BLOCK);
    const std::string text = look_at(octets, most).text;
    if (takes_over_)
      before_ += text;
    if (octets.empty() || without.is_broken)
      return Ending::kBroken;
    if (without.is_at_end)
      return Ending::kWhole;
    return !with.is_broken && with.is_at_end && with.text == text ? Ending::kWithTail
                                                                  : Ending::kBroken;
  }

 private:
  bool takes_over_;
  std::string before_;
};

}  // namespace ws::plain
