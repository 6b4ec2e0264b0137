// Reads pcapng files that are written here byte by byte: times, lengths, damage, and each way to truncate a file.
#include "tools/wstrace/pcapng.h"

#include <gtest/gtest.h>
#include <pcap/dlt.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/wstrace/input.h"

namespace {

using ws::trace::CapturedPacket;
using ws::trace::PcapngReader;

/// Builds a file. Numbers are in the byte order of the section.
class File {
 public:
  explicit File(bool is_little = true) : is_little_(is_little) {}

  void add(std::uint64_t number, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t shift = 8 * (is_little_ ? i : size - 1 - i);
      bytes_.push_back(static_cast<std::byte>(number >> shift));
    }
  }
  void add(std::string_view text) {
    for (const char c : text)
      bytes_.push_back(static_cast<std::byte>(c));
    while (bytes_.size() % 4 != 0)
      bytes_.push_back({});
  }
  /// A block; `add_body` adds the body.
  template <typename AddBody>
  File& block(std::uint32_t type, AddBody add_body) {
    File body(is_little_);
    add_body(body);
    add(type, 4);
    add(body.bytes_.size() + 12, 4);
    bytes_.insert(bytes_.end(), body.bytes_.begin(), body.bytes_.end());
    add(body.bytes_.size() + 12, 4);
    return *this;
  }
  File& section(unsigned major = 1, unsigned minor = 0) {
    return block(0x0A0D0D0A, [&](File& body) {
      body.add(0x1A2B3C4D, 4);
      body.add(major, 2);
      body.add(minor, 2);
      body.add(UINT64_MAX, 8);
    });
  }
  /// `resolution`: the value of if_tsresol, none if -1.
  File& interface(int resolution = -1, std::int64_t offset = 0, unsigned link_type = 1) {
    return block(1, [&](File& body) {
      body.add(link_type, 2);
      body.add(0, 2);
      body.add(0, 4);
      if (resolution >= 0) {
        body.add(9, 2);
        body.add(1, 2);
        body.add(static_cast<std::uint64_t>(resolution), 1);
        body.add("");
      }
      if (offset != 0) {
        body.add(14, 2);
        body.add(8, 2);
        body.add(static_cast<std::uint64_t>(offset), 8);
      }
    });
  }
  File& packet(std::string_view data, std::uint64_t ticks = 0, std::uint32_t interface = 0) {
    return block(6, [&](File& body) {
      body.add(interface, 4);
      body.add(ticks >> 32U, 4);
      body.add(ticks & UINT32_MAX, 4);
      body.add(data.size(), 4);
      body.add(data.size() + 100, 4);
      body.add(data);
    });
  }
  File& append(const File& other) {
    bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
    return *this;
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  bool is_little_;
  std::vector<std::byte> bytes_;
};

struct Result {
  std::vector<CapturedPacket> packets{};  ///< without their bytes
  std::vector<std::string> data{};
  std::string error{};
};

/// Reads `file` in parts of at most `part` bytes.
Result read(std::span<const std::byte> file, std::size_t part = SIZE_MAX) {
  PcapngReader reader([file, part](std::span<std::byte> bytes) mutable {
    EXPECT_FALSE(bytes.empty());
    const std::size_t size = std::min({bytes.size(), file.size(), part});
    std::ranges::copy(file.first(size), bytes.begin());
    file = file.subspan(size);
    return size;
  });
  Result result;
  try {
    while (const auto packet = reader.next()) {
      result.data.emplace_back(reinterpret_cast<const char*>(packet->bytes.data()),
                               packet->bytes.size());
      result.packets.push_back(*packet);
    }
  } catch (const ws::trace::TraceFailure& failure) {
    result.error = failure.what();
  }
  return result;
}

Result read(const File& file) {
  return read(file.bytes());
}

/// A file of all kinds of blocks, two sections, both byte orders.
File sample() {
  File file;
  file.section().interface().packet("one", 1).block(4, [](File& body) { body.add(0, 4); });
  file.block(2, [](File& body) {
    body.add(0, 2);
    body.add(7, 2);
    body.add(0, 4);
    body.add(2, 4);
    body.add(3, 4);
    body.add(3, 4);
    body.add("two");
  });
  File other(false);
  other.section().interface(9).block(0xBAD, [](File& body) { body.add("skipped"); });
  other.block(3, [](File& body) {
    body.add(5, 4);
    body.add("three");
  });
  other.packet("four", 4).block(5, [](File& body) { body.add(0, 4); });
  return file.append(other);
}

TEST(WstracePcapng, ReadsAllPacketBlocksInBothByteOrders) {
  const Result result = read(sample());
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.data, (std::vector<std::string>{"one", "two", "three", "four"}));
  ASSERT_EQ(result.packets.size(), 4U);
  EXPECT_EQ(result.packets[0].time_ns, 1000);
  EXPECT_EQ(result.packets[0].time_digits, 6);
  EXPECT_EQ(result.packets[0].length, 103U);
  EXPECT_EQ(result.packets[1].time_ns, 2000);
  EXPECT_EQ(result.packets[1].length, 3U);
  EXPECT_EQ(result.packets[2].time_digits, CapturedPacket::kNoTime);
  EXPECT_EQ(result.packets[3].time_ns, 4);
  EXPECT_EQ(result.packets[3].time_digits, 9);
}

