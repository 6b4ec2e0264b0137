#include "tools/wstrace/input.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

namespace ws::trace {
namespace {

constexpr std::size_t kBufferSize = 65'536;
/// The first bytes of each member of a gzip file. RFC 1952 §2.3.1
constexpr std::array kGzipMagic = {std::byte{0x1f}, std::byte{0x8b}};

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= kGzipMagic.size() &&
         std::ranges::equal(bytes.first(kGzipMagic.size()), kGzipMagic);
}

}  // namespace

CaptureInput::CaptureInput(const std::string& path)
    : file_(path == "-" ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
      buffer_(kBufferSize) {
  if (!file_.is_open())
    throw TraceFailure(std::system_category().message(errno));
  while (unread_.size() < kGzipMagic.size() && fill()) {
  }
  if (is_gzip(unread_)) {
    gzip_.reset(new z_stream{});
    constexpr int kOnlyGzip = 16;
    if (::inflateInit2(gzip_.get(), MAX_WBITS + kOnlyGzip) != Z_OK)
      throw std::bad_alloc();
    is_in_member_ = true;
  }
  while (magic_size_ < magic_.size()) {
    const std::size_t size = read_decoded(std::span(magic_).subspan(magic_size_));
    if (size == 0)
      break;
    magic_size_ += size;
  }
}

std::size_t CaptureInput::read(std::span<std::byte> bytes) {
  if (magic_read_ == magic_size_)
    return read_decoded(bytes);
  const std::size_t size = std::min(bytes.size(), magic_size_ - magic_read_);
  std::ranges::copy(magic().subspan(magic_read_, size), bytes.begin());
  magic_read_ += size;
  return size;
}

std::size_t CaptureInput::read_decoded(std::span<std::byte> bytes) {
  if (gzip_ != nullptr)
    return inflate(bytes);
  if (unread_.empty() && !fill())
    return 0;
  const std::size_t size = std::min(bytes.size(), unread_.size());
  std::ranges::copy(unread_.first(size), bytes.begin());
  unread_ = unread_.subspan(size);
  return size;
}

std::size_t CaptureInput::inflate(std::span<std::byte> bytes) {
  if (bytes.empty())
    return 0;
  if (!error_.empty())
    fail(error_);
  const auto size = static_cast<uInt>(std::min(bytes.size(), kBufferSize));
  gzip_->next_out = reinterpret_cast<Bytef*>(bytes.data());
  gzip_->avail_out = size;
  while (gzip_->avail_out == size) {
    if (!is_in_member_) {
      // A file may have several members. Like gzip, ignores other bytes after a member. RFC 1952 §2.2
      while (unread_.size() < kGzipMagic.size() && fill()) {
      }
      if (!is_gzip(unread_))
        return 0;
      ::inflateReset(gzip_.get());
      is_in_member_ = true;
    }
    if (unread_.empty() && !fill())
      fail("the gzip data is truncated");
    gzip_->next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(unread_.data()));
    gzip_->avail_in = static_cast<uInt>(unread_.size());
    const int status = ::inflate(gzip_.get(), Z_NO_FLUSH);
    unread_ = unread_.last(gzip_->avail_in);
    is_in_member_ = status != Z_STREAM_END;
    if (status != Z_OK && status != Z_STREAM_END) {
      error_ = std::string("the gzip data is damaged: ") +
               (gzip_->msg != nullptr ? gzip_->msg : ::zError(status));
      if (gzip_->avail_out == size)
        fail(error_);
      break;  // the caller gets the bytes before the damage first
    }
  }
  return size - gzip_->avail_out;
}

/// Reads more bytes of the file, after the unread ones. Returns false at its end.
bool CaptureInput::fill() {
  std::ranges::copy(unread_, buffer_.begin());
  const std::span<std::byte> space = std::span(buffer_).subspan(unread_.size());
  ssize_t size = 0;
  do {
    size = ::read(file_.get(), space.data(), space.size());
  } while (size < 0 && errno == EINTR);
  if (size < 0)
    fail(std::system_category().message(errno));
  unread_ = std::span(buffer_).first(unread_.size() + static_cast<std::size_t>(size));
  return size > 0;
}

void CaptureInput::fail(const std::string& why) {
  error_ = why;
  throw TraceFailure(why);
}

}  // namespace ws::trace
