// Every limit of the house, in one place: sizes in bytes, times in milliseconds.
//
// Limits are data. protocol/ enforces the first group, server/ the others; each is an option of
// wsd and each has a test at N and at N + 1. [6455-10.4-LIMITS]
#pragma once

#include <cstddef>
#include <cstdint>

namespace ws {

struct Limits {
  // Opening handshake. Over the first: 414; over the others: 431.
  std::size_t request_line = 8 * 1024;  ///< bytes of the request line, without its CRLF
  std::size_t field_line = 8 * 1024;    ///< bytes of one field line, without its CRLF
  std::size_t fields = 100;             ///< field lines in one head
  std::size_t field_bytes = 32 * 1024;  ///< bytes of all field lines, with their CRLFs

  // Messages. Over the first: Close 1009; over the second: Close 1008.
  std::uint64_t message = 16 * 1024 * 1024;  ///< bytes of payload in one message
  std::uint32_t fragments = 131'072;         ///< frames in one message, empty ones included

  // Output. A session over `outbox_high` is not read from until it is below `outbox_low`.
  std::size_t outbox_high = 256 * 1024;      ///< bytes queued for one session
  std::size_t outbox_low = 64 * 1024;        ///< bytes queued for one session
  std::size_t chat_queue = 1024 * 1024;      ///< bytes kept for one chat receiver; over it: 1008
  std::size_t buffered = 512 * 1024 * 1024;  ///< bytes held for all sessions; over it: 1013

  // Connections. 0: as many as descriptors allow; 0: no limit of its own.
  std::size_t connections = 0;              ///< in all; over it: 503
  std::size_t connections_per_address = 0;  ///< from one address; over it: 503

  // Deadlines. None of them can be put off by a peer that sends or reads in a trickle.
  std::uint32_t handshake_ms = 10'000;  ///< accept to the end of the request head; then 408
  std::uint32_t close_ms = 3'000;       ///< our Close to the peer's Close
  std::uint32_t drain_ms = 2'000;       ///< our FIN to the peer's FIN
  std::uint32_t read_ms = 30'000;       ///< for a message to end or bring `outbox_low` bytes; 1008
  std::uint32_t write_ms = 30'000;      ///< for an outbox to give up `outbox_low` bytes or all
  std::uint32_t ping_ms = 0;            ///< silence before a ping; 0: never
  std::uint32_t pong_ms = 10'000;       ///< our ping to the peer's pong
  std::uint32_t stop_ms = 10'000;       ///< SIGTERM to the end, whatever the sessions do
};

}  // namespace ws
