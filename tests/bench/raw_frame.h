// The parts of a client's frame that raw_ws uses: a length and a masking key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace raw {

struct Header {
  std::size_t size = 0;  ///< 0: not whole yet
  std::uint64_t payload = 0;
  std::uint64_t key = 0;
};

inline Header read_header(const char* bytes, std::size_t size) {
  const auto byte = [bytes](std::size_t i) {
    return std::uint64_t{static_cast<unsigned char>(bytes[i])};
  };
  Header header;
  if (size < 2)
    return header;
  const std::uint64_t length = byte(1) & 0x7FU;
  const std::size_t extended = length < 126 ? 0 : length == 126 ? 2 : 8;
  if (size < 2 + extended + 4)
    return header;
  header.size = 2 + extended + 4;
  header.payload = extended == 0 ? length : 0;
  for (std::size_t i = 0; i < extended; ++i)
    header.payload = header.payload << 8U | byte(2 + i);
  std::uint32_t key = 0;
  std::memcpy(&key, bytes + 2 + extended, sizeof key);
  header.key = std::uint64_t{key} << 32U | key;
  return header;
}

/// Unmasks, and moves to the front: 32 bytes per step, all of which are read before any is written.
inline void unmask(char* to, const char* from, std::uint64_t size, std::uint64_t key) {
  using Words = std::uint64_t __attribute__((vector_size(16)));
  const Words keys = {key, key};
  std::uint64_t i = 0;
  for (; i + 32 <= size; i += 32) {
    Words first;
    Words second;
    std::memcpy(&first, from + i, 16);
    std::memcpy(&second, from + i + 16, 16);
    first ^= keys;
    second ^= keys;
    std::memcpy(to + i, &first, 16);
    std::memcpy(to + i + 16, &second, 16);
  }
  for (; i < size; ++i)
    to[i] = static_cast<char>(from[i] ^ static_cast<char>(key >> i % 4 * 8));
}

/// The server's header is the client's without the key. A ping is answered by a pong.
inline std::size_t write_header(char* to, const char* from, const Header& header) {
  const bool is_ping = (from[0] & 0x0F) == 0x9;
  const char first = static_cast<char>(is_ping ? 0x8A : from[0]);
  const char second = static_cast<char>(from[1] & 0x7F);
  std::memmove(to + 2, from + 2, header.size - 6);
  to[0] = first;
  to[1] = second;
  return header.size - 4;
}

}  // namespace raw
