// The parameters of a run of wsload, as given by the options.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "protocol/client/client_handshake.h"
#include "protocol/frame/frame.h"
#include "server/net/socket.h"
#include "tools/wsc/text.h"

namespace ws::load {

// Exit codes and errors are those of wsc.
using client::because;
using client::describe_close_code;
using client::describe_tcp_end;
using client::ExitCode;
using client::Failure;

enum class Mode : std::uint8_t {
  kEcho,     ///< each message comes back on its connection, in order
  kChat,     ///< all other connections receive a speaker's message
  kConnect,  ///< connect, upgrade, close, repeat
  kIdle,     ///< hold connections and ping them: an echo of control frames
};

enum class Filling : std::uint8_t { kBinary, kAscii, kChinese };

struct Plan {
  Mode mode = Mode::kEcho;
  Filling filling = Filling::kBinary;
  bool is_tcp = false;        ///< tcp://: no handshake; the server returns the bytes unchanged
  bool hears_itself = false;  ///< kChat: a speaker receives its own messages
  unsigned threads = 1;

  ClientHandshake handshake;             ///< its nonce is set for each connection
  std::vector<SocketAddress> addresses;  ///< of the server; tried in this order
  std::size_t connections = 1;
  std::size_t sources = 1;  ///< source addresses: 127.0.0.1 and those after it

  std::uint64_t size = 20;  ///< bytes of payload
  std::string prefix;       ///< added by the server before the payload; the answer is then a text
  std::uint64_t outstanding = 1;  ///< unanswered messages per connection (chat: per speaker)
  std::size_t speakers = 1;       ///< kChat: number of connections that send

  double rate = 0;  ///< messages per second, of all connections together; 0: closed loop
  double seconds = 5;
  double warm_up = 1;
  std::uint64_t messages = 0;  ///< messages to send, instead of `seconds`; 0: use `seconds`
  double timeout = 10;  ///< seconds for each connect, each opening handshake, and the last answers

  int server_pid = 0;    ///< process whose CPU time and memory are reported; 0: none
  bool is_held = false;  ///< a round of `messages` for each line of standard input
  bool is_json = false;
  bool is_rate_per_connection = false;     ///< one message per second and connection: see `adapt`
  bool is_message_per_connection = false;  ///< one message per connection: see `adapt`

  /// Adapts the plan to the number of connections that have opened.
  void adapt(std::size_t open) {
    connections = open;
    speakers = std::min(speakers, open);
    if (is_rate_per_connection)
      rate = static_cast<double>(open);
    if (is_message_per_connection)
      messages = open;
  }

  /// Whether permessage-deflate is used. A connection whose server does not agree to it counts as not opened.
  [[nodiscard]] bool compresses() const { return handshake.deflate.is_enabled; }
  [[nodiscard]] bool is_open_loop() const { return rate > 0; }
  [[nodiscard]] Opcode opcode() const {
    if (mode == Mode::kIdle)
      return Opcode::kPing;
    return filling == Filling::kBinary ? Opcode::kBinary : Opcode::kText;
  }
  /// The opcode of an answer.
  [[nodiscard]] Opcode answer_opcode() const {
    if (mode == Mode::kIdle)
      return Opcode::kPong;
    return prefix.empty() ? opcode() : Opcode::kText;
  }
};

}  // namespace ws::load
