#include "protocol/deflate/extensions.h"

#include <algorithm>
#include <utility>

#include "protocol/text.h"

namespace ws {
namespace {

constexpr std::string_view kPermessageDeflate = "permessage-deflate";
constexpr std::string_view kServerNoTakeover = "server_no_context_takeover";
constexpr std::string_view kClientNoTakeover = "client_no_context_takeover";
constexpr std::string_view kServerBits = "server_max_window_bits";
constexpr std::string_view kClientBits = "client_max_window_bits";

constexpr std::uint8_t kLargestWindow = 15;

/// Parses a parameter's value, which may be quoted. Returns nullopt if the text between the quotes is not a token.
std::optional<std::string> read_value(std::string_view text) {
  std::string value(text);
  if (text.starts_with('"')) {
    if (text.size() < 2 || !text.ends_with('"'))
      return std::nullopt;
    value.clear();
    text = text.substr(1, text.size() - 2);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\')
        ++i;  // escaped character; if it is missing, the '"' below makes the value invalid
      value += i < text.size() ? text[i] : '"';
    }
  }
  if (!is_token(value))
    return std::nullopt;
  return value;
}

/// [6455-9.1-SYNTAX] Parses token *( ";" token [ "=" ( token | quoted-string ) ] ). Splitting at every comma and
/// semicolon is safe, even in quotes, since a value with a comma or semicolon is not a token and thus invalid.
std::optional<Extension> parse_extension(std::string_view text) {
  std::size_t end = std::min(text.find(';'), text.size());
  Extension extension{trim(text.substr(0, end)), {}};
  if (!is_token(extension.name))
    return std::nullopt;
  while (end != text.size()) {
    text.remove_prefix(end + 1);
    end = std::min(text.find(';'), text.size());
    const std::string_view parameter = text.substr(0, end);
    const std::size_t equals = parameter.find('=');
    const std::string_view name = trim(parameter.substr(0, equals));
    std::optional<std::string> value;
    if (equals != std::string_view::npos)
      value = read_value(trim(parameter.substr(equals + 1)));
    if (!is_token(name) || value.has_value() != (equals != std::string_view::npos))
      return std::nullopt;
    extension.parameters.push_back({name, std::move(value)});
  }
  return extension;
}

/// The parameters of permessage-deflate in an offer or an answer.
struct Parameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  bool has_client_bits = false;
  std::optional<std::uint8_t> server_bits;
  std::optional<std::uint8_t> client_bits;  ///< nullopt if absent or, in an offer, without value
};

/// [7692-7.1.2-VALUE] Parses a number from 8 to 15, decimal, without leading zeros.
std::optional<std::uint8_t> read_bits(const std::string& value) {
  if (value == "8" || value == "9")
    return static_cast<std::uint8_t>(value[0] - '0');
  if (value.size() == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5')
    return static_cast<std::uint8_t>(10 + value[1] - '0');
  return std::nullopt;
}

/// [7692-7-DECLINE], [7692-7-RESPONSE] Returns nullopt if a parameter is unknown, repeated, or has an invalid value.
std::optional<Parameters> read_parameters(const Extension& extension) {
  Parameters read;
  const auto set_flag = [](bool& flag, const ExtensionParameter& parameter) {
    return !parameter.value.has_value() && !std::exchange(flag, true);
  };
  const auto set_bits = [](std::optional<std::uint8_t>& bits, const std::string& value) {
    return !bits.has_value() && (bits = read_bits(value)).has_value();
  };
  for (const ExtensionParameter& parameter : extension.parameters) {
    const auto& [name, value] = parameter;
    bool is_valid = false;
    if (name == kServerNoTakeover) {
      is_valid = set_flag(read.server_no_context_takeover, parameter);
    } else if (name == kClientNoTakeover) {
      is_valid = set_flag(read.client_no_context_takeover, parameter);
    } else if (name == kServerBits) {
      is_valid = value.has_value() && set_bits(read.server_bits, *value);
    } else if (name == kClientBits) {
      is_valid = !std::exchange(read.has_client_bits, true) &&
                 (!value.has_value() || set_bits(read.client_bits, *value));
    }
    if (!is_valid)
      return std::nullopt;
  }
  return read;
}

void append_flag(std::string& text, std::string_view name) {
  text += "; ";
  text += name;
}

void append_bits(std::string& text, std::string_view name, std::uint8_t bits) {
  append_flag(text, name);
  text += "=" + std::to_string(bits);
}

}  // namespace

std::optional<std::vector<Extension>> parse_extensions(std::span<const std::string_view> values) {
  std::vector<Extension> extensions;
  for (std::string_view list : values) {  // [6455-9.1-SPLIT] several fields form one list
    const std::size_t before = extensions.size();
    while (const auto element = next_list_element(list)) {
      auto extension = parse_extension(*element);
      if (!extension.has_value())
        return std::nullopt;
      extensions.push_back(std::move(*extension));
    }
    if (extensions.size() == before)
      return std::nullopt;  // each field must have at least one element
  }
  return extensions;
}

