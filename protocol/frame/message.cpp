#include "protocol/frame/message.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "protocol/deflate/deflate.h"
#include "protocol/frame/mask.h"

namespace ws {
namespace {

/// Size in bytes of the stack buffer into which `inflate` decompresses.
constexpr std::size_t kInflatedAtOnce = std::size_t{16} * 1024;

}  // namespace

Error validate_data_frame(const FrameHeader& header, bool open, std::uint64_t room) {
  // [6455-5.4-CONTINUATION] a continuation frame needs an open message
  if (header.opcode == Opcode::kContinuation && !open)
    return Error::kLoneContinuation;
  // [6455-5.4-INTERLEAVE] a new message must not start inside another
  if (header.opcode != Opcode::kContinuation && open)
    return Error::kInterleavedMessage;
  // [6455-10.4-MESSAGE] checked against the declared length, before any payload is stored
  if (header.payload_length > room)
    return Error::kMessageTooBig;
  return Error::kNone;
}

void MessageAssembler::begin(const FrameHeader& header, Inflater* inflater) {
  opcode_ = header.opcode;  // [6455-6.2-TYPE] the first frame's opcode is the message's type
  inflater_ = inflater;
  declared_ = header.payload_length;
  is_open_ = true;
  fragments_ = 1;
}

Error MessageAssembler::begin_frame(const FrameHeader& header) {
  const std::uint64_t limit =
      inflater_ == nullptr ? limits_.message : max_compressed(limits_.message);
  if (const Error e = validate_data_frame(header, is_open_, limit - declared_); e != Error::kNone)
    return e;
  // [6455-10.4-FRAGMENTS] the limit is at least 1, so `begin` need not check it
  if (fragments_ >= limits_.fragments)
    return Error::kTooManyFragments;
  ++fragments_;
  declared_ += header.payload_length;
  return Error::kNone;
}

Error MessageAssembler::append(std::span<const std::byte> payload) {
  return inflater_ == nullptr ? add(payload) : inflate(payload);
}

/// [7692-6.2-INFLATE] Inflates the next bytes of the message; the payloads of all fragments form one DEFLATE stream.
/// [6455-10.4-MESSAGE] Works in pieces, and inflates at most one byte over the message limit.
Error MessageAssembler::inflate(std::span<const std::byte> compressed) {
  std::array<std::byte, kInflatedAtOnce> piece;
  for (;;) {
    const std::uint64_t room = limits_.message - payload_.size();
    const auto out = std::span(piece).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), room + 1)));
    const Inflater::Result result = inflater_->inflate(compressed, out);
    const bool is_too_big = result.written > room;
    if (const Error e = add(out.first(result.written - (is_too_big ? 1 : 0))); e != Error::kNone)
      return e;
    if (is_too_big)
      return Error::kMessageTooBig;
    if (result.error != Error::kNone || result.written < out.size())
      return result.error;
  }
}

Error MessageAssembler::add(std::span<const std::byte> bytes) {
  // [6455-8.1-UTF8] the validator keeps its state between pieces; validate before allocating
  if (opcode_ == Opcode::kText && !utf8_.accept(bytes))
    return Error::kTextNotUtf8;
  const std::size_t size = payload_.size() + bytes.size();
  if (size > payload_.capacity()) {
    const std::size_t capacity = std::max(size, payload_.capacity() * 2);
    if (!charge_.grow_to(capacity))
      return Error::kOverBudget;
    payload_.reserve(capacity);
  }
  // [6455-5.4-ORDER] fragments are joined in the order of arrival
  payload_.insert(payload_.end(), bytes.begin(), bytes.end());
  return Error::kNone;
}

Error MessageAssembler::end_frame(bool fin) {
  if (!fin)
    return Error::kNone;
  is_open_ = false;
  if (inflater_ != nullptr) {
    if (const Error e = inflater_->end_message(); e != Error::kNone)
      return e;
  }
  // [6455-8.1-UTF8] a text message must not end inside a character
  if (opcode_ == Opcode::kText && !utf8_.is_complete())
    return Error::kTextNotUtf8;
  return Error::kNone;
}

std::size_t max_compressed_frame(std::size_t size) {
  return kMaxHeaderSize + static_cast<std::size_t>(max_compressed(size));
}

std::size_t write_compressed_frame(Deflater& deflater, FrameHeader& header,
                                   std::span<const std::span<const std::byte>> parts,
                                   std::span<std::byte> out) {
  // The size of the header depends on the compressed size. So leave space for the longest header, compress, write the
  // header, and move the payload so that it starts directly after the header.
  const std::size_t size = deflater.compress(parts, out.subspan(kMaxHeaderSize));
  header.rsv1 = true;  // [7692-6.1-COMPRESSED]
  header.payload_length = size;
  const std::size_t header_size = serialize_frame_header(header, out.first<kMaxHeaderSize>());
  const std::span<std::byte> payload = out.subspan(header_size, size);
  std::memmove(payload.data(), out.data() + kMaxHeaderSize, size);
  if (header.masked)
    apply_mask(payload, header.masking_key);
  return header_size + size;
}

}  // namespace ws
