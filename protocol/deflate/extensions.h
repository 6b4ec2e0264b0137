// Negotiates extensions: RFC 6455 §9. Only permessage-deflate is supported: RFC 7692 §5, §7.1. deflate.h compresses
// the messages.
//
//      the client's offers, best first         the server accepts one of them, or none
//      Sec-WebSocket-Extensions:               Sec-WebSocket-Extensions:
//        permessage-deflate;                     permessage-deflate;
//          client_max_window_bits;                 client_max_window_bits=12;
//          server_no_context_takeover,             server_no_context_takeover
//        permessage-deflate
//
//      server_no_context_takeover    the server starts each message with an empty window
//      client_no_context_takeover    the client starts each message with an empty window
//      server_max_window_bits=8..15  the server's window has at most 2^n bytes
//      client_max_window_bits[=n]    in an offer: the client supports a limit; in an answer: the limit
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
  std::optional<std::string> value;  ///< a token, without quotes and backslashes
};

/// One element of Sec-WebSocket-Extensions.
struct Extension {
  std::string_view name;
  std::vector<ExtensionParameter> parameters;
};

/// Parses the values of all Sec-WebSocket-Extensions fields of one head, in order. The result contains views into
/// `values`. Returns nullopt if a value does not match the grammar of RFC 6455 §9.1.
[[nodiscard]] std::optional<std::vector<Extension>> parse_extensions(
    std::span<const std::string_view> values);

/// Our configuration of permessage-deflate.
struct DeflateSettings {
  bool is_enabled = false;
  /// Whether context takeover is allowed. If false, no window is kept between messages, and an idle session needs
  /// almost no memory.
  bool keeps_context = true;
  /// 9 to 15. We limit the windows of both sides to 2^window_bits bytes, where the negotiation allows it.
  std::uint8_t window_bits = 15;
  /// Messages shorter than this number of bytes (at least 1) are sent uncompressed, since compression would cost more
  /// than it saves.
  std::size_t threshold = 64;
};

/// The negotiated parameters. §7.1
struct DeflateParameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::uint8_t server_max_window_bits = 15;  ///< 8 to 15
  std::uint8_t client_max_window_bits = 15;
};

/// A server's answer to an accepted offer.
struct DeflateAnswer {
  std::string text;  ///< the element of Sec-WebSocket-Extensions
  DeflateParameters parameters;
};

/// Accepts the first valid offer, since clients list offers in order of preference. Returns nullopt if no offer is
/// valid or permessage-deflate is disabled.
[[nodiscard]] std::optional<DeflateAnswer> accept_deflate(std::span<const Extension> offers,
                                                          const DeflateSettings& settings);

/// Returns the client's offer, the value of Sec-WebSocket-Extensions.
[[nodiscard]] std::string offer_deflate(const DeflateSettings& settings);
/// Validates the server's answer to the offer that `offer_deflate` made from `settings`. If permessage-deflate is
/// disabled in `settings`, no offer was made, and any answer is an error. Sets `agreed` if the server accepted the
/// offer. Returns kNone, kUnofferedExtension or kDeflateAnswer.
[[nodiscard]] Error validate_deflate_answer(std::span<const Extension> answer,
                                            const DeflateSettings& settings,
                                            std::optional<DeflateParameters>& agreed);

}  // namespace ws
