#include "protocol/frame/connection.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "protocol/deflate/deflate.h"
#include "protocol/frame/mask.h"
#include "protocol/frame/message.h"
#include "protocol/frame/utf8.h"
#include "protocol/text.h"

namespace ws {

/// The state of a message or control frame that was received in part.
struct Connection::Partial {
  explicit Partial(const ConnectionSettings& settings)
      : message(settings.limits, settings.budget) {}

  MessageAssembler message;
  FrameHeader frame;           ///< header of the current frame
  bool is_frame_open = false;  ///< the current frame's payload is incomplete
  bool is_delivered = false;   ///< the event was returned; `release` frees this object
  std::uint64_t received = 0;  ///< bytes of the current frame's payload so far
  std::size_t progress = 0;    ///< see consume_progress
  std::array<std::byte, kMaxControlPayload> control;  ///< payload of a control frame
};

Connection::Connection(const ConnectionSettings& settings) : settings_(&settings) {
  assert(settings.role == Role::kServer || settings.new_masking_key != nullptr);
}
Connection::~Connection() = default;

void Connection::use_deflate(const DeflateParameters& agreed, Charge reserved) {
  // [7692-5-AGREED] the parameters apply to both directions
  deflate_ = std::make_unique<PermessageDeflate>(agreed, settings_->role, *settings_->deflate,
                                                 std::move(reserved));
}

bool Connection::accepts_shared_deflate() const {
  return deflate_ != nullptr && deflate_->accepts_shared();
}

void Connection::forget_sent_context() {
  deflate_->forget_sent_context();
}

Connection::Partial& Connection::partial() {
  if (partial_ == nullptr)
    partial_ = std::make_unique<Partial>(*settings_);
  return *partial_;
}

std::size_t Connection::consume_progress() {
  return partial_ == nullptr ? 0 : std::exchange(partial_->progress, 0);
}

void Connection::release_delivered() {
  if (partial_->is_delivered)
    partial_.reset();
}

Event Connection::next_general(std::span<std::byte>& in, Output& out) {
  for (;;) {
    if (state_ == State::kFinished)
      in = {};  // [6455-5.5.1-DISCARD]
    if (in.empty() && !is_mid_message())
      return {};

    if (partial_ != nullptr && partial_->is_frame_open) {
      const Event event = read_payload(in, out);
      if (event.type != Event::Type::kNeedMore || partial_->is_frame_open)
        return event;
      continue;  // the fragment has ended, but not the message
    }

    // [6455-6.2-FRAMES] all received bytes are parsed as frames
    FrameHeader header;
    const HeaderResult result = read_header(in, header);
    if (result.status == HeaderResult::Status::kError)
      return fail(result.error, out);
    if (result.status == HeaderResult::Status::kNeedMore)
      return {};

    if (!is_control(header.opcode)) {
      const bool open = partial_ != nullptr;
      const std::uint64_t limit = settings_->limits.message;
      const Error error =
          open ? partial_->message.begin_frame(header)
               : validate_data_frame(header, false, header.rsv1 ? max_compressed(limit) : limit);
      if (error != Error::kNone)
        return fail(error, out);
    }
    const bool is_whole = in.size() >= header.payload_length;
    // [6455-5.2-FIN] a first frame with FIN is a whole message; [7692-6.2-PLAIN] without RSV1 the message is not
    // compressed, even if permessage-deflate was negotiated
    const bool is_message = header.fin && partial_ == nullptr && !header.rsv1;
    if (is_whole && (is_message || is_control(header.opcode))) {
      const auto payload = in.first(static_cast<std::size_t>(header.payload_length));
      in = in.subspan(payload.size());
      return handle_whole_frame(header, payload, out);
    }

    Partial& p = partial();
    p.frame = header;
    p.received = 0;
    p.is_frame_open = true;
    if (!is_control(header.opcode) && !p.message.is_open()) {
      Inflater* const inflater = header.rsv1 ? deflate_->begin_message() : nullptr;
      if (header.rsv1 && inflater == nullptr)
        return fail(Error::kOverBudget, out);
      p.message.begin(header, inflater);
    }
  }
}

/// Parses the header at the front of `in`. If its first bytes arrived earlier, they are in header_.
HeaderResult Connection::read_header(std::span<std::byte>& in, FrameHeader& header) {
  std::span<const std::byte> bytes = in;
  const std::size_t before = header_size_;
  if (before != 0) {
    const std::size_t more = std::min(in.size(), kMaxHeaderSize - before);
    std::copy_n(in.begin(), more, header_.begin() + static_cast<std::ptrdiff_t>(before));
    bytes = std::span(header_).first(before + more);
  }
  const HeaderResult result =
      parse_frame_header(bytes, settings_->role, header, deflate_ != nullptr);
  if (result.status == HeaderResult::Status::kNeedMore) {
    if (before == 0)
      std::ranges::copy(bytes, header_.begin());
    header_size_ = static_cast<std::uint8_t>(bytes.size());
    in = {};
  } else if (result.status == HeaderResult::Status::kHeader) {
    in = in.subspan(result.size - before);
    header_size_ = 0;
  }
  return result;
}

/// Handles a frame that is completely in the input: a control frame, or an uncompressed message of one frame. The
/// event's payload is a view of the input, not a copy.
Event Connection::handle_whole_frame(const FrameHeader& header, std::span<std::byte> payload,
                                     Output& out) {
  if (header.masked)
    apply_mask(payload, header.masking_key);
  if (is_control(header.opcode))
    return control_event(header.opcode, payload, out);
  // [6455-6.2-TYPE], [6455-8.1-UTF8]
  if (header.opcode == Opcode::kBinary)
    return {.type = Event::Type::kBinary, .payload = payload};
  if (!is_utf8(payload))
    return fail(Error::kTextNotUtf8, out);
  return {.type = Event::Type::kText, .payload = payload};
}

/// Handles the next payload bytes of the frame in `partial_`.
Event Connection::read_payload(std::span<std::byte>& in, Output& out) {
  Partial& p = *partial_;
  const std::uint64_t lacking = p.frame.payload_length - p.received;
  const auto bytes =
      in.first(static_cast<std::size_t>(std::min<std::uint64_t>(lacking, in.size())));
  in = in.subspan(bytes.size());
  if (p.frame.masked) {
    apply_mask(bytes, p.frame.masking_key, static_cast<std::size_t>(p.received));
  }
  if (is_control(p.frame.opcode)) {
    std::ranges::copy(bytes, p.control.begin() + static_cast<std::ptrdiff_t>(p.received));
  } else if (const Error e = p.message.append(bytes); e != Error::kNone) {
    return fail(e, out);
  } else {
    p.progress += bytes.size();
  }
  p.received += bytes.size();
  if (p.received < p.frame.payload_length)
    return {};

  p.is_frame_open = false;
  if (!is_control(p.frame.opcode))
    return end_data_frame(p.frame.fin, out);
  // [6455-5.4-CONTROL] a control frame may come between fragments: keep the message for its later fragments
  p.is_delivered = !p.message.is_open();
  return control_event(p.frame.opcode,
                       std::span(p.control).first(static_cast<std::size_t>(p.received)), out);
}

Event Connection::end_data_frame(bool fin, Output& out) {
  MessageAssembler& message = partial_->message;
  if (const Error e = message.end_frame(fin); e != Error::kNone)
    return fail(e, out);
  if (!fin)
    return {};
  if (deflate_ != nullptr)
    deflate_->end_message();
  partial_->is_delivered = true;
  return {.type = message.opcode() == Opcode::kText ? Event::Type::kText : Event::Type::kBinary,
          .payload = message.payload()};
}

Event Connection::control_event(Opcode opcode, std::span<std::byte> payload, Output& out) {
  if (opcode == Opcode::kPing) {
    // [6455-5.5.2-PONG] the pong has the payload of the ping
    send_control(Opcode::kPong, payload, out);
    return {.type = Event::Type::kPing, .payload = payload};
  }
  // [6455-5.5.3-UNSOLICITED] a pong is never answered, solicited or not
  if (opcode == Opcode::kPong)
    return {.type = Event::Type::kPong, .payload = payload};

  const ClosePayload received = parse_close_payload(payload);
  if (received.error != Error::kNone)
    return fail(received.error, out);
  // [6455-5.5.1-ANSWER] answer with a Close that has the same code (§5.5.1)
  close(received.code, {}, out);
  state_ = State::kFinished;
  if (partial_ != nullptr)
    partial_->is_delivered = true;  // so `release` also frees an unfinished message
  deflate_.reset();
  const std::size_t reason_size = received.reason.size();
  return {.type = Event::Type::kClose, .code = received.code, .payload = payload.last(reason_size)};
}

Event Connection::fail(Error error, Output& out) {
  // [6455-7.1.7-FAIL] send a Close with the reason, then process no more input
  const ErrorInfo& info = describe(error);
  close(info.code, info.text, out);
  state_ = State::kFinished;
  header_size_ = 0;
  partial_.reset();
  deflate_.reset();
  return {.type = Event::Type::kFailed, .error = error, .code = info.code};
}

bool Connection::send(Opcode opcode, std::initializer_list<std::span<const std::byte>> parts,
                      Output& out) {
  if (state_ != State::kOpen)
    return false;  // [6455-5.5.1-LAST]
  if (deflate_ == nullptr || is_control(opcode) || !append_compressed(opcode, parts, out))
    append_frame(opcode, parts, out);
  return true;
}

bool Connection::send_control(Opcode opcode, std::span<const std::byte> payload, Output& out) {
  assert(payload.size() <= kMaxControlPayload);
  return send(opcode, {payload}, out);
}

// [6455-7.1.2-CLOSE]
bool Connection::close(std::uint16_t code, std::string_view reason, Output& out) {
  if (state_ != State::kOpen)
    return false;
  const std::byte code_bytes[] = {static_cast<std::byte>(code >> 8U),
                                  static_cast<std::byte>(code & 0xFFU)};
  if (code == close_code::kNoStatus) {
    append_frame(Opcode::kClose, {}, out);
  } else {
    assert(may_be_sent(code));  // [6455-7.4-CODE]
    const auto text = as_bytes(fit_close_reason(reason));
    append_frame(Opcode::kClose,
                 std::initializer_list<std::span<const std::byte>>{code_bytes, text}, out);
  }
  state_ = State::kCloseSent;
  return true;
}

/// [7692-6.1-COMPRESSED] Compresses the message and appends it as one frame. Returns false and appends nothing if the
/// message must be sent uncompressed: it is shorter than the threshold, no compressor is available, or compression does
/// not make it smaller. [7692-6.1-PLAIN]
bool Connection::append_compressed(Opcode opcode, std::span<const std::span<const std::byte>> parts,
                                   Output& out) {
  std::size_t size = 0;
  for (const auto part : parts)
    size += part.size();
  Deflater* const deflater = deflate_->deflater(size);
  if (deflater == nullptr)
    return false;

  FrameHeader header{.opcode = opcode, .masked = settings_->role == Role::kClient};
  if (header.masked)
    header.masking_key = settings_->new_masking_key();  // [6455-5.3-KEY]
  const std::span<std::byte> room = out.extend(max_compressed_frame(size));
  const auto frame = room.first(write_compressed_frame(*deflater, header, parts, room));
  // Send the message uncompressed if compression does not make it smaller. With context takeover send it compressed
  // anyway, since the peer's window must receive the same data as ours.
  if (header.payload_length >= size && !deflate_->keeps_sent_context()) {
    out.shrink(room.size());
    return false;
  }
  out.shrink(room.size() - frame.size());
  return true;
}

void Connection::append_frame(Opcode opcode, std::span<const std::span<const std::byte>> parts,
                              Output& out) {
  // [6455-6.1-FRAME] one frame with FIN set; [6455-5.2-RSV] RSV1-3 are 0; [6455-5.1-NOMASK] a server does not set MASK
  FrameHeader header{.opcode = opcode, .masked = settings_->role == Role::kClient};
  std::size_t size = 0;
  for (const auto part : parts)
    size += part.size();
  header.payload_length = size;
  if (size >= kLendFrom && !header.masked)
    return append_lent(header, parts, out);

  const std::span<std::byte> room = out.extend(kMaxHeaderSize + size);
  // [6455-5.1-MASK], [6455-5.3-KEY] a client uses a new key for each frame
  if (header.masked)
    header.masking_key = settings_->new_masking_key();
  const std::size_t header_size = serialize_frame_header(header, room.first<kMaxHeaderSize>());
  out.shrink(kMaxHeaderSize - header_size);
  std::byte* at = room.data() + header_size;
  for (const auto part : parts) {
    if (!part.empty())
      std::memcpy(at, part.data(), part.size());
    at += part.size();
  }
  if (header.masked)
    apply_mask(room.subspan(header_size, size), header.masking_key);
}

/// Appends a frame and lends its large parts. Only for servers: a client must copy the payload to mask it.
void Connection::append_lent(const FrameHeader& header,
                             std::span<const std::span<const std::byte>> parts, Output& out) {
  out.reserve(kMaxHeaderSize + static_cast<std::size_t>(header.payload_length), parts.size());
  std::array<std::byte, kMaxHeaderSize> bytes;
  const auto header_bytes = std::span(bytes).first(serialize_frame_header(header, bytes));
  out.append(header_bytes);
  for (const auto part : parts) {
    if (part.size() >= kLendFrom)
      out.lend(part);
    else
      out.append(part);
  }
}

}  // namespace ws
