// The dissector, in either direction: whole, in single bytes and cut, a stream must give the same items, and each byte
// must be in one of them. The choice: 1 the server's direction, 2 frames from the start; 4 and 8: how much is kept.
#include "protocol/inspect/dissector.h"

#include <algorithm>

#include "tests/fuzz/input.h"
#include "tests/support/bytes.h"

namespace ws::fuzz {
namespace {

struct Seen {
  Dissected item;
  test::Bytes bytes;
};

class Onlooker {
 public:
  explicit Onlooker(const Input& input)
      : keep_((input.choice >> 2U) * 7),
        dissector_((input.choice & 1U) != 0 ? Sender::kServer : Sender::kClient, keep_) {
    if ((input.choice & 2U) != 0)
      dissector_.expect_frames();
  }

  /// Dissects a copy of `bytes` before a guard page; the next call overwrites it.
  void take(std::string_view bytes, test::GuardedMemory& memory) {
    std::span<const std::byte> in = memory.before_guard(bytes);
    while (!in.empty()) {
      const std::size_t before = in.size();
      const auto item = dissector_.next(in);
      require(item.has_value() || in.empty(), "stopped before the end");
      require(in.size() < before, "consumed nothing");
      if (item.has_value())
        add(*item);
    }
  }

  std::vector<Seen> end() {
    if (const auto item = dissector_.cut()) {
      require(!item->is_whole, "a cut item is marked as whole");
      add(*item);
    }
    require(!dissector_.cut().has_value(), "two cut items");
    return std::move(seen_);
  }

 private:
  void add(const Dissected& item) {
    require(item.offset == offset_, "a byte in two items, or in none");
    require(item.size > 0, "an empty item");
    offset_ += item.size;
    require(item.bytes.size() <= item.size, "more bytes shown than received");
    if (item.type == Dissected::Type::kFrame) {
      require(item.bytes.size() <= kMaxHeaderSize + keep_, "more bytes kept than requested");
      require(item.header_size != 0 || !item.is_whole, "a whole frame without a header");
      require(!item.is_whole || item.size == item.header_size + item.header.payload_length,
              "a whole frame of a wrong length");
    }
    if (item.type == Dissected::Type::kHead)
      require(item.bytes.size() == item.size, "a head that is not kept");
    // Each read gives an item of data: join them.
    if (item.type == Dissected::Type::kData && !seen_.empty() &&
        seen_.back().item.type == Dissected::Type::kData) {
      seen_.back().item.size += item.size;
      return;
    }
    seen_.push_back({item, test::to_bytes(item.bytes)});
    if (item.type == Dissected::Type::kData)
      seen_.back().bytes.clear();  // they depend on the cuts
  }

  std::size_t keep_;
  Dissector dissector_;
  std::uint64_t offset_ = 1;
  std::vector<Seen> seen_;
};

void require_same(const std::vector<Seen>& a, const std::vector<Seen>& b) {
  require(a.size() == b.size(), "a different number of items when cut");
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Dissected& x = a[i].item;
    const Dissected& y = b[i].item;
    require(x.type == y.type && x.error == y.error && x.is_whole == y.is_whole &&
                x.header_size == y.header_size && x.offset == y.offset && x.size == y.size &&
                a[i].bytes == b[i].bytes,
            "a different item when cut");
  }
}

void check(const Input& input) {
  static test::GuardedMemory memory(1 << 16);
  if (input.stream.size() > 1 << 16)
    return;
  Onlooker whole(input);
  whole.take(input.stream, memory);
  const std::vector<Seen> items = whole.end();
  const std::uint64_t size =
      items.empty() ? 0 : items.back().item.offset + items.back().item.size - 1;
  require(size == input.stream.size(), "bytes in no item");

  Onlooker cut(input);
  std::size_t begin = 0;
  for (const std::size_t end : input.cuts) {
    cut.take(input.stream.substr(begin, end - begin), memory);
    begin = end;
  }
  cut.take(input.stream.substr(begin), memory);
  require_same(items, cut.end());

  Onlooker single(input);
  for (std::size_t i = 0; i < input.stream.size(); ++i)
    single.take(input.stream.substr(i, 1), memory);
  require_same(items, single.end());
}

}  // namespace
}  // namespace ws::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ws::fuzz::check({data, size});
  return 0;
}
