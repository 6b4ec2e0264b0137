#include "server/session/connection_count.h"

namespace ws {
namespace {

/// Maximum number of connections over the limit that are being refused with 503; further ones are closed at once.
constexpr std::size_t kRefusalsAtATime = 32;
/// Maximum number of these connections per client address, so that one address cannot use up kRefusalsAtATime.
constexpr std::size_t kRefusalsOfAnAddress = 4;

}  // namespace

ConnectionCount::Entry ConnectionCount::enter(std::string_view host) {
  // Count first, then check: if two loops accept at the same time, only one of them gets the last place.
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

/// Returns the entry of `host`; a new entry has 0 connections.
ConnectionCount::Address ConnectionCount::find_or_add(std::string_view host) {
  if (free_.empty()) {  // allocate first: nothing may fail after the insertion into index_
    // reserve() may allocate exactly as many entries as requested: request double, so that it is rarely called.
    if (free_.capacity() <= counts_.size())
      free_.reserve(2 * (counts_.size() + 1));
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
