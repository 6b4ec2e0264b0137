// All configurable limits: sizes in bytes, times in milliseconds. [6455-10.4-LIMITS]
//
// protocol/ enforces the limits of the handshake and of messages; server/ enforces the others. Each limit is an option
// of wsd. Below, "else" is followed by the answer to a peer that exceeds the limit: an HTTP status or a Close.
// Tests use the values N and N + 1 for a limit N.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ws {

struct Limits {
  // Opening handshake. A request line over the limit is answered with 414, fields over a limit with 431.
  std::size_t request_line = 8 * 1024;  ///< bytes of the request line, without its CRLF
  std::size_t field_line = 8 * 1024;    ///< bytes of one field line, without its CRLF
  std::size_t fields = 100;             ///< field lines in one head
  std::size_t field_bytes = 32 * 1024;  ///< bytes of all field lines, including their CRLFs

  // Messages.
  std::uint64_t message = 16 * 1024 * 1024;  ///< payload bytes of one message; else Close 1009
  std::uint32_t fragments = 131'072;         ///< frames of one message, even empty; else Close 1008

  // Memory. Reading from a session stops above the high mark and resumes below the low mark.
  std::size_t outbox_high = 256 * 1024;      ///< high mark: bytes queued for one session
  std::size_t outbox_low = 64 * 1024;        ///< low mark: bytes queued for one session
  std::size_t chat_queue = 1024 * 1024;      ///< bytes queued for one chat member; else Close 1008
  std::size_t buffered = 512 * 1024 * 1024;  ///< bytes held by all sessions; else Close 1013

  // Connections. A connection over a limit is answered with 503.
  std::size_t connections = 0;              ///< in total; 0: as many as file descriptors allow
  std::size_t connections_per_address = 0;  ///< from one client address; 0: no limit

  // Deadlines. Any received byte restarts `ping_ms` and `pong_ms`. A peer cannot extend another deadline by sending or
  // reading a few bytes at a time.
  std::uint32_t handshake_ms = 10'000;  ///< from accept to the end of the request head; else 408
  std::uint32_t close_ms = 3'000;       ///< from our Close to the peer's Close
  std::uint32_t drain_ms = 2'000;       ///< from our FIN to the peer's FIN
  std::uint32_t read_ms = 30'000;       ///< to receive `outbox_low` bytes, or the end of a message
  std::uint32_t write_ms = 30'000;      ///< to send `outbox_low` queued bytes, or all if fewer
  std::uint32_t ping_ms = 0;            ///< time without input before we send a ping; 0: never
  std::uint32_t pong_ms = 10'000;       ///< time without input after our ping; then a reset
  std::uint32_t stop_ms = 10'000;       ///< from SIGTERM or SIGINT to the exit, at the latest
};

}  // namespace ws
