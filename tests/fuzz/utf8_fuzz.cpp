// UTF-8, whole and cut, by block and by byte, compared with a decoder that uses no table of ranges.
#include "protocol/frame/utf8.h"

#include <algorithm>

#if FBF_FAST
#include "protocol/fast/utf8_blocks.h"
#endif
#include "tests/fuzz/input.h"
#include "tests/support/bytes.h"

namespace {

/// RFC 3629 §3 by arithmetic: decodes, and checks that the value needs that many bytes.
bool is_utf8_by_value(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    if (first < 0x80)
      continue;
    const unsigned tail = first >> 5U == 6 ? 1 : first >> 4U == 14 ? 2 : first >> 3U == 30 ? 3 : 0;
    if (tail == 0 || text.size() - i < tail)
      return false;
    std::uint32_t value = first & (0x3FU >> tail);
    for (unsigned k = 0; k < tail; ++k) {
      const auto next = static_cast<unsigned char>(text[i++]);
      if (next >> 6U != 2)
        return false;
      value = value << 6U | (next & 0x3FU);
    }
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (value < kLeast[tail] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
      return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using ws::fuzz::require;
  const ws::fuzz::Input input(data, size);
  const bool is_valid = is_utf8_by_value(input.stream);

  static ws::test::GuardedMemory memory(1 << 16);
  if (input.stream.size() > 1 << 16)
    return 0;
  const std::span<const std::byte> whole = memory.before_guard(input.stream);
  require(ws::is_utf8(whole) == is_valid, "whole: a different result");
#if FBF_FAST
  if (std::ssize(whole) >= ws::kUtf8Block) {
    const std::byte* const to = ws::skip_utf8_blocks(whole.data(), whole.data() + whole.size());
    const auto passed = static_cast<std::size_t>(to - whole.data());
    require(is_utf8_by_value(input.stream.substr(0, passed)), "blocks: skipped invalid bytes");
    require(!is_valid || passed == 0 || whole.size() - passed < 7, "blocks: stopped too early");
  }
#endif

  ws::Utf8Validator validator;
  ws::Utf8Validator by_bytes;
  bool is_accepted = true;
  std::size_t begin = 0;
  const auto accept_up_to = [&](std::size_t end) {
    if (!is_accepted)
      return;
    const std::span<const std::byte> piece =
        memory.before_guard(input.stream.substr(begin, end - begin));
    is_accepted = validator.accept(piece);
    const auto accepts_byte = [&](std::byte byte) { return by_bytes.accept(byte); };
    require(std::ranges::all_of(piece, accepts_byte) == is_accepted,
            "byte by byte: a different result");
    require(!is_accepted || by_bytes.is_complete() == validator.is_complete(),
            "byte by byte: a different incomplete character");
    begin = end;
  };
  for (const std::size_t cut : input.cuts)
    accept_up_to(cut);
  accept_up_to(input.stream.size());
  require((is_accepted && validator.is_complete()) == is_valid, "cut: a different result");
  return 0;
}
