// Bytes on their way out, in order: what one turn of work has to say, gathered for one write.
//
// Small parts are copied into one block; large ones may be lent, so that a big payload goes from
// where it lies to the socket without a copy. Either way the order is that of the calls.
//
// Invariants:
//  1. Lent bytes must stay where they are until `clear`.
//  2. `clear` keeps the block: an Output in steady use allocates nothing. But not one larger than `kMostKept`:
//     a large message that was compressed needed it, and the next may never come.
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

  /// Room for `size` bytes, which are counted as written: the caller fills all of them at once. In line, as part of the
  /// short way (protocol/fast/short_frame); what it rarely does, to grow, is apart.
  [[gnu::always_inline]] std::span<std::byte> extend(std::size_t size) {
    if (size > room()) [[unlikely]]
      grow(size);
    const std::span<std::byte> room{block_.get() + used_, size};
    used_ += size;
    return room;
  }
  /// So much will `extend` give without an allocation.
  [[nodiscard]] std::size_t room() const { return capacity_ - used_; }
  /// What follows, up to `size` bytes and `lends` parts by reference, will not throw: so a frame is
  /// appended whole or, by bad_alloc here, not at all.
  void reserve(std::size_t size, std::size_t lends) {
    if (size > room())
      grow(size);
    if (lends != 0)
      pieces_.reserve(pieces_.size() + lends);
  }
  /// Takes back the last `size` bytes that `extend` gave and nobody needed.
  void shrink(std::size_t size) { used_ -= size; }
  /// Copies `bytes` (characters likewise).
  void append(Bytes bytes);
  void append(std::string_view text) { append(std::as_bytes(std::span(text))); }
  /// Adds `bytes` by reference.
  void lend(Bytes bytes);

  [[nodiscard]] std::size_t size() const { return used_ + lent_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  /// True if any part is lent, and so must leave before its bytes are used for something else.
  [[nodiscard]] bool lends() const { return lent_ != 0; }

  /// Calls `visit(Bytes)` with each piece in order; there are as few of them as possible.
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

  /// What `for_each_piece` would visit, if nothing is lent.
  [[nodiscard]] Bytes block() const { return {block_.get(), used_}; }

  void clear() {
    used_ = 0;
    if (lent_ != 0) {
      lent_ = 0;
      pieces_.clear();
    }
    if (capacity_ > kMostKept) {
      block_.reset();
      capacity_ = 0;
    }
  }
  static constexpr std::size_t kMostKept = 1024 * 1024;

 private:
  struct Piece {
    std::size_t block_end;  ///< what is in the block up to here goes first
    Bytes lent;
  };
  [[gnu::cold]] void grow(std::size_t size);

  std::unique_ptr<std::byte[]> block_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;  ///< bytes in the block
  std::size_t lent_ = 0;  ///< bytes that are not
  std::vector<Piece> pieces_;
};

}  // namespace ws
