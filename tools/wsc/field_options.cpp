#include "tools/wsc/field_options.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/evp.h>

#include "protocol/text.h"

namespace ws::client {
namespace {

// Validators of option values: each returns an error message, or "" for a valid value. The values become part of the
// HTTP request, in which a line break would start another header field or request.

std::string validate_field(const std::string& field) {
  const std::string_view text = field;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_token(text.substr(0, colon))) {
    return "a header field must be 'Name: value'";
  }
  const auto is_control = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7F; };
  if (std::ranges::any_of(text, is_control))
    return "a header field must not contain control characters";

  const std::string_view name = text.substr(0, colon);
  if (ClientHandshake::sets_field(name))
    return "the opening handshake sets " + std::string(name) + " itself";
  return {};
}

std::string validate_origin(const std::string& origin) {
  const auto is_visible = [](char c) { return c > 0x20 && c < 0x7F; };
  if (!origin.empty() && std::ranges::all_of(origin, is_visible))
    return {};
  return "an origin must be visible ASCII, like https://example.org";
}

std::string validate_subprotocol(const std::string& name) {
  if (is_token(name))  // [6455-4.1-SUBPROTOCOL]
    return {};
  return "a subprotocol must be a word of letters, digits and !#$%&'*+-.^_`|~";
}

std::string validate_user(const std::string& user) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7F; };
  if (user.find(':') == std::string::npos)
    return "use NAME:PASSWORD; the name must not contain a colon";
  return std::ranges::any_of(user, is_control) ? "must not contain control characters" : "";
}

/// The field of HTTP's Basic authentication. RFC 7617 §2
std::string authorization(const std::string& user) {
  std::string text(4 * ((user.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(user.data()),
                                   static_cast<int>(user.size()));
  text.resize(static_cast<std::size_t>(size));
  return "Authorization: Basic " + text;
}

}  // namespace

void add_field_options(CLI::App& app, ClientHandshake& handshake, const FieldOptionNames& names) {
  app.add_option(names.origin, handshake.origin, "send an Origin field")
      ->type_name("ORIGIN")
      ->check(validate_origin);
  app.add_option("-H,--header", handshake.fields,
                 "send a header field; repeatable; Host and Origin replace\nthe default ones")
      ->type_name("'NAME: VALUE'")
      ->allow_extra_args(false)
      ->check(validate_field);
  app.add_option_function<std::string>(
         "-u,--user",
         [&handshake](const std::string& user) { handshake.fields.push_back(authorization(user)); },
         "send an Authorization field (Basic)")
      ->type_name("NAME:PASSWORD")
      ->check(validate_user);
  app.add_option(names.subprotocol, handshake.subprotocols,
                 "offer a subprotocol; repeatable, in order of preference")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->check(validate_subprotocol);
  app.final_callback([&handshake] {
    // [6455-4.1-SUBPROTOCOL] names must be unique
    std::vector<std::string> offered = handshake.subprotocols;
    std::ranges::sort(offered);
    if (std::ranges::adjacent_find(offered) != offered.end())
      throw CLI::ValidationError("a subprotocol can be offered only once");
  });
}

}  // namespace ws::client
