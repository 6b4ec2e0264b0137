#include "tools/wsload/messages.h"

#include <algorithm>
#include <array>
#include <bit>

#include "protocol/deflate/deflate.h"
#include "protocol/frame/connection.h"
#include "protocol/output.h"
#include "protocol/text.h"

namespace ws::load {
namespace {

/// Target size of all cycles together, so that they fit in the processor's caches. A cycle has at least one message.
constexpr std::uint64_t kCycleBytes = std::uint64_t{256} * 1024;
constexpr std::uint64_t kMaxCycle = 1024;
/// Limit for the cycles of all speakers, frames and answers together.
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 30U;

std::uint64_t cycle_of(const Plan& plan, std::size_t speakers) {
  const std::uint64_t fits =
      kCycleBytes / std::max<std::uint64_t>(plan.size, 1) / std::uint64_t{speakers};
  std::uint64_t cycle = std::clamp<std::uint64_t>(fits, 1, kMaxCycle);
  // A listener identifies a chat message by its tag, so outstanding messages must have different tags.
  if (plan.mode == Mode::kChat)
    cycle = std::max(cycle, plan.outstanding);
  const std::uint64_t bytes_each = 2 * (plan.size + plan.prefix.size() + kMaxHeaderSize);
  if (cycle * speakers > kMaxBytes / bytes_each ||
      (plan.mode == Mode::kChat && cycle * speakers > std::uint64_t{1}
                                                          << 6U * Messages::kTagSize)) {
    throw Failure(ExitCode::kUsage,
                  "these options need too much memory: reduce --speakers, --outstanding or --size");
  }
  return cycle;
}

MaskingKey next_masking_key() {
  static std::uint32_t state = 0x2545F491;
  state = state * 1'664'525U + 1'013'904'223U;
  return std::bit_cast<MaskingKey>(state);
}

/// splitmix64 with a constant seed: each run sends the same bytes.
class Numbers {
 public:
  std::uint64_t next() {
    state_ += 0x9E37'79B9'7F4A'7C15;
    std::uint64_t mixed = (state_ ^ state_ >> 30U) * 0xBF58'476D'1CE4'E5B9;
    mixed = (mixed ^ mixed >> 27U) * 0x94D0'49BB'1331'11EB;
    return mixed ^ mixed >> 31U;
  }

 private:
  std::uint64_t state_ = 0;
};

/// Fills `payload` with pseudo-random content.
void fill(std::span<std::byte> payload, Filling filling, Numbers& numbers) {
  std::size_t i = 0;
  if (filling == Filling::kChinese) {
    for (; payload.size() - i >= 3; i += 3) {
      // U+4E00 to U+9FFF: three bytes each in UTF-8
      const auto point = static_cast<unsigned>(0x4E00 + numbers.next() % 0x5200);
      payload[i] = static_cast<std::byte>(0xE0U | point >> 12U);
      payload[i + 1] = static_cast<std::byte>(0x80U | (point >> 6U & 0x3FU));
      payload[i + 2] = static_cast<std::byte>(0x80U | (point & 0x3FU));
    }
  }
  for (; i < payload.size(); ++i) {
    payload[i] = filling == Filling::kBinary ? static_cast<std::byte>(numbers.next() >> 56U)
                                             : static_cast<std::byte>('0' + numbers.next() % 64);
  }
}

void append(std::vector<std::byte>& to, Output& from) {
  from.for_each_piece(
      [&](Output::Bytes piece) { to.insert(to.end(), piece.begin(), piece.end()); });
  from.clear();
}

void write_frame(Connection& connection, Opcode opcode,
                 std::initializer_list<std::span<const std::byte>> parts, Output& out) {
  if (is_control(opcode)) {
    connection.send_control(opcode, *(parts.end() - 1), out);
  } else {
    connection.send(opcode, parts, out);
  }
}

}  // namespace

Messages::Messages(const Plan& plan)
    : speakers_(plan.mode == Mode::kChat ? plan.speakers : 1), cycle_(cycle_of(plan, speakers_)) {
  DeflatePool pool({.is_enabled = true, .threshold = 1}, nullptr);
  const ConnectionSettings client_settings{
      .role = Role::kClient, .new_masking_key = next_masking_key, .deflate = &pool};
  const ConnectionSettings server_settings{.role = Role::kServer};
  Connection client(client_settings);
  Connection server(server_settings);
  if (plan.compresses())
    client.use_deflate({.client_max_window_bits = kWindowBits});
  Output out;
  Numbers numbers;
  std::vector<std::byte> payload(plan.size);
  const auto prefix = as_bytes(plan.prefix);
  for (std::uint64_t number = 0; number < count(); ++number) {
    std::span<std::byte> rest(payload);
    if (plan.mode == Mode::kChat) {
      for (std::size_t i = 0; i < kTagSize; ++i)
        payload[i] = to_digit(number >> 6 * (kTagSize - 1 - i));
      rest = rest.subspan(kTagSize);
    }
    fill(rest, plan.filling, numbers);
    write_frame(client, plan.opcode(), {payload}, out);
    if (plan.compresses())
      client.forget_sent_context();
    frame_size_ = out.size();
    if (number == 0)
      frames_.reserve(count() * frame_size_);
    if (plan.compresses() && number % cycle_ == 0)
      starts_.push_back(frames_.size());
    append(frames_, out);
    if (plan.compresses())
      ends_.push_back(frames_.size() - starts_.back());
    if (plan.is_tcp)
      continue;
    write_frame(server, plan.answer_opcode(), {prefix, payload}, out);
    answer_size_ = out.size();
    if (number == 0)
      answers_.reserve(count() * answer_size_);
    append(answers_, out);
  }
  if (plan.is_tcp) {
    answer_size_ = frame_size_;
    answers_ = frames_;
  }
  header_size_ = answer_size_ - plan.size - (plan.is_tcp ? 0 : plan.prefix.size());
  tag_begin_ = header_size_ + plan.prefix.size();
}

}  // namespace ws::load