TEST(WstracePcapng, ReadsTheSamePacketsHoweverTheFileArrives) {
  const File file = sample();
  for (std::size_t part = 1; part < 20; ++part) {
    const Result result = read(file.bytes(), part);
    EXPECT_EQ(result.error, "");
    EXPECT_EQ(result.data.size(), 4U);
  }
}

TEST(WstracePcapng, ReturnsThePacketsBeforeEachTruncationAndOneError) {
  const File file = sample();
  const std::span<const std::byte> bytes = file.bytes();
  std::size_t whole = 0;  // truncations between two blocks
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    // A separate allocation, so that a read past its end is found.
    const std::vector<std::byte> part(bytes.begin(),
                                      bytes.begin() + static_cast<std::ptrdiff_t>(size));
    const Result result = read(part);
    if (result.error.empty()) {
      ++whole;
    } else {
      EXPECT_NE(result.error.find("is truncated"), std::string::npos) << result.error;
      EXPECT_EQ(result.error.find("block "), 0U);
    }
    const std::vector<std::string> all = {"one", "two", "three", "four"};
    ASSERT_LE(result.data.size(), all.size());
    EXPECT_TRUE(std::equal(result.data.begin(), result.data.end(), all.begin()));
  }
  EXPECT_EQ(whole, 11U);  // before each of the 11 blocks
}

TEST(WstracePcapng, SurvivesEachChangedByte) {
  const File file = sample();
  for (std::size_t at = 0; at < file.bytes().size(); ++at) {
    for (const unsigned change : {0x01U, 0x80U, 0xFFU}) {
      std::vector<std::byte> bytes = file.bytes();
      bytes[at] ^= static_cast<std::byte>(change);
      const Result result = read(bytes);
      EXPECT_LE(result.data.size(), 4U);
    }
  }
}

/// The resolution of an interface, and the time of a packet.
struct Time {
  int resolution;
  std::int64_t offset;
  std::uint64_t ticks;
  std::int64_t time_ns;
  int digits;
};

