// Logs every handshake and frame on the wire, in the notation of Wireshark (protocol/inspect/wire_text.h):
//
//     wire 0000000a 127.0.0.1:53522 → 127.0.0.1:8080 Seq=228 Len=18 WebSocket Text [FIN] [MASKED] Fin=1 …
//          session  sender            receiver       offset of the item in the sender's stream: Wireshark's
//                                                    relative sequence number; SYN is byte 0
//
// WireLog is a tap at the socket: it sees the bytes that were read and the bytes that the socket accepted. A tap inside
// Connection would not see handshakes, bytes after a protocol error, or the receivers of a broadcast, but would see
// queued frames that are dropped later.
//
// Invariants:
//  1. A line describes one item, and is logged after the last byte of the item. An incomplete item at the end of its
//     stream is logged as cut.
//  2. The wire log does not disturb the server. If memory runs out, it stops logging the session, with a warning.
//     After kLinesOfACall lines for one read or write, it only counts the remaining items. Without this limit, a read
//     full of empty frames would occupy the loop for a second, and the log would drop more than nine tenths of its
//     lines.
//  3. Memory is bounded: in each direction WireLog keeps the header and kKeptOfPayload bytes of one frame, or an
//     incomplete head up to the size that Limits allow. After the handshake it keeps at most 8 KiB per session. This
//     memory is not counted in --max-buffered.
//
// The log is asynchronous and bounded (kLogQueue lines): on a busy server the oldest queued lines are dropped and
// counted. The time of a line is that of the system call, not of the packet.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <unordered_map>

#include "protocol/inspect/dissector.h"
#include "server/log/log.h"
#include "server/net/socket.h"
#include "server/net/transport.h"

namespace ws {

class WireLog final : public Tap {
 public:
  static constexpr std::size_t kKeptOfPayload = 1024;
  static constexpr std::size_t kLinesOfACall = kLogQueue / 4;

  explicit WireLog(bool has_hex) : has_hex_(has_hex) {}

  /// Starts to log a session. `session` is its generation.
  void opened(std::uint32_t session, const SocketAddress& client,
              const SocketAddress& server) noexcept override;
  void closed(std::uint32_t session) noexcept override;
  /// Ends the logs of all sessions. Call it when the loop has ended.
  void end() noexcept;

  void received(std::uint32_t session, std::span<const std::byte> bytes) noexcept override;
  void sent(std::uint32_t session, std::span<const iovec> pieces,
            std::size_t size) noexcept override;
  void received_fin(std::uint32_t session) noexcept override { finish(session, Sender::kClient); }
  void sent_fin(std::uint32_t session) noexcept override { finish(session, Sender::kServer); }
  void reset(std::uint32_t session) noexcept override;
  void lost(std::uint32_t session, std::error_code error) noexcept override;

 private:
  /// One direction of a session.
  struct Stream {
    Stream(Sender sender, std::string stream_prefix)
        : dissector(sender, kKeptOfPayload), prefix(std::move(stream_prefix)) {}
    Dissector dissector;
    std::string prefix;      ///< start of each line: wire SESSION SENDER → RECEIVER
    std::uint64_t next = 1;  ///< the offset of the next byte
  };
  struct Streams {
    Stream client;
    Stream server;
  };
  /// Counters for one call of `received` or `sent`.
  struct Call {
    std::size_t lines = 0;     ///< logged lines
    std::uint64_t items = 0;   ///< items that were not logged
    std::uint64_t offset = 0;  ///< offset of the first item that was not logged
    std::uint64_t size = 0;    ///< bytes of all items that were not logged
  };

  /// If the session is logged, calls `act` with its streams. If `act` runs out of memory, stops logging the
  /// session.
  template <typename Act>
  void guarded(std::uint32_t session, Act act) noexcept;
  void show(std::uint32_t session, Streams& streams, Sender sender,
            std::span<const std::byte> bytes, Call& call) const;
  static void write_rest(const Stream& stream, const Call& call);
  /// Logs the FIN of `sender`.
  void finish(std::uint32_t session, Sender sender) noexcept;
  void end(std::uint32_t session, Stream& stream) const;
  /// Logs `item`; returns the number of lines.
  std::size_t write(std::uint32_t session, const Stream& stream, const Dissected& item) const;

  bool has_hex_;
  std::unordered_map<std::uint32_t, Streams> sessions_;
};

}  // namespace ws
