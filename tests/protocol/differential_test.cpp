// Compares Connection, which reads random streams in random chunks, with a plain decoder that shares no code with it.
// The fuzz targets connection_server and connection_client, with and without _deflate, do the same for any length of
// time; the target extensions does it for the list of extensions.
#include "tests/support/differential.h"
#include "protocol/deflate/extensions.h"
#include "protocol/http/http_message.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include <zlib.h>

#include "tests/support/dice.h"

namespace ws::test {
namespace {

/// Mostly valid UTF-8, with the first and last characters of each length.
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

/// Compresses each part of a message with other settings, in blocks that end anywhere.
class WildDeflater {
 public:
  WildDeflater(int window_bits, bool takes_over) : takes_over_(takes_over) {
    if (deflateInit2(&stream_, 6, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      std::abort();
  }
  ~WildDeflater() { deflateEnd(&stream_); }
  WildDeflater(const WildDeflater&) = delete;
  WildDeflater& operator=(const WildDeflater&) = delete;

  Bytes message(Dice& dice, const Bytes& text) {
    if (!takes_over_)
      deflateReset(&stream_);
    Bytes out;
    std::size_t begin = 0;
    while (begin < text.size()) {
      const std::size_t end = begin + 1 + dice.below(text.size() - begin);
      static constexpr int kStrategies[] = {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE,
                                            Z_FIXED};
      out += call("", [&] {
        deflateParams(&stream_, static_cast<int>(dice.below(10)), dice.one_of(kStrategies));
      });
      static constexpr int kFlushes[] = {Z_NO_FLUSH,   Z_PARTIAL_FLUSH, Z_SYNC_FLUSH,
                                         Z_FULL_FLUSH, Z_BLOCK,         Z_FINISH};
      const int flush = dice.one_of(kFlushes);
      out += run(text.substr(begin, end - begin), flush);
      if (flush == Z_FINISH)  // BFINAL; later blocks do not refer back
        deflateReset(&stream_);
      begin = end;
    }
    if (dice.one_in(6)) {  // a message that ends with BFINAL, without an empty block after it
      out += run("", Z_FINISH);
      deflateReset(&stream_);
      return out;
    }
    out += run("", Z_SYNC_FLUSH);
    if (!out.ends_with(hex("00 00 ff ff")))
      out += hex("00 00 00 ff ff");  // zlib writes no empty block after another one
    if (!dice.one_in(6))
      out.resize(out.size() - 4);
    return out;
  }

 private:
  Bytes run(const Bytes& in, int flush) {
    return call(in, [&] { deflate(&stream_, flush); });
  }
  template <typename Function>
  Bytes call(const Bytes& in, Function function) {
    Bytes out(in.size() * 2 + 100'000, '\0');
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    function();
    if (stream_.avail_in != 0 || stream_.avail_out == 0)
      std::abort();
    out.resize(out.size() - stream_.avail_out);
    return out;
  }

  bool takes_over_;
  z_stream stream_{};
};

/// The peer's side of a stream.
class Peer {
 public:
  /// `deflater`: null if deflate was not negotiated.
  Peer(Dice& dice, bool is_client, WildDeflater* deflater)
      : dice_(dice), is_client_(is_client), deflater_(deflater) {}

  /// Mostly a frame that is valid at this point of the stream.
  Bytes random_frame() {
    if (rest_.has_value() && dice_.one_in(20))
      rest_.reset();  // a message starts inside another one
    if (dice_.one_in(3))
      return random_control();
    unsigned opcode = 0;
    if (!rest_.has_value()) {
      rest_ = random_payload(dice_);
      opcode = 1 + static_cast<unsigned>(dice_.below(2));
      if (deflater_ != nullptr && !dice_.one_in(4)) {
        for (std::size_t n = dice_.below(6); n > 0; --n)
          *rest_ += *rest_ + random_payload(dice_);
        rest_ = deflater_->message(dice_, *rest_);
        opcode |= 0x40;
      }
      if (dice_.one_in(30))
        opcode &= 0x40;
    }
    const bool fin = dice_.one_in(2);
    const Bytes payload = rest_->substr(0, fin ? rest_->size() : dice_.below(rest_->size() + 1));
    rest_->erase(0, payload.size());
    if (fin)
      rest_.reset();
    return frame((fin ? 0x80 : 0) | opcode, payload);
  }

 private:
  Bytes random_control() {
    const unsigned opcode = dice_.one_in(8) ? 8 : 9 + static_cast<unsigned>(dice_.below(2));
    Bytes payload = opcode == 8 ? random_close(dice_) : random_payload(dice_);
    if (payload.size() > 125 && !dice_.one_in(6))
      payload.resize(125);
    return frame((dice_.one_in(40) ? 0 : 0x80) | opcode, payload);
  }

  Bytes frame(unsigned byte0, const Bytes& payload) {
    if (dice_.one_in(40))
      byte0 = static_cast<unsigned char>(dice_.byte());
    const bool is_masked = is_client_ != dice_.one_in(80);
    const std::size_t size = payload.size() + (dice_.one_in(40) ? dice_.below(300) : 0);
    std::size_t form = size <= 125 ? 0 : 2;
    if (dice_.one_in(40))
      form = dice_.one_in(2) ? 2 : 8;
    Bytes bytes(1, static_cast<char>(byte0));
    bytes += static_cast<char>((is_masked ? 0x80 : 0) + (form == 0 ? size : form == 2 ? 126 : 127));
    for (std::size_t i = form; i > 0; --i)
      bytes += static_cast<char>(i > 4 ? 0 : size >> (8 * (i - 1)));
    if (form == 8 && dice_.one_in(2))
      bytes[2] = static_cast<char>(0x80);
    if (!is_masked)
      return bytes + payload;
    const Bytes key = {dice_.byte(), dice_.byte(), dice_.byte(), dice_.byte()};
    bytes += key;
    for (std::size_t i = 0; i < payload.size(); ++i)
      bytes += static_cast<char>(payload[i] ^ key[i % 4]);
    return bytes;
  }

  Dice& dice_;
  bool is_client_;
  WildDeflater* deflater_;
  std::optional<Bytes> rest_;  ///< unsent payload of the current message
};

Stream random_stream(Dice& dice, bool deflates) {
  Stream stream;
  stream.role = dice.one_in(2) ? Role::kServer : Role::kClient;
  const bool is_server = stream.role == Role::kServer;
  std::optional<WildDeflater> deflater;
  if (deflates) {
    const auto bits = [&] { return static_cast<std::uint8_t>(9 + dice.below(7)); };
    stream.deflate = {.server_no_context_takeover = dice.one_in(3),
                      .client_no_context_takeover = dice.one_in(3),
                      .server_max_window_bits = bits(),
                      .client_max_window_bits = bits()};
    stream.deflate_settings = {.is_enabled = true, .threshold = 1};
    const DeflateParameters& agreed = *stream.deflate;
    deflater.emplace(
        is_server ? agreed.client_max_window_bits : agreed.server_max_window_bits,
        is_server ? !agreed.client_no_context_takeover : !agreed.server_no_context_takeover);
  }
  if (dice.one_in(2)) {
    stream.limits.message = dice.below(deflates ? 2000 : 200);
    stream.limits.fragments = static_cast<std::uint32_t>(dice.below(4));
  }
  Peer peer(dice, is_server, deflater.has_value() ? &*deflater : nullptr);
  for (std::size_t n = 1 + dice.below(8); n > 0; --n)
    stream.input += peer.random_frame();
  if (dice.one_in(4))
    stream.input[dice.below(stream.input.size())] = dice.byte();
  if (dice.one_in(4))
    stream.input.resize(dice.below(stream.input.size()));
  return stream;
}

/// Runs streams until one fails. Counts the broken rules by tag, and other events by type.
std::map<std::string, int> agree(Dice& dice, int streams, bool deflates) {
  std::map<std::string, int> seen;
  for (int i = 0; i < streams && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("stream " + std::to_string(i));
    Stream stream = random_stream(dice, deflates);
    const Application application = {.closes_first = dice.one_in(8), .echoes = dice.one_in(2)};
    install(application, stream);
    const bool behind_guard = dice.one_in(2);
    const Way way{.name = "in chunks",
                  .cuts = dice.cuts(stream.input.size(), 200),
                  .behind_guard = behind_guard};
    GuardedMemory memory(stream.input.size());
    const Outcome outcome = run(stream, way, memory);
    EXPECT_EQ(outcome.complaint, "");
    const std::string difference = difference_from_plain(stream, application, outcome);
    if (difference != "") {
      ADD_FAILURE() << difference << "\n" << to_string(outcome.steps) << dump(stream.input);
    }
    for (const Step& step : outcome.steps)
      ++seen[step.type == Event::Type::kFailed ? std::string(describe(step.error).tag)
                                               : std::to_string(static_cast<int>(step.type))];
  }
  return seen;
}

TEST(Connection, AgreesWithThePlainDecoder) {
  Dice dice(6455);
  const std::map<std::string, int> seen = agree(dice, 6000, false);
  if (HasFailure())
    return;  // the counts need all streams
  EXPECT_EQ(seen.size(), 5U + 16U) << "event types, and rules that a frame can break";
  for (const auto& [what, times] : seen)
    EXPECT_GE(times, 10) << what;
}

TEST(Connection, AgreesWithThePlainDecoderOnCompressedMessages) {
  Dice dice(7692);
  const std::map<std::string, int> seen = agree(dice, 4000, true);
  if (HasFailure())
    return;  // the counts need all streams
  EXPECT_EQ(seen.size(), 5U + 17U) << "one more rule: invalid compressed data";
  for (const auto& [what, times] : seen)
    EXPECT_GE(times, 10) << what;
}

TEST(Extensions, AgreeWithThePlainReader) {
  const std::string_view parts[] = {"permessage-deflate",
                                    "a",
                                    "b=1",
                                    "=",
                                    ";",
                                    ",",
                                    " ",
                                    "\t",
                                    "\"",
                                    "\\",
                                    "2",
                                    "(",
                                    "; ",
                                    "c",
                                    ", "};
  Dice dice(9);
  int sound = 0;
  for (int i = 0; i < 30'000; ++i) {
    std::vector<std::string> fields(1 + dice.below(2));
    std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (std::string& field : fields) {
      for (std::size_t n = 1 + dice.below(10); n > 0; --n)
        field += dice.one_of(parts);
      bytes += "Sec-WebSocket-Extensions: " + field + "\r\n";
    }
    bytes += "\r\n";
    HttpRequest request;
    ASSERT_EQ(request.parse(bytes, Limits{}), HttpHead::Status::kComplete) << bytes;
    const auto expected = plain::read_extensions(fields);
    ASSERT_EQ(to_plain(parse_extensions(request.values("Sec-WebSocket-Extensions"))), expected)
        << bytes;
    sound += expected.has_value() ? 1 : 0;
  }
  EXPECT_GT(sound, 1000);
}

}  // namespace
}  // namespace ws::test
