// The options of wsc and wsload for the fields of the opening handshake.
#pragma once

#include <CLI/CLI.hpp>

#include "protocol/client/client_handshake.h"

namespace ws::client {

struct FieldOptionNames {
  const char* origin = "-o,--origin";
  const char* subprotocol = "-s,--subprotocol";
};

/// Adds options that set the fields, the origin and the subprotocols of `handshake`: --origin, --header, --user and
/// --subprotocol. Invalid values are errors of the parser, since a line break in a value would start another field.
void add_field_options(CLI::App& app, ClientHandshake& handshake, const FieldOptionNames& names);

}  // namespace ws::client
