#include "server/connection_count.h"

namespace ws {
namespace {

/// So many connections over the limit are answered 503 at a time; what comes above is just closed.
constexpr std::size_t kRefusalsAtATime = 32;
/// ... and so many of one address, which must not take those of all others.
constexpr std::size_t kRefusalsOfAnAddress = 4;

}  // namespace

// region connection-count
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
    entry.address = &*addresses_.try_emplace(std::string(host), 0).first;
  } catch (...) {
    --size_;
    throw;
  }
  if (entry.address->second >= most_of_address_ + kRefusalsOfAnAddress) {
    --size_;
    return {Verdict::kTooMany};
  }
  if (entry.address->second++ >= most_of_address_)
    entry.verdict = Verdict::kFull;
  return entry;
}

void ConnectionCount::leave(AddressCount* address) {
  --size_;
  if (address == nullptr)
    return;
  const std::lock_guard lock(mutex_);
  if (--address->second == 0)
    addresses_.erase(addresses_.find(address->first));
}
// endregion

}  // namespace ws
