// Memory that sessions hold is taken from a budget first, and given back when it is freed. RFC 6455 §10.4
#pragma once

#include <atomic>
#include <cassert>
#include <cstddef>
#include <limits>

namespace ws {

/// The number of bytes that all sessions of all loops hold: the only object of protocol/ that several threads use at the
/// same time. A plain counter: relaxed ordering is enough. A message that comes whole and leaves at once does not touch it.
class Budget {
 public:
  /// What is taken from it is taken from `whole` as well, if that is not null.
  explicit Budget(std::size_t limit, Budget* whole = nullptr) : limit_(limit), whole_(whole) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  /// Takes `bytes`; false, and nothing taken, if that would go over the limit.
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
  /// Takes `bytes` that are held already, over the limit if need be: `room` is then 0, and whoever
  /// would add to them is refused.
  void force(std::size_t bytes) {
    used_.fetch_add(bytes, std::memory_order_relaxed);
    if (whole_ != nullptr)
      whole_->force(bytes);
  }
  void give(std::size_t bytes) {
    [[maybe_unused]] const std::size_t used = used_.fetch_sub(bytes, std::memory_order_relaxed);
    assert(bytes <= used);
    if (whole_ != nullptr)
      whole_->give(bytes);
  }
  /// Bytes that may still be taken.
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

/// What one holder of memory has taken from a budget; the destructor gives it back.
class Charge {
 public:
  /// `budget`, which outlives the charge, may be null: there is no limit then, and only `size` is kept.
  explicit Charge(Budget* budget) : budget_(budget) {}
  ~Charge() { shrink_to(0); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  /// Bytes taken.
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Bytes that may still be taken.
  [[nodiscard]] std::size_t room() const {
    return budget_ == nullptr ? std::numeric_limits<std::size_t>::max() : budget_->room();
  }
  /// Takes what is missing to `size` bytes; false, and nothing taken, if the budget does not allow it.
  [[nodiscard]] bool grow_to(std::size_t size) {
    if (size <= size_)
      return true;
    if (budget_ != nullptr && !budget_->take(size - size_))
      return false;
    size_ = size;
    return true;
  }
  /// The same for bytes that are held already: it cannot fail, and may exceed the limit.
  void force_to(std::size_t size) {
    if (size <= size_)
      return;
    if (budget_ != nullptr)
      budget_->force(size - size_);
    size_ = size;
  }
  /// Gives back what exceeds `size` bytes.
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
