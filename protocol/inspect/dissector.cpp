#include "protocol/inspect/dissector.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "protocol/text.h"

namespace ws {
namespace {

/// `Limits` does not count some bytes of a head: an empty line before the start line, the CRLF of the start line, and
/// the empty line that ends the head. This is an upper bound for them, plus one byte to see that a limit is exceeded.
constexpr std::size_t kUncounted = 8;
/// Buffers up to this size in bytes, or up to twice `keep`, are not freed between items.
constexpr std::size_t kSmall = 4096;
constexpr std::size_t kMaskingKeySize = 4;

/// Size of the body in bytes, or nullopt if the body extends to the end of the stream. Simplified from RFC 9112 §6.3.
std::optional<std::uint64_t> body_size(const HttpHead& head) {
  if (head.count("Transfer-Encoding") != 0)
    return std::nullopt;
  const auto text = head.find("Content-Length");
  std::uint64_t size = 0;
  if (!text.has_value())
    return std::nullopt;
  const auto [rest, error] = std::from_chars(text->data(), text->data() + text->size(), size);
  if (error != std::errc() || rest != text->data() + text->size())
    return std::nullopt;
  return size;
}
std::optional<std::uint64_t> body_size(const HttpRequest& request) {
  return request.has_body() ? body_size(static_cast<const HttpHead&>(request)) : 0;
}
std::optional<std::uint64_t> body_size(const HttpResponse& response) {
  const bool has_none =
      response.status() / 100 == 1 || response.status() == 204 || response.status() == 304;
  return has_none ? 0 : body_size(static_cast<const HttpHead&>(response));
}

}  // namespace

Dissector::Dissector(Sender sender, std::size_t keep) : sender_(sender), keep_(keep) {}

std::optional<Dissected> Dissector::next(std::span<const std::byte>& in) {
  if (shown_.capacity() > kSmall && shown_.capacity() / 2 > keep_)
    std::vector<std::byte>().swap(shown_);  // frees the buffer that a long head made large
  if (in.empty())
    return std::nullopt;
  switch (state_) {
    case State::kHead:
      return read_head(in);
    case State::kFrames:
      return read_frame(in);
    case State::kBody:
    case State::kRest: {
      const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, in.size()));
      left_ -= size;
      if (left_ == 0)
        state_ = state_ == State::kBody ? State::kHead : State::kFrames;
      return read_data(in, size);
    }
    case State::kData:
      break;
  }
  return read_data(in, in.size());
}

std::optional<Dissected> Dissector::cut() {
  request_.reset();
  response_.reset();
  if (size_ == 0)
    return std::nullopt;
  const bool is_frame = state_ == State::kFrames;
  if (!is_frame) {
    state_ = State::kData;
  } else if (const std::uint64_t whole = frame_size(); whole > size_) {
    left_ = whole - size_;
    state_ = State::kRest;
  }
  Dissected item = finish(is_frame ? Dissected::Type::kFrame : Dissected::Type::kHead);
  item.is_whole = false;
  return item;
}

bool Dissector::skip(std::uint64_t size) {
  offset_ += size;
  if (size == 0)
    return true;
  if (state_ != State::kBody && state_ != State::kRest)
    return false;
  if (size < left_) {
    left_ -= size;
    return true;
  }
  const bool is_end = size == left_;
  if (state_ == State::kRest) {
    state_ = State::kFrames;
  } else {
    state_ = is_end ? State::kHead : State::kData;
  }
  left_ = 0;
  return is_end;
}

std::optional<Dissected> Dissector::refused() {
  if (state_ != State::kFrames && state_ != State::kRest)
    return std::nullopt;
  auto item = cut();
  state_ = State::kHead;
  return item;
}

/// Size of the current frame in bytes; 0 if its header is cut before the end of the length.
std::uint64_t Dissector::frame_size() const {
  if (header_size_ != 0)
    return header_size_ + header_.payload_length;
  std::vector<std::byte> padded = kept_;
  padded.resize(kept_.size() + kMaskingKeySize);  // the length does not depend on the masking key
  FrameHeader header;
  const std::size_t header_size = read_frame_header(padded, header);
  const std::size_t to_length = header_size - (header.masked ? kMaskingKeySize : 0);
  return header_size == 0 || kept_.size() < to_length ? 0 : header_size + header.payload_length;
}

