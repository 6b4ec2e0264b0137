// Masking: RFC 6455 §5.3.
#include "protocol/frame/mask.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/support/bytes.h"

namespace ws::test {
namespace {

constexpr MaskingKey kExampleKey = {std::byte{0x37}, std::byte{0xfa}, std::byte{0x21},
                                    std::byte{0x3d}};

/// §5.3: octet i of the result is octet i XOR key octet (i modulo 4).
Bytes reference(Bytes payload, std::size_t offset) {
  for (std::size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<char>(payload[i] ^ kKey[(offset + i) % 4]);
  }
  return payload;
}

Bytes sample(std::size_t size) {
  Bytes bytes;
  for (std::size_t i = 0; i < size; ++i)
    bytes += static_cast<char>(i * 7 + 1);
  return bytes;
}

TEST(Mask, MatchesTheExampleOfRfc6455) {
  // [6455-5.3-MASK] §5.7: 7f 9f 4d 51 58 is "Hello" under 37 fa 21 3d
  Bytes bytes = hex("7f 9f 4d 51 58");
  apply_mask(std::as_writable_bytes(std::span(bytes)), kExampleKey);
  EXPECT_EQ(bytes, "Hello");
  apply_mask(std::as_writable_bytes(std::span(bytes)), kExampleKey);  // and back
  EXPECT_EQ(bytes, hex("7f 9f 4d 51 58"));
}

std::vector<std::size_t> sizes() {
  std::vector<std::size_t> sizes;
  for (std::size_t size = 0; size <= 70; ++size)
    sizes.push_back(size);
  for (std::size_t size = 250; size <= 326; ++size)
    sizes.push_back(size);
  sizes.push_back(575);
  return sizes;
}

TEST(Mask, MatchesTheReferenceAtEachAlignmentAndChangesNoOtherByte) {
  // apply_mask works in steps of 64 bytes, from 256 on in wider registers, and halves the step for the last bytes. The
  // sizes lie on both sides of several steps.
  for (const std::size_t size : sizes()) {
    const Bytes expected[] = {reference(sample(size), 0), reference(sample(size), 1),
                              reference(sample(size), 2), reference(sample(size), 3)};
    for (std::size_t offset = 0; offset < 8; ++offset) {
      for (std::size_t alignment = 0; alignment <= 8; ++alignment) {
        alignas(8) char room[600];
        std::ranges::fill(room, '!');
        std::ranges::copy(sample(size), room + alignment);
        apply_mask(std::as_writable_bytes(std::span(room)).subspan(alignment, size), kExampleKey,
                   offset);
        const Bytes wanted = Bytes(alignment, '!') + expected[offset % 4] +
                             Bytes(sizeof room - alignment - size, '!');
        ASSERT_EQ(Bytes(room, sizeof room), wanted)
            << size << " bytes at " << alignment << ", offset " << offset;
      }
    }
  }
}

TEST(Mask, AccessesNoByteOutsideThePayload) {
  GuardedMemory memory(600);
  for (const std::size_t size : sizes()) {
    for (const auto place : {&GuardedMemory::before_guard, &GuardedMemory::behind_guard}) {
      const std::span<std::byte> bytes = (memory.*place)(sample(size));
      apply_mask(bytes, kExampleKey, 3);
      EXPECT_EQ(to_bytes(bytes), reference(sample(size), 3));
    }
  }
}

TEST(Mask, ContinuesAtTheGivenOffset) {
  // A payload may arrive in several reads: the offset counts from its start.
  for (std::size_t cut = 0; cut <= 40; ++cut) {
    Bytes bytes = sample(40);
    const auto span = std::as_writable_bytes(std::span(bytes));
    apply_mask(span.first(cut), kExampleKey);
    apply_mask(span.subspan(cut), kExampleKey, cut);
    EXPECT_EQ(bytes, reference(sample(40), 0)) << "cut at " << cut;
  }
  for (const std::size_t offset : {SIZE_MAX, SIZE_MAX - 1, std::size_t{1} << 62U}) {
    Bytes bytes = sample(20);
    apply_mask(std::as_writable_bytes(std::span(bytes)), kExampleKey, offset);
    EXPECT_EQ(bytes, reference(sample(20), offset % 4)) << "the offset can be as large as a length";
  }
}

}  // namespace
}  // namespace ws::test