constexpr std::int64_t kMax = ws::trace::kMaxTime * 1'000'000'000;
constexpr std::array kTimes = {
    Time{-1, 0, 1'500'000, 1'500'000'000, 6},
    Time{-1, 100, 1'500'000, 101'500'000'000, 6},
    Time{-1, -100, 1'500'000, -98'500'000'000, 6},
    Time{0, 0, 2, 2'000'000'000, 0},
    Time{1, 0, 25, 2'500'000'000, 1},
    Time{2, 0, 250, 2'500'000'000, 2},
    Time{3, 0, 2500, 2'500'000'000, 3},
    Time{5, 0, 250'000, 2'500'000'000, 3},
    Time{7, 0, 25'000'001, 2'500'000'100, 6},
    Time{9, 0, 2'500'000'001, 2'500'000'001, 9},
    Time{12, 0, 2'500'000'000'999, 2'500'000'000, 9},
    Time{19, 0, 15'000'000'000'000'000'000U, 1'500'000'000, 9},
    Time{20, 0, UINT64_MAX, 0, 9},
    Time{127, 0, UINT64_MAX, 0, 9},
    Time{0x80, 0, 2, 2'000'000'000, 0},
    Time{0x80 | 1, 0, 5, 2'500'000'000, 0},
    Time{0x80 | 4, 0, 40, 2'500'000'000, 1},
    Time{0x80 | 7, 0, 320, 2'500'000'000, 2},
    Time{0x80 | 10, 0, 2560, 2'500'000'000, 3},
    Time{0x80 | 20, 0, 5U << 19U, 2'500'000'000, 6},
    Time{0x80 | 30, 0, std::uint64_t{5} << 29U, 2'500'000'000, 9},
    Time{0x80 | 63, 0, std::uint64_t{3} << 62U, 1'500'000'000, 9},
    Time{0x80 | 64, 0, UINT64_MAX, 0, 9},
    Time{0xFF, 0, UINT64_MAX, 0, 9},
    Time{0, 0, UINT64_MAX, kMax, 0},
    Time{-1, INT64_MAX, UINT64_MAX, kMax + 551'615'000, 6},
    Time{-1, INT64_MIN, 0, -kMax, 6},
};

TEST(WstracePcapng, ConvertsTimesOfEachResolutionAndOffset) {
  for (const bool is_little : {true, false}) {
    for (const Time& time : kTimes) {
      File file(is_little);
      file.section().interface(time.resolution, time.offset).packet("x", time.ticks);
      const Result result = read(file);
      ASSERT_EQ(result.packets.size(), 1U) << result.error;
      EXPECT_EQ(result.packets[0].time_ns, time.time_ns) << time.resolution << " " << time.ticks;
      EXPECT_EQ(result.packets[0].time_digits, time.digits) << time.resolution;
    }
  }
}

TEST(WstracePcapng, MapsTheLinkTypesOfRawIp) {
  File file;
  file.section().interface(-1, 0, 101).interface(-1, 0, 12).interface(-1, 0, 14);
  file.interface(-1, 0, 276).interface(-1, 0, 147);
  for (std::uint32_t number = 0; number < 5; ++number)
    file.packet("x", 0, number);
  std::vector<int> types;
  for (const CapturedPacket& packet : read(file).packets)
    types.push_back(packet.link_type);
  EXPECT_EQ(types, (std::vector<int>{DLT_RAW, DLT_RAW, DLT_RAW, DLT_LINUX_SLL2, 147}));
}

/// A damaged block after one packet, and the error without "block 4 " and the offset.
std::string damage(const File& block) {
  File file;
  file.section().interface().packet("first").append(block).packet("last");
  const Result result = read(file);
  EXPECT_EQ(result.data, std::vector<std::string>{"first"});
  const std::string where = " at byte 88 ";
  const std::size_t at = result.error.find(where);
  EXPECT_TRUE(result.error.starts_with("block 4 (") && at != std::string::npos) << result.error;
  return at != std::string::npos ? result.error.substr(at + where.size()) : result.error;
}

/// Numbers of 4 bytes.
File numbers(std::initializer_list<std::uint32_t> numbers) {
  File file;
  for (const std::uint32_t number : numbers)
    file.add(number, 4);
  return file;
}

TEST(WstracePcapng, NamesTheDamagedBlock) {
  EXPECT_EQ(damage(numbers({0x7777, 8})), "has an invalid length of 8 bytes");
  EXPECT_EQ(damage(numbers({0x7777, 0})), "has an invalid length of 0 bytes");
  EXPECT_EQ(damage(numbers({0x7777, 13, 0, 0})), "has an invalid length of 13 bytes");
  EXPECT_EQ(damage(numbers({0x7777, 12, 16})), "has 12 bytes, but ends with a length of 16");
  EXPECT_EQ(damage(numbers({0x7777, 0xFFFFFFFC})), "is truncated");
  EXPECT_EQ(damage(numbers({1, 0xFFFFFFFC})), "has 4294967292 bytes, more than 16777216");
  EXPECT_EQ(damage(numbers({1, 16, 1, 16})), "is too short");
  EXPECT_EQ(damage(numbers({1, 24, 1, 0, 9U | 400U << 16U, 24})), "ends within option 9");
  EXPECT_EQ(damage(numbers({6, 28, 0, 0, 0, 0, 28})), "is too short");
  EXPECT_EQ(damage(numbers({6, 32, 0, 0, 0, 1, 1, 32})), "is too short for 1 captured bytes");
  EXPECT_EQ(damage(numbers({6, 32, 0, 0, 0, 0xFFFFFFFF, 1, 32})),
            "is too short for 4294967295 captured bytes");
  EXPECT_EQ(damage(numbers({6, 32, 1, 0, 0, 0, 0, 32})),
            "is of interface 1, which the section does not have");
  EXPECT_EQ(damage(numbers({2, 32, 1, 0, 0, 0, 0, 32})),
            "is of interface 1, which the section does not have");
  EXPECT_EQ(damage(numbers({2, 12, 12})), "is too short");
  EXPECT_EQ(damage(numbers({3, 12, 12})), "is too short");
  EXPECT_EQ(damage(numbers({3, 16, 1, 16})), "is too short for 1 captured bytes");
  EXPECT_EQ(damage(numbers({0x0A0D0D0A, 28, 0x1A2B3C4E})), "has an invalid byte order");
  EXPECT_EQ(damage(numbers({0x0A0D0D0A, 12, 0x1A2B3C4D})), "has an invalid length of 12 bytes");
  EXPECT_EQ(damage(numbers({0x0A0D0D0A, 16, 0x1A2B3C4D, 16})), "is too short");
  EXPECT_EQ(damage(File().section(2)),
            "has version 2.0, which is not supported (only 1.0 and 1.2)");
  EXPECT_EQ(damage(File().section(1, 1)),
            "has version 1.1, which is not supported (only 1.0 and 1.2)");
}

TEST(WstracePcapng, BeginsEachSectionWithoutInterfaces) {
  const Result result = read(File().section().interface().packet("one").section().packet("two"));
  EXPECT_EQ(result.data, std::vector<std::string>{"one"});
  EXPECT_EQ(
      result.error,
      "block 5 (enhanced packet) at byte 112 is of interface 0, which the section does not have");
}

TEST(WstracePcapng, RequiresASectionHeaderFirst) {
  EXPECT_EQ(read(File().interface()).error,
            "block 1 (interface) at byte 0 is not a section header");
  EXPECT_EQ(read(File()).error, "");
}

TEST(WstracePcapng, LimitsTheInterfacesOfASection) {
  File file;
  file.section();
  for (int i = 0; i < 65'536; ++i)
    file.interface();
  file.packet("x", 0, 65'535);
  EXPECT_EQ(read(file).data.size(), 1U);
  EXPECT_NE(read(file.interface()).error.find("is one more than 65536 interfaces"),
            std::string::npos);
}

TEST(WstracePcapng, NamesTheBlockIfTheFileCannotBeRead) {
  const File file = File().section();
  std::span<const std::byte> left = file.bytes();
  PcapngReader reader([&left](std::span<std::byte> bytes) {
    if (left.empty())
      throw ws::trace::TraceFailure("the disk is broken");
    const std::size_t size = std::min(bytes.size(), left.size());
    std::ranges::copy(left.first(size), bytes.begin());
    left = left.subspan(size);
    return size;
  });
  try {
    static_cast<void>(reader.next());
    FAIL() << "no exception";
  } catch (const ws::trace::TraceFailure& failure) {
    EXPECT_STREQ(failure.what(), "block 2 at byte 28 cannot be read: the disk is broken");
  }
}

}  // namespace
