#include "tools/wstrace/text.h"

#include <span>
#include <string_view>
#include <vector>

#include "protocol/frame/utf8.h"
#include "protocol/inspect/wire_text.h"
#include "protocol/text.h"

namespace ws::trace {
namespace {

/// Builds a JSON object, field by field.
class Json {
 public:
  void add(std::string_view name, std::string_view text) {
    begin(name);
    text_ += '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (byte < 0x20 || byte == 0x7F) {
        text_ += "\\u00" + to_hex(std::as_bytes(std::span(&c, 1)));
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }
  void add(std::string_view name, std::uint64_t number) { add_raw(name, std::to_string(number)); }
  void add_bool(std::string_view name, bool value) { add_raw(name, value ? "true" : "false"); }
  /// Adds a value without quotes.
  void add_raw(std::string_view name, std::string_view value) {
    begin(name);
    text_ += value;
  }
  /// Adds `name` as text if `bytes` are UTF-8, else `other` in hex.
  void add_bytes(std::string_view name, std::string_view other, std::span<const std::byte> bytes) {
    if (is_utf8(bytes)) {
      add(name, as_text(bytes));
    } else {
      add(other, to_hex(bytes));
    }
  }
  std::string end() { return text_ + "}"; }

 private:
  void begin(std::string_view name) {
    text_ += text_.empty() ? "{\"" : ",\"";
    text_ += name;
    text_ += "\":";
  }
  std::string text_;
};

void add_frame(const Dissected& item, Json& json) {
  const FrameHeader& header = item.header;
  json.add_bool("fin", header.fin);
  json.add("rsv", reserved_bits(header));
  json.add("opcode", static_cast<std::uint64_t>(header.opcode));
  json.add_bool("mask", header.masked);
  json.add("payload_length", header.payload_length);
  if (header.masked)
    json.add("masking_key", to_hex(header.masking_key));
  const std::vector<std::byte> payload = unmasked_payload(item);
  const std::span<const std::byte> bytes = payload;
  if (item.size > item.bytes.size())
    json.add("payload_bytes_shown", payload.size());
  if (header.opcode == Opcode::kClose && bytes.size() >= 2) {
    json.add("status_code", close_code_of(bytes));
    json.add_bytes("reason", "reason_hex", bytes.subspan(2));
  } else if (header.opcode == Opcode::kText && !header.rsv1) {
    json.add_bytes("text", "payload", bytes);
  } else {
    json.add("payload", to_hex(bytes));
  }
}

}  // namespace

std::string to_text(const StreamItem& item) {
  std::string number = std::to_string(item.packet);
  number.insert(0, number.size() < 5 ? 5 - number.size() : 0, ' ');
  std::string text = number + " " + item.source + " → " + item.destination +
                     " Seq=" + std::to_string(item.item.offset);
  if (item.missing != 0)
    return text + " " + std::to_string(item.missing) + " bytes missing from the capture" +
           (item.is_cut ? ", which cut the packet\n" : "\n");
  text += " Len=" + std::to_string(item.item.size) + " " + wire_summary(item.item);
  if (const std::string fields = wire_fields(item.item); !fields.empty())
    text += " " + fields;
  text += '\n';
  for (const std::string& line : annotate(item.item))
    text += "      " + line + '\n';
  return text;
}

std::string to_json(const StreamItem& item) {
  Json json;
  const bool is_frame = item.item.type == Dissected::Type::kFrame;
  json.add("type", item.missing != 0 ? "missing" : is_frame ? "frame" : "head");
  json.add("packet", item.packet);
  json.add("stream", item.connection);
  json.add("source", item.source);
  json.add("destination", item.destination);
  json.add("seq", item.item.offset);
  json.add("length", item.missing != 0 ? item.missing : item.item.size);
  if (item.missing != 0) {
    json.add("cause", item.is_cut ? "snaplen" : "loss");
    return json.end();
  }
  json.add_bool("whole", item.item.is_whole);
  json.add("info", wire_summary(item.item));
  if (is_frame && item.item.header_size != 0)
    add_frame(item.item, json);
  return json.end();
}

std::string to_json(const Row& row, int time_digits) {
  Json json;
  json.add("number", row.number);
  const std::string time = time_text(row.time_ns, time_digits);
  json.add_raw("time", time.empty() ? "null" : time);
  json.add("source", row.source);
  json.add("destination", row.destination);
  json.add("protocol", row.protocol);
  json.add("length", row.length);
  json.add("info", row.info);
  return json.end();
}

}  // namespace ws::trace
