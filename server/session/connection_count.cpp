#include "server/session/connection_count.h"

namespace ws {
namespace {

/// So many connections over the limit are answered 503 at a time; what comes above is just closed.
constexpr std::size_t kRefusalsAtATime = 32;
/// ... and so many of one address, which must not take those of all others.
constexpr std::size_t kRefusalsOfAnAddress = 4;

}  // namespace

ConnectionCount::Entry ConnectionCount::enter(std::string_view host) {
  // Counted first and judged then: of two loops that take a connection at the same time one is the N + 1st.
  const std::size_t before = size_++;
  if (before >= most_ + kRefusalsAtATime) {
    --size_;
    return {Verdict::kTooMany};
  }
  Entry entry{before < most_ ? Verdict::kWelcome : Verdict::kFull};
  if (most_of_address_ == 0)
    return entry;
  const std::lock_guard lock(mutex_);
  try {
    entry.address = find_or_add(host);
  } catch (...) {
    --size_;
    throw;
  }
  std::uint32_t& connections = counts_[entry.address].connections;
  if (connections >= most_of_address_ + kRefusalsOfAnAddress) {
    --size_;
    return {Verdict::kTooMany};
  }
  if (connections++ >= most_of_address_)
    entry.verdict = Verdict::kFull;
  return entry;
}

/// A new one has no connections yet.
ConnectionCount::Address ConnectionCount::find_or_add(std::string_view host) {
  if (free_.empty()) {  // made first: nothing can fail once the address is in the index
    if (free_.capacity() <= counts_.size())
      free_.reserve(2 * (counts_.size() + 1));  // doubled: reserve() by itself adds just what is asked
    counts_.push_back({});
    free_.push_back(static_cast<Address>(counts_.size() - 1));
  }
  const auto [entry, is_new] = index_.try_emplace(std::string(host), free_.back());
  if (is_new) {
    free_.pop_back();
    counts_[entry->second] = {&entry->first, 0};
  }
  return entry->second;
}

void ConnectionCount::leave(Address address) {
  --size_;
  if (address == kNotCounted)
    return;
  const std::lock_guard lock(mutex_);
  if (--counts_[address].connections > 0)
    return;
  index_.erase(*counts_[address].host);
  free_.push_back(address);
}

}  // namespace ws
