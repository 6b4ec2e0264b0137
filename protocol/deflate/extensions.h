// What an endpoint may agree on beyond the protocol itself: RFC 6455 §9, and the one extension that is spoken
// here, permessage-deflate: RFC 7692 §5, §7.1. How it changes a message is in deflate.
//
//      client offers, the best first           server answers with one of them, or with none
//      Sec-WebSocket-Extensions:               Sec-WebSocket-Extensions:
//        permessage-deflate;                     permessage-deflate;
//          client_max_window_bits;                 client_max_window_bits=12;
//          server_no_context_takeover,             server_no_context_takeover
//        permessage-deflate
//
//      server_no_context_takeover    the server starts each message with an empty window
//      client_no_context_takeover    the client does
//      server_max_window_bits=8..15  the server looks back at most 2^n bytes
//      client_max_window_bits[=n]    in an offer: the client lets itself be limited; in an answer: the limit
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error.h"

namespace ws {

struct ExtensionParameter {
  std::string_view name;
  std::optional<std::string> value;  ///< a token; quotes and their backslashes are taken off
};

/// One element of Sec-WebSocket-Extensions.
struct Extension {
  std::string_view name;
  std::vector<ExtensionParameter> parameters;
};

/// Parses the values of all Sec-WebSocket-Extensions fields of one head, in order. The result holds views into them.
/// nullopt if one of the values breaks the grammar of RFC 6455 §9.1.
[[nodiscard]] std::optional<std::vector<Extension>> parse_extensions(
    std::span<const std::string_view> values);

/// What this end is ready for, and asks for.
struct DeflateSettings {
  bool is_enabled = false;
  /// False: neither end keeps its window between messages, so that a session costs next to nothing.
  bool takes_over_context = true;
  /// 9 to 15: either end looks back at most 2^n bytes.
  std::uint8_t window_bits = 15;
  /// Bytes, at least 1: a shorter message is sent as it is. What can be gained is less than the work.
  std::size_t threshold = 64;
};

/// What was agreed on. §7.1
struct DeflateParameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::uint8_t server_max_window_bits = 15;  ///< 8 to 15
  std::uint8_t client_max_window_bits = 15;
};

/// A server's agreement: what it answers, and what that means.
struct DeflateAnswer {
  std::string text;
  DeflateParameters parameters;
};

/// The server's answer to what a client offers: to the first offer that is valid, since they come in order of
/// preference. nullopt: to none.
[[nodiscard]] std::optional<DeflateAnswer> accept_deflate(std::span<const Extension> offers,
                                                          const DeflateSettings& settings);

/// The client's offer.
[[nodiscard]] std::string offer_deflate(const DeflateSettings& settings);
/// Judges the server's answer to that offer, or, with settings that are not enabled, to none: kNone,
/// kUnofferedExtension or kDeflateAnswer. Sets `agreed`, which stays empty where the server has declined.
[[nodiscard]] Error judge_deflate_answer(std::span<const Extension> answer,
                                         const DeflateSettings& settings,
                                         std::optional<DeflateParameters>& agreed);

}  // namespace ws
