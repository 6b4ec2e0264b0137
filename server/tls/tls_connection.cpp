#include "server/tls/tls_connection.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace ws {
namespace {

/// Limit of unsent TLS output. A client of TLS 1.2 can request renegotiation repeatedly, each request gets an alert, and a
/// client that does not read would fill our memory.
constexpr std::size_t kMaxAnswers = std::size_t{128} * 1024;
/// The plaintext of one record. RFC 8446 §5.1
constexpr std::size_t kRecord = 16384;

// --- OpenSSL's input and output, a BIO: reads TlsBuffers::input and appends to TlsBuffers::output. All connections of a
// loop share it, since only one is in use at a time.

int read_input(BIO* bio, char* to, int size) {
  auto& input = static_cast<TlsBuffers*>(BIO_get_data(bio))->input;
  BIO_clear_retry_flags(bio);
  if (input.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t count = std::min(input.size(), static_cast<std::size_t>(size));
  std::memcpy(to, input.data(), count);
  input = input.subspan(count);
  return static_cast<int>(count);
}

int append_output(BIO* bio, const char* from, int size) {
  auto& output = static_cast<TlsBuffers*>(BIO_get_data(bio))->output;
  BIO_clear_retry_flags(bio);
  const auto bytes = std::as_bytes(std::span(from, static_cast<std::size_t>(size)));
  try {
    output.insert(output.end(), bytes.begin(), bytes.end());
  } catch (const std::bad_alloc&) {
    return -1;  // OpenSSL is written in C: no exception may pass through it
  }
  return size;
}

long control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace

TlsBuffers::TlsBuffers()
    : method_(BIO_meth_new(BIO_TYPE_SOURCE_SINK, "loop"), BIO_meth_free),
      bio_(nullptr, BIO_free_all),
      record_(kRecord) {
  received.resize(kReceive);
  if (method_ == nullptr)
    throw std::bad_alloc();
  BIO_meth_set_read(method_.get(), read_input);
  BIO_meth_set_write(method_.get(), append_output);
  BIO_meth_set_ctrl(method_.get(), control);
  bio_.reset(BIO_new(method_.get()));
  if (bio_ == nullptr)
    throw std::bad_alloc();
  BIO_set_data(bio_.get(), this);
  BIO_set_init(bio_.get(), 1);
}

TlsBuffers::~TlsBuffers() = default;

void TlsConnection::Free::operator()(ssl_st* connection) const noexcept {
  SSL_free(connection);
}

TlsConnection::TlsConnection(const TlsContext& context, TlsBuffers& buffers)
    : buffers_(buffers), tls_(context.new_connection()) {
  BIO* const bio = buffers_.bio_.get();
  BIO_up_ref(bio);  // SSL_set_bio takes one reference, even if both BIOs are the same
  SSL_set_bio(tls_.get(), bio, bio);
}

TlsConnection::~TlsConnection() = default;

bool TlsConnection::is_established() const {
  return !has_failed_ && SSL_is_init_finished(tls_.get()) == 1;
}

bool TlsConnection::is_closed_by_peer() const {
  return !has_failed_ && (SSL_get_shutdown(tls_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
}

void TlsConnection::fail(std::string_view why) {
  has_failed_ = true;
  failure_ = why;
  ERR_clear_error();
}

void TlsConnection::fail() {
  // The last error: those before it are details, such as "cipher operation failed".
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  fail(reason == nullptr ? "TLS failed, without a reason" : reason);
}

/// Call it after each call of OpenSSL that may have output. If earlier output is unsent, the new output must wait, too.
void TlsConnection::collect_output() {
  if (!has_unsent())
    return;
  unsent_.insert(unsent_.end(), buffers_.output.begin(), buffers_.output.end());
  buffers_.output.clear();
}

TlsConnection::Status TlsConnection::decrypt(std::span<const std::byte> bytes,
                                             std::span<std::byte> plain, std::size_t& size) {
  size = 0;
  if (has_failed_)
    return Status::kFailed;
  // A TLS connection begins with a record of the type "handshake", 22, an HTTP request with a letter.
  if (!has_input_ && !bytes.empty()) {
    has_input_ = true;
    const auto first = std::to_integer<unsigned char>(bytes.front());
    is_plain_ = first >= 'A' && first <= 'Z';
  }
  if (is_plain_)
    return Status::kPlainText;
  buffers_.input = bytes;
  buffers_.output.clear();
  ERR_clear_error();  // the queue of errors belongs to the thread: it may have those of other connections
  for (;;) {
    std::size_t count = 0;
    if (SSL_read_ex(tls_.get(), plain.data() + size, plain.size() - size, &count) == 1) {
      size += count;
      continue;
    }
    const int error = SSL_get_error(tls_.get(), 0);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_ZERO_RETURN)
      fail();
    // While a message of the handshake is incomplete, OpenSSL encrypts nothing. After the handshake there are only key
    // updates, of five bytes, which no client cuts.
    const bool is_in_handshake = SSL_is_init_finished(tls_.get()) != 1;
    was_established_ |= size > 0 || !is_in_handshake;
    if (!has_failed_ && was_established_ && is_in_handshake)
      fail("a TLS handshake message was cut");
    collect_output();
    if (!has_failed_ && unsent() > kMaxAnswers)
      fail("the peer is not reading: too much TLS output is unsent");
    return has_failed_                    ? Status::kFailed
           : error == SSL_ERROR_WANT_READ ? Status::kOpen
                                          : Status::kClosed;
  }
}

std::size_t TlsConnection::encrypt(std::span<const iovec> pieces, std::size_t skip) {
  if (!is_established())
    return 0;
  buffers_.output.clear();
  ERR_clear_error();
  std::size_t taken = 0;
  const auto write = [&](std::span<const std::byte> plain) {
    std::size_t count = 0;
    if (SSL_write_ex(tls_.get(), plain.data(), plain.size(), &count) != 1)
      fail();
    taken += count;
  };
  std::size_t gathered = 0;
  for (const iovec& piece : pieces) {
    std::span rest(static_cast<const std::byte*>(piece.iov_base), piece.iov_len);
    const std::size_t skipped = std::min(skip, rest.size());
    skip -= skipped;
    rest = rest.subspan(skipped);
    rest = rest.first(std::min(rest.size(), kMaxBatch - taken - gathered));
    while (!rest.empty() && !has_failed_) {
      std::size_t count = kRecord;
      if (gathered == 0 && rest.size() >= kRecord) {
        write(rest.first(kRecord));  // a whole record: no need to copy it
      } else {
        count = std::min(rest.size(), kRecord - gathered);
        std::memcpy(buffers_.record_.data() + gathered, rest.data(), count);
        gathered += count;
      }
      rest = rest.subspan(count);
      if (gathered == kRecord)
        write(buffers_.record_);
      gathered %= kRecord;
    }
  }
  if (gathered > 0 && !has_failed_)
    write(std::span(buffers_.record_).first(gathered));
  collect_output();
  return taken;
}

void TlsConnection::close() {
  const bool is_first_call = !is_closed_;
  is_closed_ = true;
  if (!is_first_call || !is_established())
    return;
  buffers_.output.clear();
  ERR_clear_error();
  SSL_shutdown(tls_.get());
  ERR_clear_error();
  collect_output();
}

std::span<const std::byte> TlsConnection::to_send() const {
  if (has_unsent())
    return std::span(unsent_).subspan(unsent_begin_);
  return buffers_.output;
}

void TlsConnection::sent(std::size_t size) {
  if (has_unsent()) {
    unsent_begin_ += size;
    if (unsent_begin_ == unsent_.size()) {
      unsent_ = {};  // gives the memory back
      unsent_begin_ = 0;
    }
    return;
  }
  if (size < buffers_.output.size()) {
    unsent_.swap(buffers_.output);  // needs no memory, unlike a copy
    unsent_begin_ = size;
  }
  buffers_.output.clear();
}

}  // namespace ws
