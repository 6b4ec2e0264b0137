// An output buffer: collects bytes in order, so that one write sends all of them.
//
// Small parts are copied into one block. A large part can be lent instead: the Output stores a reference and makes no
// copy.
//
// Invariants:
//  1. Lent bytes must stay valid and unchanged until `clear`.
//  2. `clear` keeps the block for the next output, so that an Output in steady use does not allocate. A block of
//     more than `kMaxKept` bytes is freed instead, so that the memory of one large message is not kept.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace ws {

class Output {
 public:
  using Bytes = std::span<const std::byte>;

  /// Appends `size` uninitialized bytes to the block and returns them. The caller must fill them before the next
  /// append. Inlined for the fast path (protocol/fast/small_frame.h); `grow` is rarely called and not inlined.
  [[gnu::always_inline]] std::span<std::byte> extend(std::size_t size) {
    if (size > room()) [[unlikely]]
      grow(size);
    const std::span<std::byte> room{block_.get() + used_, size};
    used_ += size;
    return room;
  }
  /// Bytes that `extend` can return without an allocation.
  [[nodiscard]] std::size_t room() const { return capacity_ - used_; }
  /// Reserves space, so that appending up to `size` bytes and lending up to `lends` parts cannot throw in the middle of
  /// a frame. This call may throw std::bad_alloc.
  void reserve(std::size_t size, std::size_t lends) {
    if (size > room())
      grow(size);
    if (lends != 0)
      pieces_.reserve(pieces_.size() + lends);
  }
  /// Removes the last `size` bytes of the block: bytes that `extend` returned and the caller does not need.
  void shrink(std::size_t size) { used_ -= size; }
  /// Appends a copy of `bytes`.
  void append(Bytes bytes);
  void append(std::string_view text) { append(std::as_bytes(std::span(text))); }
  /// Appends a reference to `bytes`, which must stay valid and unchanged until `clear`.
  void lend(Bytes bytes);

  [[nodiscard]] std::size_t size() const { return used_ + lent_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// True if any part is lent. The caller must send the output before it changes the lent bytes.
  [[nodiscard]] bool lends() const { return lent_ != 0; }

  /// Calls `visit(Bytes)` for each contiguous piece, in order.
  template <typename Visit>
  void for_each_piece(Visit visit) const {
    std::size_t begin = 0;
    for (const Piece& piece : pieces_) {
      if (piece.block_end > begin)
        visit(Bytes{block_.get() + begin, piece.block_end - begin});
      begin = piece.block_end;
      visit(piece.lent);
    }
    if (used_ > begin)
      visit(Bytes{block_.get() + begin, used_ - begin});
  }

  /// All bytes as one piece. Call this only if no part is lent.
  [[nodiscard]] Bytes block() const { return {block_.get(), used_}; }

  void clear() {
    used_ = 0;
    if (lent_ != 0) {
      lent_ = 0;
      pieces_.clear();
    }
    if (capacity_ > kMaxKept) {
      block_.reset();
      capacity_ = 0;
    }
  }
  static constexpr std::size_t kMaxKept = 1024 * 1024;

 private:
  struct Piece {
    std::size_t block_end;  ///< the first `block_end` bytes of the block precede `lent`
    Bytes lent;
  };
  [[gnu::cold]] void grow(std::size_t size);

  std::unique_ptr<std::byte[]> block_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;  ///< used bytes of the block
  std::size_t lent_ = 0;  ///< total size of the lent parts
  std::vector<Piece> pieces_;
};

}  // namespace ws