std::optional<DeflateAnswer> accept_deflate(std::span<const Extension> offers,
                                            const DeflateSettings& settings) {
  if (!settings.is_enabled)
    return std::nullopt;                   // [7692-5-DECLINE]
  for (const Extension& offer : offers) {  // [7692-5-FALLBACK] in the client's order of preference
    if (offer.name != kPermessageDeflate)
      continue;
    const auto asked = read_parameters(offer);
    if (!asked.has_value())
      continue;

    // [7692-5-ACCEPT] the parameters in the answer bind both sides
    DeflateAnswer answer{std::string(kPermessageDeflate), {}};
    DeflateParameters& agreed = answer.parameters;
    // [7692-7.1.1-SERVER-NO-TAKEOVER] the client may ask for this parameter; [7692-7.1.1-UNASKED] we may also send it
    // unasked
    agreed.server_no_context_takeover =
        asked->server_no_context_takeover || !settings.keeps_context;
    if (agreed.server_no_context_takeover)
      append_flag(answer.text, kServerNoTakeover);
    // [7692-7.1.1-CLIENT-NO-TAKEOVER] the parameter saves us the memory of a window; the client must obey even if it
    // did not offer this parameter
    agreed.client_no_context_takeover =
        asked->client_no_context_takeover || !settings.keeps_context;
    if (agreed.client_no_context_takeover)
      append_flag(answer.text, kClientNoTakeover);
    // [7692-7.1.2-SERVER-BITS] our window is at most as large as the client asks; [7692-7.1.2-UNASKED] we may also
    // limit our window unasked
    agreed.server_max_window_bits =
        std::min(settings.window_bits, asked->server_bits.value_or(kLargestWindow));
    if (asked->server_bits.has_value() || agreed.server_max_window_bits < kLargestWindow)
      append_bits(answer.text, kServerBits, agreed.server_max_window_bits);
    // [7692-7.1.2-CLIENT-BITS-UNASKED] only a client that offers client_max_window_bits can be limited
    if (asked->has_client_bits) {
      agreed.client_max_window_bits =
          std::min(settings.window_bits, asked->client_bits.value_or(kLargestWindow));
      if (agreed.client_max_window_bits < kLargestWindow)
        append_bits(answer.text, kClientBits, agreed.client_max_window_bits);
    }
    return answer;
  }
  return std::nullopt;
}

std::string offer_deflate(const DeflateSettings& settings) {
  std::string text(kPermessageDeflate);  // [7692-5-OFFER]
  if (!settings.keeps_context) {
    append_flag(text, kServerNoTakeover);
    append_flag(text, kClientNoTakeover);
  }
  // [7692-7.1.2-CLIENT-BITS] client_max_window_bits tells the server that it may limit our window
  if (settings.window_bits < kLargestWindow) {
    append_bits(text, kServerBits, settings.window_bits);
    append_bits(text, kClientBits, settings.window_bits);
  } else {
    append_flag(text, kClientBits);
  }
  return text;
}

Error validate_deflate_answer(std::span<const Extension> answer, const DeflateSettings& settings,
                              std::optional<DeflateParameters>& agreed) {
  if (answer.empty())
    return Error::kNone;
  // [6455-4.1-EXTENSION] only the extension that we offered, and only once
  if (!settings.is_enabled || answer.size() > 1 || answer.front().name != kPermessageDeflate)
    return Error::kUnofferedExtension;
  const auto read = read_parameters(answer.front());
  // [7692-7.1.2-CLIENT-BITS] in an answer the parameter must have a value
  if (!read.has_value() || read->has_client_bits != read->client_bits.has_value())
    return Error::kDeflateAnswer;
  // [7692-7.1.2-SERVER-BITS] if we asked for a limit, the answer must contain a limit that is not larger
  const std::uint8_t server_bits = read->server_bits.value_or(kLargestWindow);
  const std::uint8_t client_bits = read->client_bits.value_or(kLargestWindow);
  if (server_bits > settings.window_bits)
    return Error::kDeflateAnswer;
  // [7692-7.1.1-SERVER-NO-TAKEOVER] if we asked for this parameter, the answer must contain it
  if (!settings.keeps_context && !read->server_no_context_takeover)
    return Error::kDeflateAnswer;
  agreed = {.server_no_context_takeover = read->server_no_context_takeover,
            .client_no_context_takeover = read->client_no_context_takeover,
            .server_max_window_bits = server_bits,
            .client_max_window_bits = std::min(client_bits, settings.window_bits)};
  return Error::kNone;
}

}  // namespace ws
