// wsc's one session: protocol/ in the client's role, and around it what protocol/ does without: a
// socket, a clock, standard input and output.
//
//      stdin  ── a line ──▶ a message ──▶ socket    not read while anything is unsent
//      stdout ◀── a line ── a message ◀── socket    always read, or both sides could wait for ever
//      stderr ◀── all that is not a message
//
// One thread, one poll(), in these stages:
//
//      connect ─▶ opening handshake ─▶ messages ─▶ our Close ─▶ the server's Close ─▶ its FIN
//
// Each wait but that for messages has a deadline, which no trickle of bytes puts off; the time that writing
// to stdout takes is not counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/client/client_handshake.h"
#include "protocol/deflate/deflate.h"
#include "protocol/frame/connection.h"
#include "server/net/fd.h"
#include "tools/wsc_socket.h"
#include "tools/wsc_text.h"

namespace ws::client {

struct ClientOptions {
  ClientHandshake handshake;  ///< the client fills in its nonce
  bool is_binary = false;     ///< lines leave as binary messages
  bool has_commands = false;  ///< lines that begin with '/' are commands
  bool echoes = false;  ///< each message goes back; standard input and output have no part in it
  bool is_verbose = false;
  double wait = 0;              ///< seconds from the end of input to our Close; negative: for ever
  double connect_timeout = 10;  ///< seconds for each address to accept, then for the handshake
  double close_timeout = 10;    ///< seconds for the server's Close, then for its FIN
  std::uint64_t max_message = Limits{}.message;  ///< bytes, in either direction
};

class Client {
 public:
  /// Connects. Throws Failure, as `run` does.
  explicit Client(const ClientOptions& options);
  /// All other stages, one after the other.
  ExitCode run();

 private:
  std::string open();
  [[noreturn]] void refuse(const HttpResponse& response, std::string& bytes);

  bool turn();
  void send_output();
  void take_frames(std::span<std::byte> in);
  void take_end(const Event& event, bool we_began);
  bool pass_deadline();
  void end_input();
  void start_close(std::uint16_t code, std::string_view reason = {});
  void await_end();

  void read_input();
  void take_line();
  std::string_view run_command(std::string_view line);
  void print(const Event& message);

  ClientOptions options_;
  std::string address_;
  ClientSocket socket_;
  std::optional<FrameLog> frame_log_;  ///< with -v
  DeflatePool deflate_;
  ConnectionSettings settings_;
  Connection connection_;
  Output out_;                           ///< what the connection has to say
  Fd interrupts_;                        ///< readable once SIGINT or SIGTERM came
  Clock::time_point deadline_ = kNever;  ///< of the stage that we are in
  ExitCode exit_code_ = ExitCode::kNormal;
  bool has_input_ = true;
  bool has_output_ = true;
  bool has_failed_ = false;  ///< the server broke a rule
  std::string line_;         ///< the beginning of a line that goes on in the next read
  bool is_line_too_long_ = false;
  bool has_refused_lines_ = false;
  std::uint64_t line_number_ = 1;
  std::array<std::byte, std::size_t{64} * 1024> buffer_{};
};

}  // namespace ws::client
