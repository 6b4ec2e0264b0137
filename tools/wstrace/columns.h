// Dissects TCP payload into Wireshark's columns Protocol and Info: HTTP heads and bodies (RFC 9112), then WebSocket
// frames (RFC 6455 §5.2).
//
// The input is a segment, or several that were reassembled. If a PDU in it is incomplete, the dissector returns how
// many more bytes it needs. It is as lenient as Wireshark, which also shows messages that no server would accept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ws::trace {

/// The columns of a row. `fence` protects the Info text written so far: later text is appended to it.
struct Columns {
  std::string protocol{};
  std::string fenced{};
  std::string info{};
  bool has_fixed_protocol = false;

  void set_protocol(std::string_view name) {
    if (!has_fixed_protocol)
      protocol = name;
  }
  void fence() {
    fenced += info;
    info.clear();
  }
};

/// The bytes needed to complete the PDU that begins at `offset`.
struct Wanted {
  static constexpr std::uint32_t kOneMoreSegment = 0x0fffffff;
  static constexpr std::uint32_t kUntilFin = 0x0ffffffe;
  std::size_t offset = 0;
  /// 0: none; may be one of the constants above. If the segment is cut: the bytes of its last frame in later segments.
  std::uint32_t size = 0;
  std::size_t chunks_read = 0;  ///< bytes of complete chunks, which the next call can skip
};

/// Properties of the segment in which the bytes end.
struct SegmentFacts {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint16_t server_port = 0;  ///< 0: unknown
  std::size_t missing = 0;        ///< bytes that the snaplen has cut from its end
  bool is_last = false;           ///< has FIN
  std::size_t chunks_read = 0;    ///< as in Wanted, if the same PDU is dissected again
};

struct MessageHead;

/// Dissects both directions of a connection.
class ColumnDissector {
 public:
  /// Sets `columns` from `bytes`. Returns the bytes that it needs in addition.
  Wanted dissect(std::span<const std::byte> bytes, SegmentFacts segment, Columns& columns);

 private:
  Wanted dissect_message(std::span<const std::byte>& bytes, const SegmentFacts& segment,
                         Columns& columns, bool& goes_on);
  void dissect_cut_head(const MessageHead& head, std::string_view text, Columns& columns);
  void name_continuation(Columns& columns) const;
  [[nodiscard]] bool may_have_body(const MessageHead& head) const;
  void remember(const MessageHead& head);
  void remember_request(const MessageHead& head);
  static Wanted dissect_frames(std::span<const std::byte> bytes, std::size_t missing,
                               Columns& columns);
  [[nodiscard]] static bool is_http(std::span<const std::byte> bytes, const SegmentFacts& segment);

  bool is_http_ = false;
  bool saw_request_ = false;  ///< then other bytes are shown as HTTP continuation
  bool was_head_ = false;     ///< the last request was a HEAD: the response has no body
  bool was_connect_ = false;  ///< the last request was a CONNECT
  bool is_upgraded_ = false;
  bool is_websocket_ = false;
};

}  // namespace ws::trace