/// Ends the current item and returns it.
Dissected Dissector::finish(Dissected::Type type) {
  Dissected item;
  item.type = type;
  item.header = header_;
  item.header_size = header_size_;
  item.offset = offset_;
  item.size = size_;
  std::swap(shown_, kept_);
  kept_.clear();
  item.bytes = shown_;
  offset_ += size_;
  size_ = 0;
  header_size_ = 0;
  header_ = {};
  return item;
}

Dissected Dissector::read_data(std::span<const std::byte>& in, std::size_t size) {
  size_ = size;
  const auto shown = in.first(std::min(size, keep_));
  kept_.assign(shown.begin(), shown.end());
  in = in.subspan(size);
  return finish(Dissected::Type::kData);
}

std::optional<Dissected> Dissector::read_head(std::span<const std::byte>& in) {
  HttpHead& head = sender_ == Sender::kClient ? static_cast<HttpHead&>(request_) : response_;
  const std::size_t before = kept_.size();
  // Copy at most as many bytes as the limits allow for a head; bytes after the head are not consumed.
  const auto more = in.first(
      std::min(in.size(), limits_.request_line + limits_.field_bytes + kUncounted - before));
  kept_.insert(kept_.end(), more.begin(), more.end());
  const std::string_view bytes = as_text(kept_);
  size_ = bytes.size();
  if (head.parse(bytes, limits_) == HttpHead::Status::kNeedMore) {
    in = in.subspan(more.size());
    return std::nullopt;
  }
  const Error error = head.error();
  std::uint16_t status = 0;
  state_ = State::kData;
  if (error == Error::kNone) {
    size_ = head.size();
    status = sender_ == Sender::kClient ? 0 : static_cast<std::uint16_t>(response_.status());
    const bool is_upgrade = sender_ == Sender::kClient ? request_.lists("Upgrade", "websocket")
                                                       : response_.status() == 101;
    const auto body = sender_ == Sender::kClient ? body_size(request_) : body_size(response_);
    if (is_upgrade) {
      state_ = State::kFrames;
    } else if (body.has_value()) {
      left_ = *body;
      state_ = left_ == 0 ? State::kHead : State::kBody;
    }
  } else {
    // Parse again byte by byte, so that the item ends at the byte that shows the error, however `in` is split.
    head.reset();
    size_ = before + 1;
    while (head.parse(bytes.substr(0, static_cast<std::size_t>(size_)), limits_) ==
           HttpHead::Status::kNeedMore)
      ++size_;
  }
  in = in.subspan(static_cast<std::size_t>(size_) - before);
  kept_.resize(static_cast<std::size_t>(size_));
  head.reset();
  Dissected item = finish(Dissected::Type::kHead);
  item.error = error;
  item.status = status;
  return item;
}

std::optional<Dissected> Dissector::read_frame(std::span<const std::byte>& in) {
  if (header_size_ == 0) {
    const std::size_t before = kept_.size();
    const auto more = in.first(std::min(in.size(), kMaxHeaderSize - before));
    kept_.insert(kept_.end(), more.begin(), more.end());
    header_size_ = read_frame_header(kept_, header_);
    if (header_size_ == 0) {
      size_ = kept_.size();
      in = {};
      return std::nullopt;
    }
    in = in.subspan(header_size_ - before);
    kept_.resize(header_size_);
    size_ = header_size_;
  }
  const std::uint64_t lacking = header_.payload_length - (size_ - header_size_);
  const auto payload =
      in.first(static_cast<std::size_t>(std::min<std::uint64_t>(lacking, in.size())));
  const auto shown = payload.first(std::min(payload.size(), keep_ + header_size_ - kept_.size()));
  kept_.insert(kept_.end(), shown.begin(), shown.end());
  size_ += payload.size();
  in = in.subspan(payload.size());
  if (payload.size() < lacking)
    return std::nullopt;
  return finish(Dissected::Type::kFrame);
}

}  // namespace ws
