// All configurable limits: sizes in bytes, times in milliseconds. [6455-10.4-LIMITS]
//
// protocol/ enforces the limits of the handshake and of messages, server/ the others. Each is an option of wsd,
// and is tested at N and at N + 1.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ws {

struct Limits {
  // Opening handshake. A longer request line is answered with 414, any other excess with 431.
  std::size_t request_line = 8 * 1024;  ///< bytes of the request line, without its CRLF
  std::size_t field_line = 8 * 1024;    ///< bytes of one field line, without its CRLF
  std::size_t fields = 100;             ///< field lines in one head
  std::size_t field_bytes = 32 * 1024;  ///< bytes of all field lines, including their CRLFs

  // Messages.
  std::uint64_t message = 16 * 1024 * 1024;  ///< payload bytes of one message; more: Close 1009
  std::uint32_t fragments = 131'072;         ///< frames of one message, also empty ones; more: 1008

  // Memory. Above `outbox_high` (the high mark) reading from the session stops, below `outbox_low` it resumes.
  std::size_t outbox_high = 256 * 1024;      ///< bytes queued for one session
  std::size_t outbox_low = 64 * 1024;        ///< bytes queued for one session
  std::size_t chat_queue = 1024 * 1024;      ///< bytes queued for one chat member; more: Close 1008
  std::size_t buffered = 512 * 1024 * 1024;  ///< bytes held by all sessions; more: Close 1013

  // Connections. One too many is answered with 503.
  std::size_t connections = 0;              ///< total; 0: as many as descriptors allow
  std::size_t connections_per_address = 0;  ///< from one address; 0: no limit

  // Deadlines. A peer that sends or reads a few bytes at a time extends none of them except `ping_ms`.
  std::uint32_t handshake_ms = 10'000;  ///< accept to the end of the request head; then 408
  std::uint32_t close_ms = 3'000;       ///< our Close to the peer's Close
  std::uint32_t drain_ms = 2'000;       ///< our FIN to the peer's FIN
  std::uint32_t read_ms = 30'000;       ///< to read `outbox_low` bytes, or the end, of a message
  std::uint32_t write_ms = 30'000;      ///< to send `outbox_low` bytes, or all, of the queue
  std::uint32_t ping_ms = 0;            ///< silence before we send a ping; 0: never
  std::uint32_t pong_ms = 10'000;       ///< our ping to the peer's pong
  std::uint32_t stop_ms = 10'000;  ///< SIGTERM or SIGINT to the exit; open sessions are dropped
};

}  // namespace ws
