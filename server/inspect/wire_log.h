// Every handshake and frame, logged as it crosses the wire, in Wireshark's words (protocol/inspect/wire_text.h):
//
//     wire 0000000a 127.0.0.1:53522 → 127.0.0.1:8080 Seq=228 Len=18 WebSocket Text [FIN] [MASKED] Fin=1 …
//          session  sender            receiver       where the item starts in the sender's stream: what Wireshark
//                                                    shows as relative sequence number; SYN is byte 0
//
// It is a tap at the socket: it is given the bytes that `receive` returned and those that `send_pieces` really
// took. A tap inside Connection would see other things: no handshake; nothing behind a broken rule, though it
// crossed; a broadcast once, when it is encoded, and not who got it; and frames that were queued and then dropped.
//
// Invariants:
//  1. A line is of one item, written when its last byte has crossed. What is half there at the end of its stream is
//     logged as cut.
//  2. It never hurts: a session whose log finds no memory goes on without one, and a line says so. What one call
//     brings beyond kLinesOfACall lines is counted, and not listed: who sends a read full of empty frames would
//     otherwise keep the loop busy for a second, with lines of which the log holds no tenth.
//  3. Of a frame its header and kKeptOfPayload bytes are held, of a head what Limits allow while it is coming, and
//     nothing behind it: at most 8 KiB for a session whose handshake is over. They are beside --max-buffered.
//
// The log is asynchronous and bounded (kLogQueue lines): who logs the wire of a busy server loses the oldest lines,
// and is told how many. Its time is when the server made the call, not when the packet crossed.
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

  /// A session, known by its serial from now on until `closed`.
  void opened(std::uint32_t session, const SocketAddress& client,
              const SocketAddress& server) noexcept override;
  void closed(std::uint32_t session) noexcept override;
  /// The server goes, and all sessions with it.
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
    std::string prefix;      ///< of its lines, up to the receiver
    std::uint64_t next = 1;  ///< the offset of what comes
  };
  struct Streams {
    Stream client;
    Stream server;
  };
  /// What is written for one `received` or `sent`, and the items that are not.
  struct Call {
    std::size_t lines = 0;
    std::uint64_t items = 0;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };

  /// Calls `act` for the session's streams, if there are any; without memory for it there are none any more.
  template <typename Act>
  void guarded(std::uint32_t session, Act act) noexcept;
  void take(std::uint32_t session, Streams& streams, Sender sender,
            std::span<const std::byte> bytes, Call& call) const;
  static void write_rest(const Stream& stream, const Call& call);
  /// The FIN of `sender`.
  void finish(std::uint32_t session, Sender sender) noexcept;
  void end(std::uint32_t session, Stream& stream) const;
  /// Returns the number of lines.
  std::size_t write(std::uint32_t session, const Stream& stream, const Dissected& item) const;

  bool has_hex_;
  std::unordered_map<std::uint32_t, Streams> sessions_;
};

}  // namespace ws
