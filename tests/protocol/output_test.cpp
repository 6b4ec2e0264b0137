// Output keeps the bytes in the order of the calls.
#include "protocol/output.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/bytes.h"

namespace ws::test {
namespace {

std::vector<Bytes> pieces(const Output& out) {
  std::vector<Bytes> all;
  out.for_each_piece([&](Output::Bytes piece) { all.push_back(to_bytes(piece)); });
  return all;
}
using Pieces = std::vector<Bytes>;

TEST(Output, CollectsSmallPartsInOnePiece) {
  Output out;
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(pieces(out), Pieces{});
  out.append("one ");
  out.append(as_span("two"));
  EXPECT_EQ(pieces(out), Pieces{"one two"});
  EXPECT_EQ(out.size(), 7U);
  EXPECT_FALSE(out.empty());
  EXPECT_FALSE(out.lends());
}

TEST(Output, KeepsTheOrderOfCopiedAndLentParts) {
  const Bytes lent = "lent";
  const Bytes again = "again";
  Output out;
  out.lend(as_span(lent));
  out.append("a");
  out.append("b");
  out.lend(as_span(again));
  out.lend(as_span(lent));
  out.append("c");
  EXPECT_EQ(pieces(out), (Pieces{"lent", "ab", "again", "lent", "c"}));
  EXPECT_EQ(out.size(), 16U);
  EXPECT_TRUE(out.lends());

  std::vector<const std::byte*> addresses;
  out.for_each_piece([&](Output::Bytes piece) { addresses.push_back(piece.data()); });
  EXPECT_EQ(addresses[0], as_span(lent).data()) << "lent, not copied";
  EXPECT_EQ(addresses[2], as_span(again).data());
}

TEST(Output, AddsNoPieceForEmptyParts) {
  Output out;
  out.append("");
  out.append(Output::Bytes{});
  out.lend({});
  out.extend(0);
  EXPECT_TRUE(out.empty());
  EXPECT_FALSE(out.lends());
  EXPECT_EQ(pieces(out), Pieces{});
}

TEST(Output, KeepsItsContentWhileItsBlockGrows) {
  const Bytes lent(20'000, 'L');
  Output out;
  Bytes before;
  Bytes behind;
  for (int i = 0; i < 1000; ++i)
    out.append(before.append(1, static_cast<char>(i)).substr(before.size() - 1));
  out.lend(as_span(lent));
  for (int i = 0; i < 100'000; ++i)
    out.append(behind.append(1, static_cast<char>(i % 251)).substr(behind.size() - 1));
  EXPECT_TRUE(pieces(out) == (Pieces{before, lent, behind}));
  EXPECT_EQ(out.size(), before.size() + lent.size() + behind.size());
}

TEST(Output, RemovesUnusedBytesAtItsEndOnShrink) {
  Output out;
  out.append("head ");
  const auto room = out.extend(10);
  EXPECT_EQ(room.size(), 10U);
  std::ranges::copy(as_span("tail"), room.begin());
  out.shrink(6);
  EXPECT_EQ(out.size(), 9U);
  EXPECT_EQ(pieces(out), Pieces{"head tail"});
  out.append("!");
  EXPECT_EQ(pieces(out), Pieces{"head tail!"});
}

TEST(Output, KeepsItsBlockWhenItIsCleared) {
  const Bytes lent = "lent";
  Output out;
  const std::byte* block = out.extend(100'000).data();
  out.lend(as_span(lent));
  out.clear();
  EXPECT_TRUE(out.empty());
  EXPECT_FALSE(out.lends());
  EXPECT_EQ(pieces(out), Pieces{});
  EXPECT_EQ(out.extend(100'000).data(), block) << "an Output in steady use allocates nothing";
}

TEST(Output, FreesALargeBlockWhenItIsCleared) {
  // If the block is kept, an extension that is larger than a new block still fits in it.
  const auto is_kept = [](std::size_t size) {
    Output out;
    out.extend(size);
    out.clear();
    EXPECT_TRUE(out.empty());
    const std::byte* const first = out.extend(1).data();
    return out.extend(100'000).data() == first + 1;
  };
  EXPECT_TRUE(is_kept(Output::kMaxKept));
  EXPECT_FALSE(is_kept(Output::kMaxKept + 1));
}

}  // namespace
}  // namespace ws::test
