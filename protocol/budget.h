// Limits the memory that sessions hold. Memory is charged to a budget before it is allocated, and the charge is given
// back when the memory is freed. RFC 6455 §10.4
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <limits>
#include <utility>

namespace ws {

/// Counts the bytes that the sessions hold, and enforces a limit. This is the only class in protocol/ that several
/// threads may use at once. Relaxed ordering is enough, since no other data depends on the counter. A message that
/// arrives in one read and leaves in one write is not charged, unless the session stores it in between.
class Budget {
 public:
  /// `limit` is in bytes. Bytes taken from this budget are also taken from `whole`, if `whole` is not null.
  explicit Budget(std::size_t limit, Budget* whole = nullptr) : limit_(limit), whole_(whole) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  /// Takes `bytes` from this budget and from `whole`. Returns false and takes nothing if either limit would be
  /// exceeded.
  [[nodiscard]] bool take(std::size_t bytes) {
    std::size_t used = used_.load(std::memory_order_relaxed);
    do {
      if (used > limit_ || bytes > limit_ - used)
        return false;
    } while (!used_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    if (whole_ == nullptr || whole_->take(bytes))
      return true;
    used_.fetch_sub(bytes, std::memory_order_relaxed);
    return false;
  }
  /// Takes `bytes` even if that exceeds the limit, since the bytes are already in memory. While the limit is exceeded,
  /// `take` fails.
  void force(std::size_t bytes) {
    used_.fetch_add(bytes, std::memory_order_relaxed);
    if (whole_ != nullptr)
      whole_->force(bytes);
  }
  /// Gives back `bytes` that `take` or `force` has taken.
  void give(std::size_t bytes) {
    [[maybe_unused]] const std::size_t used = used_.fetch_sub(bytes, std::memory_order_relaxed);
    assert(bytes <= used);
    if (whole_ != nullptr)
      whole_->give(bytes);
  }
  /// Bytes left in this budget. Ignores the limit of `whole`.
  [[nodiscard]] std::size_t room() const {
    const std::size_t held = used();
    return held < limit_ ? limit_ - held : 0;
  }
  [[nodiscard]] std::size_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  std::size_t limit_;
  Budget* whole_;
  std::atomic<std::size_t> used_{0};
};

/// The bytes that one holder has taken from a budget. The destructor gives them back.
class Charge {
 public:
  /// `budget` must outlive the charge. If `budget` is null, there is no limit.
  explicit Charge(Budget* budget) : budget_(budget) {}
  ~Charge() { shrink_to(0); }
  /// Leaves `other` empty.
  Charge(Charge&& other) noexcept : budget_(other.budget_), size_(std::exchange(other.size_, 0)) {}
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t room() const {
    return budget_ == nullptr ? std::numeric_limits<std::size_t>::max() : budget_->room();
  }
  /// Grows the charge to `size` bytes. Returns false and takes nothing if the budget does not allow it.
  [[nodiscard]] bool grow_to(std::size_t size) {
    if (size <= size_)
      return true;
    if (budget_ != nullptr && !budget_->take(size - size_))
      return false;
    size_ = size;
    return true;
  }
  /// Grows the charge to `size` bytes even if that exceeds the limit, since the bytes are already in memory.
  void force_to(std::size_t size) {
    if (size <= size_)
      return;
    if (budget_ != nullptr)
      budget_->force(size - size_);
    size_ = size;
  }
  /// Reduces the charge to `size` bytes.
  void shrink_to(std::size_t size) {
    if (size >= size_)
      return;
    if (budget_ != nullptr)
      budget_->give(size_ - size);
    size_ = size;
  }

 private:
  Budget* budget_;
  std::size_t size_ = 0;
};

}  // namespace ws
