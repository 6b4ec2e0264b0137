// Two decoders that share no code, side by side on streams drawn at random: the connection, given
// them in chunks drawn at random too, and the plain one. The fuzz targets connection_server and
// connection_client do the same for as long as one likes.
#include "tests/support/differential.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace ws::test {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  /// 0 to below `end`. (The standard's distributions differ from library to library.)
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine_() % end); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  char byte() { return static_cast<char>(below(256)); }
  template <typename T, std::size_t n>
  const T& one_of(const T (&choices)[n]) {
    return choices[below(n)];
  }

 private:
  std::mt19937_64 engine_;
};

/// Sound more often than not, and near the edges of what is.
Bytes random_payload(Dice& dice) {
  static const Bytes kParts[] = {"a",
                                 "Hello",
                                 "\xc2\x80",
                                 "\xdf\xbf",
                                 "\xe0\xa0\x80",
                                 "\xed\x9f\xbf",
                                 "\xee\x80\x80",
                                 "\xf0\x90\x80\x80",
                                 "\xf4\x8f\xbf\xbf"};
  Bytes payload;
  for (std::size_t n = dice.below(dice.one_in(6) ? 80 : 5); n > 0; --n)
    payload += dice.one_of(kParts);
  if (!payload.empty() && dice.one_in(6))
    payload[dice.below(payload.size())] = dice.byte();
  return payload;
}

Bytes random_close(Dice& dice) {
  static const unsigned kCodes[] = {0,    999,  1000, 1001, 1003, 1004, 1005, 1006, 1007, 1011,
                                    1012, 1014, 1015, 1016, 2999, 3000, 4000, 4999, 5000, 65535};
  if (dice.one_in(4))
    return Bytes(dice.below(2), '\x03');
  const unsigned code = dice.one_of(kCodes);
  return Bytes{static_cast<char>(code / 256), static_cast<char>(code % 256)} +
         random_payload(dice).substr(0, 123);
}

/// A frame that a peer may send where `is_in_message` tells whether one is open; or, now and then,
/// anything else.
Bytes random_frame(Dice& dice, bool is_from_client, bool& is_in_message) {
  unsigned opcode = is_in_message ? 0 : 1 + static_cast<unsigned>(dice.below(2));
  bool fin = dice.one_in(2);
  if (dice.one_in(20))
    opcode = static_cast<unsigned>(dice.below(3));
  if (dice.one_in(3)) {
    opcode = dice.one_in(8) ? 8 : 9 + static_cast<unsigned>(dice.below(2));
    fin = !dice.one_in(40);
  }
  Bytes payload = opcode == 8 ? random_close(dice) : random_payload(dice);
  if (opcode >= 8 && payload.size() > 125 && !dice.one_in(6))
    payload.resize(125);
  unsigned byte0 = (fin ? 0x80 : 0) | opcode;
  if (dice.one_in(40))
    byte0 = static_cast<unsigned char>(dice.byte());
  if (opcode < 8)
    is_in_message = !fin;

  const bool is_masked = is_from_client != dice.one_in(80);
  const std::size_t size = payload.size() + (dice.one_in(40) ? dice.below(300) : 0);
  std::size_t form = size <= 125 ? 0 : 2;
  if (dice.one_in(40))
    form = dice.one_in(2) ? 2 : 8;
  Bytes bytes(1, static_cast<char>(byte0));
  bytes += static_cast<char>((is_masked ? 0x80 : 0) + (form == 0 ? size : form == 2 ? 126 : 127));
  for (std::size_t i = form; i > 0; --i)
    bytes += static_cast<char>(i > 4 ? 0 : size >> (8 * (i - 1)));
  if (form == 8 && dice.one_in(2))
    bytes[2] = static_cast<char>(0x80);
  if (!is_masked)
    return bytes + payload;
  const Bytes key = {dice.byte(), dice.byte(), dice.byte(), dice.byte()};
  bytes += key;
  for (std::size_t i = 0; i < payload.size(); ++i)
    bytes += static_cast<char>(payload[i] ^ key[i % 4]);
  return bytes;
}

Stream random_stream(Dice& dice) {
  Stream stream;
  stream.role = dice.one_in(2) ? Role::kServer : Role::kClient;
  if (dice.one_in(2)) {
    stream.limits.message = dice.below(200);
    stream.limits.fragments = static_cast<std::uint32_t>(dice.below(4));
  }
  bool is_in_message = false;
  for (std::size_t n = 1 + dice.below(8); n > 0; --n)
    stream.input += random_frame(dice, stream.role == Role::kServer, is_in_message);
  if (dice.one_in(4))
    stream.input[dice.below(stream.input.size())] = dice.byte();
  if (dice.one_in(4))
    stream.input.resize(dice.below(stream.input.size()));
  return stream;
}

TEST(Connection, AgreesWithThePlainDecoder) {
  Dice dice(6455);
  std::map<std::string, int> seen;  // what came out, for the streams to be worth their while
  for (int i = 0; i < 6000; ++i) {
    SCOPED_TRACE("stream " + std::to_string(i));
    Stream stream = random_stream(dice);
    const Application application = {.closes_first = dice.one_in(8), .echoes = dice.one_in(2)};
    install(application, stream);
    Way way{.name = "in chunks", .cuts = {}, .behind_guard = dice.one_in(2)};
    const std::size_t longest = 1 + dice.below(200);
    for (std::size_t at = 1 + dice.below(longest); at < stream.input.size();
         at += 1 + dice.below(longest)) {
      way.cuts.push_back(at);
    }
    GuardedMemory memory(stream.input.size());
    const Outcome outcome = run(stream, way, memory);
    ASSERT_EQ(outcome.complaint, "");
    ASSERT_EQ(difference_from_plain(stream, application, outcome), "")
        << to_string(outcome.steps) << dump(stream.input);
    for (const Step& step : outcome.steps)
      ++seen[step.type == Event::Type::kFailed ? std::string(describe(step.error).tag)
                                               : std::to_string(static_cast<int>(step.type))];
  }
  EXPECT_EQ(seen.size(), 5U + 16U) << "kinds of event, and rules that a frame can break";
  for (const auto& [what, times] : seen)
    EXPECT_GE(times, 10) << what;
}

}  // namespace
}  // namespace ws::test
