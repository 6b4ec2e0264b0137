// Bytes as tests write them: hex, with a comment for each field, and text, so that they can be compared with a capture.
// Nothing here uses the encoder under test.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

namespace ws::test {

/// A string, so that text can be appended and GoogleTest prints it.
using Bytes = std::string;

/// Converts "81 05" to two bytes; ignores blanks.
inline Bytes hex(std::string_view digits) {
  Bytes bytes;
  int high = -1;
  for (const char c : digits) {
    if (c == ' ')
      continue;
    const int value = std::isdigit(static_cast<unsigned char>(c)) != 0 ? c - '0'
                      : c >= 'a' && c <= 'f'                           ? c - 'a' + 10
                                                                       : -1;
    if (value < 0) {
      std::fprintf(stderr, "hex(): '%c' is not a hex digit\n", c);
      std::abort();
    }
    if (high < 0) {
      high = value;
    } else {
      bytes += static_cast<char>(high * 16 + value);
      high = -1;
    }
  }
  if (high >= 0)
    std::abort();  // half a byte
  return bytes;
}

inline Bytes repeat(std::size_t count, std::string_view part) {
  Bytes bytes;
  bytes.reserve(count * part.size());
  for (std::size_t i = 0; i < count; ++i)
    bytes += part;
  return bytes;
}

/// The masking key of the examples in RFC 6455 §5.7, and masking with a key.
inline constexpr std::string_view kKey = "\x37\xfa\x21\x3d";
inline Bytes masked(std::string_view payload, std::string_view key = kKey) {
  Bytes bytes(payload);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(bytes[i] ^ key[i % 4]);
  }
  return bytes;
}

/// A frame as a server sends it, of less than 4 GiB.
inline Bytes server_frame(unsigned byte0, std::string_view payload) {
  Bytes bytes(1, static_cast<char>(byte0));
  const std::size_t size = payload.size();
  const std::size_t form = size < 126 ? 0 : size < 65536 ? 2 : 8;  // bytes of the extended length
  bytes += static_cast<char>(form == 0 ? size : form == 2 ? 126 : 127);
  for (std::size_t i = form; i > 0; --i)
    bytes += static_cast<char>(i > 4 ? 0 : size >> (8 * (i - 1)) & 0xFFU);
  return bytes.append(payload);
}
/// A frame as a client sends it.
inline Bytes client_frame(unsigned byte0, std::string_view payload, std::string_view key = kKey) {
  Bytes bytes = server_frame(byte0, payload);
  bytes.resize(bytes.size() - payload.size());
  bytes[1] = static_cast<char>(bytes[1] | '\x80');
  return bytes.append(key).append(masked(payload, key));
}

inline Bytes to_bytes(std::span<const std::byte> span) {
  return {reinterpret_cast<const char*>(span.data()), span.size()};
}
inline std::span<const std::byte> as_span(std::string_view bytes) {
  return std::as_bytes(std::span(bytes));
}

/// As hex with offsets, at most 64 bytes around `cursor`, which is marked.
inline std::string dump(std::string_view bytes, std::size_t cursor = 0) {
  std::string text;
  const std::size_t begin = (cursor > 32 ? cursor - 32 : 0) / 16 * 16;
  const std::size_t end = std::min(bytes.size(), begin + 64);
  for (std::size_t i = begin; i < end; ++i) {
    char cell[32];
    if (i % 16 == 0) {
      std::snprintf(cell, sizeof cell, "%s    %06zx ", i == begin ? "" : "\n", i);
      text += cell;
    }
    std::snprintf(cell, sizeof cell, "%c%02x", i == cursor ? '>' : ' ',
                  static_cast<unsigned>(static_cast<unsigned char>(bytes[i])));
    text += cell;
  }
  if (bytes.empty())
    text = "    (nothing)";
  if (end < bytes.size())
    text += "\n    ... " + std::to_string(bytes.size()) + " bytes in total";
  return text;
}

/// Memory between two inaccessible pages: a read or write one byte outside crashes.
class GuardedMemory {
 public:
  explicit GuardedMemory(std::size_t capacity) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    usable_ = (capacity + page) / page * page;  // at least one page
    mapped_ = usable_ + 2 * page;
    void* base = ::mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
      std::abort();
    base_ = static_cast<std::byte*>(base);
    begin_ = base_ + page;
    if (::mprotect(begin_, usable_, PROT_READ | PROT_WRITE) != 0)
      std::abort();
  }
  ~GuardedMemory() { ::munmap(base_, mapped_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  /// A copy of `bytes` whose last byte lies right before a guard page.
  std::span<std::byte> before_guard(std::string_view bytes) {
    return place(bytes, begin_ + (usable_ - bytes.size()));
  }
  /// A copy of `bytes` whose first byte lies right after a guard page.
  std::span<std::byte> behind_guard(std::string_view bytes) { return place(bytes, begin_); }

 private:
  std::span<std::byte> place(std::string_view bytes, std::byte* at) {
    if (bytes.size() > usable_)
      std::abort();
    std::ranges::copy(as_span(bytes), at);
    return {at, bytes.size()};
  }

  std::byte* base_;
  std::byte* begin_;
  std::size_t mapped_;
  std::size_t usable_;
};

}  // namespace ws::test
