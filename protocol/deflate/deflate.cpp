#include "protocol/deflate/deflate.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <new>
#include <utility>

namespace ws {
namespace {

/// The compression level. zlib's default, 6, takes two to four times as long, and its output is only a seventh smaller:
/// see docs/13-compression.md.
constexpr int kLevel = 1;

/// [7692-7.2.1-TAIL] every compressed message ends with these bytes, which are not sent
constexpr std::byte kTail[] = {std::byte{0x00}, std::byte{0x00}, std::byte{0xFF}, std::byte{0xFF}};

/// The text "a" as a DEFLATE block with fixed Huffman codes: RFC 1951 §3.2.6.
constexpr std::byte kCompressedA[] = {std::byte{0x4A}, std::byte{0x04}, std::byte{0x00}};

/// Maximum bytes for one call of zlib, whose byte counts are unsigned int.
constexpr std::size_t kMaxPerCall = std::numeric_limits<uInt>::max();

// --- Memory functions for zlib. zlib frees memory only when a stream ends, so `deallocate` leaves the charge as it is:
// the destructor of the stream's Charge gives all bytes back.

voidpf allocate(voidpf charge_of_stream, uInt items, uInt size) {
  Charge& charge = *static_cast<Charge*>(charge_of_stream);
  const std::size_t before = charge.size();
  const std::size_t bytes = std::size_t{items} * size;
  if (!charge.grow_to(before + bytes))
    return Z_NULL;
  void* const memory = ::operator new(bytes, std::nothrow);
  if (memory == nullptr)
    charge.shrink_to(before);
  return memory;
}

void deallocate(voidpf /*charge*/, voidpf memory) {
  ::operator delete(memory);
}

/// Casts `const` away, since zlib's interface lacks it. zlib does not write to its input.
Bytef* zlib_bytes(std::span<const std::byte> bytes) {
  return reinterpret_cast<Bytef*>(const_cast<std::byte*>(bytes.data()));
}

}  // namespace

ZStream::ZStream(Budget* budget) : charge_(budget) {
  stream_.zalloc = allocate;
  stream_.zfree = deallocate;
  stream_.opaque = &charge_;
}

int ZStream::step(int (*code)(z_streamp, int), int flush, std::span<const std::byte>& in,
                  std::span<std::byte> out, std::size_t& written) {
  const std::size_t given = std::min(in.size(), kMaxPerCall);
  const std::size_t room = std::min(out.size() - written, kMaxPerCall);
  stream_.next_in = zlib_bytes(in);
  stream_.avail_in = static_cast<uInt>(given);
  stream_.next_out = zlib_bytes(out.subspan(written));
  stream_.avail_out = static_cast<uInt>(room);
  const int status = code(&stream_, flush);
  in = in.subspan(given - stream_.avail_in);
  written += room - stream_.avail_out;
  return status;
}

// --- Compressing

std::unique_ptr<Deflater> Deflater::make(int window_bits, Budget* budget) {
  std::unique_ptr<Deflater> deflater(new (std::nothrow) Deflater(budget));
  // Negative window bits select raw DEFLATE, without zlib's header and checksum. The memory level is zlib's default, 8,
  // for the largest window, and lower for smaller ones.
  const int memory_level = window_bits - 7;
  if (deflater == nullptr || deflateInit2(&deflater->stream_, kLevel, Z_DEFLATED, -window_bits,
                                          memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
    return nullptr;
  return deflater;
}

Deflater::~Deflater() {
  deflateEnd(&stream_);
}

std::size_t Deflater::compress(std::span<const std::span<const std::byte>> parts,
                               std::span<std::byte> out) {
  std::size_t written = 0;
  const auto run = [&](std::span<const std::byte> in, int flush) {
    do {
      step(::deflate, flush, in, out, written);
    } while (!in.empty());
  };
  for (const auto part : parts) {
    if (!part.empty())
      run(part, Z_NO_FLUSH);
  }
  // [7692-7.2.1-TAIL] append an empty block, which ends on a byte boundary with 00 00 FF FF
  run({}, Z_SYNC_FLUSH);
  assert(stream_.avail_out != 0);  // if `out` were full, zlib could still hold output
  return written - sizeof kTail;
}

void Deflater::restart() {
  deflateReset(&stream_);
}

// --- Decompressing

std::unique_ptr<Inflater> Inflater::make(Budget* budget) {
  std::unique_ptr<Inflater> inflater(new (std::nothrow) Inflater(budget));
  if (inflater == nullptr || inflateInit2(&inflater->stream_, -15) != Z_OK)
    return nullptr;
  return inflater;
}

Inflater::~Inflater() {
  inflateEnd(&stream_);
}

Inflater::Result Inflater::inflate(std::span<const std::byte>& in, std::span<std::byte> out) {
  std::size_t written = 0;
  for (;;) {
    const int status = step(::inflate, Z_SYNC_FLUSH, in, out, written);
    if (status == Z_DATA_ERROR)
      return {Error::kCompressedData, written};
    if (status == Z_MEM_ERROR)
      return {Error::kOverBudget, written};
    // zlib sets data_type to 128 if it stopped after a block that ends on a byte boundary. Z_BUF_ERROR is not an error:
    // zlib had no input or no space for output, so a block that ended before this call is still the last one.
    const bool has_block_ended = status == Z_STREAM_END || stream_.data_type == 128;
    is_complete_ = has_block_ended || (status == Z_BUF_ERROR && is_complete_);
    // [7692-7.2.2-BLOCKS] zlib accepts any number of blocks of any type. [7692-7.2.2-BFINAL] A block with BFINAL ends
    // zlib's stream, but not the message: keep the window, since later blocks may refer to it.
    if (status == Z_STREAM_END)
      inflateResetKeep(&stream_);
    if (written == out.size() || in.empty())
      return {Error::kNone, written};
  }
}

Error Inflater::end_message() {
  // [7692-7.2.2-COMPLETE] a message that ends with a complete block is accepted as it is
  bool is_valid = is_complete_;
  if (!is_valid) {
    std::span<const std::byte> tail = kTail;
    std::byte nothing[1];
    const Result result = inflate(tail, nothing);
    is_valid = result.error == Error::kNone && result.written == 0 && is_complete_;
  }
  is_complete_ = false;
  return is_valid ? Error::kNone : Error::kCompressedData;
}

void Inflater::restart() {
  inflateReset(&stream_);
}

// --- Shared by connections

Deflater* DeflatePool::deflater(int window_bits) {
  if (window_bits == 8)
    return nullptr;
  std::unique_ptr<Deflater>& deflater = deflaters_[static_cast<std::size_t>(window_bits)];
  if (deflater != nullptr) {
    deflater->restart();
  } else if (budget_ == nullptr || memory(window_bits, false) <= budget_->room() / 2) {
    // Messages can be sent uncompressed, but a compressed message cannot be received without an Inflater: leave memory
    // for one.
    deflater = Deflater::make(window_bits, budget_);
  }
  return deflater.get();
}

std::unique_ptr<Inflater> DeflatePool::borrow_inflater() {
  return spare_ != nullptr ? std::move(spare_) : Inflater::make(budget_);
}

void DeflatePool::return_inflater(std::unique_ptr<Inflater> inflater) {
  inflater->restart();
  spare_ = std::move(inflater);
}

Charge DeflatePool::reserve() {
  Charge charge(reserve_);
  if (settings_.is_enabled && settings_.keeps_context)
    static_cast<void>(charge.grow_to(memory(settings_.window_bits, true)));
  return charge;
}

std::size_t DeflatePool::memory(int deflater_bits, bool has_inflater) {
  const bool has_deflater = deflater_bits != 8;
  std::size_t& of_deflater = deflater_memory_[static_cast<std::size_t>(deflater_bits)];
  if (has_deflater && of_deflater == 0) {
    Budget budget(std::numeric_limits<std::size_t>::max());
    const auto sample = Deflater::make(deflater_bits, &budget);
    of_deflater = budget.used();
  }
  if (has_inflater && inflater_memory_ == 0) {
    Budget budget(std::numeric_limits<std::size_t>::max());
    const auto sample = Inflater::make(&budget);
    // zlib allocates the window at the first byte of output, so inflate one byte.
    std::span<const std::byte> in = kCompressedA;
    std::byte out[2];
    if (sample != nullptr && sample->inflate(in, out).error == Error::kNone)
      inflater_memory_ = budget.used();
  }
  if ((has_deflater && of_deflater == 0) || (has_inflater && inflater_memory_ == 0))
    return 0;
  return of_deflater + (has_inflater ? inflater_memory_ : 0);
}

std::size_t deflate_memory(const DeflateSettings& settings) {
  DeflatePool pool(settings, nullptr);
  return pool.memory(settings.keeps_context ? settings.window_bits : 8, true);
}

// --- Per connection

PermessageDeflate::PermessageDeflate(const DeflateParameters& agreed, Role role, DeflatePool& pool,
                                     Charge reserved)
    : pool_(pool),
      reserved_(std::move(reserved)),
      send_bits_(role == Role::kServer ? agreed.server_max_window_bits
                                       : agreed.client_max_window_bits),
      keeps_sent_context_(role == Role::kServer ? !agreed.server_no_context_takeover
                                                : !agreed.client_no_context_takeover),
      keeps_received_context_(role == Role::kServer ? !agreed.client_no_context_takeover
                                                    : !agreed.server_no_context_takeover) {
  if (reserved_.size() > 0)
    reserved_.shrink_to(pool.memory(keeps_sent_context_ ? send_bits_ : 8, keeps_received_context_));
}

Deflater* PermessageDeflate::deflater(std::size_t size) {
  if (size < pool_.settings().threshold)
    return nullptr;
  // [7692-7.2.1-SERVER-EMPTY], [7692-7.2.1-CLIENT-EMPTY] without takeover each message starts with an empty window, of
  // at most the negotiated size: [7692-7.2.1-WINDOW]
  if (!keeps_sent_context_)
    return pool_.deflater(send_bits_);
  // [7692-7.2.1-TAKEOVER] with takeover the connection keeps its own Deflater
  if (deflater_ == nullptr && send_bits_ != 8)
    deflater_ = Deflater::make(send_bits_, kept_budget());
  return deflater_.get();
}

Budget* PermessageDeflate::kept_budget() const {
  return reserved_.size() > 0 ? nullptr : pool_.budget();
}

void PermessageDeflate::forget_sent_context() {
  if (deflater_ != nullptr)
    deflater_->restart();
}

Inflater* PermessageDeflate::begin_message() {
  // [7692-7.2.2-TAKEOVER] With takeover a message may refer to earlier messages. [7692-7.2.2-EMPTY] Without takeover it
  // may not. [7692-7.2.2-WINDOW] Our window is at least as large as negotiated.
  if (inflater_ == nullptr) {
    inflater_ = keeps_received_context_ ? Inflater::make(kept_budget()) : pool_.borrow_inflater();
  }
  return inflater_.get();
}

void PermessageDeflate::end_message() {
  if (!keeps_received_context_ && inflater_ != nullptr)
    pool_.return_inflater(std::move(inflater_));
}

}  // namespace ws
