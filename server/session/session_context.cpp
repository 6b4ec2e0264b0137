#include "server/session/session_context.h"

namespace ws {
namespace {

/// Maximum bytes of one read, so that one peer cannot keep the loop busy for long.
constexpr std::size_t kReceiveBuffer = 512 * 1024;

}  // namespace

SessionContext::SessionContext(const Limits& limits, const Router& router_to_use, Budgets& budgets,
                               const DeflateSettings& deflate_settings)
    : budget(budgets.buffered),
      deflate(deflate_settings, &budgets.compression, &budgets.reserve),
      settings{.role = Role::kServer, .limits = limits, .budget = &budget, .deflate = &deflate},
      router(router_to_use),
      receive_buffer(kReceiveBuffer) {}

}  // namespace ws
