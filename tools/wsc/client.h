// wsc's client: a Connection in the client's role, with a socket, deadlines, standard input and output.
//
//      stdin  ── line ──▶ message ──▶ socket    stdin is not read while output is unsent
//      stdout ◀── line ── message ◀── socket    always read: otherwise both sides could wait for each other
//      stderr ◀── errors, the Close, pongs, -v
//
// One thread with one poll() call passes through these stages:
//
//      connect ─▶ opening handshake ─▶ messages ─▶ our Close ─▶ the server's Close ─▶ the server's FIN
//
// Every stage except the messages has a deadline. Received bytes do not extend it; time spent writing to stdout does.
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
#include "tools/wsc/socket.h"
#include "tools/wsc/text.h"

namespace ws::client {

struct ClientOptions {
  ClientHandshake handshake;  ///< the client sets the nonce
  bool is_binary = false;     ///< send binary messages
  bool is_null_terminated =
      false;  ///< messages end with NUL, not with a line feed, on input and output
  std::optional<std::string> message{};  ///< send only this message; do not read input
  bool has_commands = false;             ///< lines that begin with '/' are commands
  bool echoes = false;  ///< send each message back; read no lines, print no messages
  bool is_verbose = false;
  double wait = 0;              ///< seconds from the end of input to our Close; negative: no limit
  double connect_timeout = 10;  ///< seconds to connect to each address, then for the handshake
  double close_timeout = 10;    ///< seconds for the server's Close, then for its FIN
  std::uint64_t max_message = Limits{}.message;  ///< bytes, for sent and received messages
};

class Client {
 public:
  /// Connects to the server. Throws Failure.
  explicit Client(const ClientOptions& options);
  /// Runs all stages after connect. Throws Failure.
  ExitCode run();

 private:
  std::string open();
  [[noreturn]] void refuse(const HttpResponse& response, std::string& bytes);

  bool turn();
  void send_output();
  void expect_frames(std::span<std::byte> in);
  void handle_end(const Event& event, bool we_began);
  bool pass_deadline();
  void end_input();
  void start_close(std::uint16_t code, std::string_view reason = {});
  void await_end();

  void read_input();
  void read_line();
  std::string_view run_command(std::string_view line);
  void print(const Event& message);

  ClientOptions options_;
  std::string address_;
  ClientSocket socket_;
  std::optional<FrameLog> frame_log_;  ///< with -v
  DeflatePool deflate_;
  ConnectionSettings settings_;
  Connection connection_;
  Output out_;                           ///< unsent output of the connection
  Fd interrupts_;                        ///< readable after SIGINT or SIGTERM
  Clock::time_point deadline_ = kNever;  ///< of the current stage
  ExitCode exit_code_ = ExitCode::kNormal;
  bool has_input_ = true;
  bool has_output_ = true;
  bool has_failed_ = false;  ///< the server violated the protocol
  std::string line_;         ///< the start of a line whose end is not read yet
  bool is_line_too_long_ = false;
  bool has_refused_lines_ = false;  ///< or a file that was not sent completely
  bool is_sending_file_ = false;    ///< a part of --file is not sent yet
  std::uint64_t line_number_ = 1;
  std::array<std::byte, std::size_t{64} * 1024> buffer_{};
};

}  // namespace ws::client
