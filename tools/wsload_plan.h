// What wsload is asked to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "protocol/client/client_handshake.h"
#include "protocol/frame/frame.h"
#include "server/net/socket.h"
#include "tools/wsc_text.h"

namespace ws::load {

// wsload ends as wsc does, with the same codes and words.
using client::because;
using client::describe_close_code;
using client::ExitCode;
using client::Failure;

enum class Mode : std::uint8_t {
  kEcho,     ///< what is sent comes back, on the same connection, in order
  kChat,     ///< what one says, all others get
  kConnect,  ///< connect, upgrade, close, and again
  kIdle,     ///< hold connections, and ping them: an echo of control frames
};

enum class Filling : std::uint8_t { kBinary, kAscii, kChinese };

struct Plan {
  Mode mode = Mode::kEcho;
  Uri uri;
  SocketAddress address;
  bool is_tcp = false;  ///< tcp://: no handshake, and the frames' own bytes come back
  Filling filling = Filling::kBinary;

  unsigned threads = 1;
  std::size_t connections = 1;
  std::size_t sources = 1;  ///< addresses to connect from: 127.0.0.1 and those after it

  std::uint64_t size = 20;        ///< bytes of payload
  std::string prefix;             ///< what the server puts before it; the answer is then a text
  std::uint64_t outstanding = 1;  ///< messages unanswered on a connection (chat: of a speaker)
  std::size_t speakers = 1;       ///< kChat: so many of the connections speak
  bool hears_itself = false;      ///< kChat: a speaker gets what it said

  double rate = 0;  ///< messages a second, of all connections together; 0: closed loop
  double seconds = 5;
  double warm_up = 1;
  std::uint64_t messages = 0;  ///< exactly so many, instead of `seconds`; 0: no such limit
  double timeout = 10;         ///< seconds: to open all, then for what is unanswered at the end

  int server_pid = 0;    ///< 0: the server is not looked at
  bool is_held = false;  ///< rounds of `messages`, each begun by a line of standard input
  bool is_json = false;

  [[nodiscard]] bool is_open_loop() const { return rate > 0; }
  [[nodiscard]] Opcode opcode() const {
    if (mode == Mode::kIdle)
      return Opcode::kPing;
    return filling == Filling::kBinary ? Opcode::kBinary : Opcode::kText;
  }
  /// Of what comes back.
  [[nodiscard]] Opcode answer_opcode() const {
    if (mode == Mode::kIdle)
      return Opcode::kPong;
    return prefix.empty() ? opcode() : Opcode::kText;
  }
};

}  // namespace ws::load
