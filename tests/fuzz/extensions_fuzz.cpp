// Sec-WebSocket-Extensions, in one field and in several: the grammar beside a second reader of it, and what either end
// makes of the list. The choice: 1 no context takeover; 2, 4 and 8 the window, 8 to 15. A cut at a comma begins
// another field.
#include "protocol/deflate/extensions.h"
#include "protocol/http/http_message.h"

#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/input.h"
#include "tests/support/differential.h"

namespace ws::fuzz {
namespace {

/// What these fields list, if they can be fields at all, and what is made of it.
class Head {
 public:
  explicit Head(const std::vector<std::string>& values) {
    bytes_ = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (const std::string& value : values)
      bytes_ += "Sec-WebSocket-Extensions: " + value + "\r\n";
    bytes_ += "\r\n";
    Limits limits;
    limits.field_line = limits.field_bytes = 1 << 20;
    is_complete_ = request_.parse(bytes_, limits) == HttpHead::Status::kComplete &&
                   request_.size() == bytes_.size();
    if (is_complete_)
      extensions_ = parse_extensions(request_.values("Sec-WebSocket-Extensions"));
  }
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;

  bool is_complete() const { return is_complete_; }
  const std::optional<std::vector<Extension>>& extensions() const { return extensions_; }
  std::optional<plain::Extensions> listed() const { return test::to_plain(extensions_); }

 private:
  std::string bytes_;
  HttpRequest request_;
  bool is_complete_ = false;
  std::optional<std::vector<Extension>> extensions_;
};

bool is_same(const DeflateParameters& a, const DeflateParameters& b) {
  return a.server_no_context_takeover == b.server_no_context_takeover &&
         a.client_no_context_takeover == b.client_no_context_takeover &&
         a.server_max_window_bits == b.server_max_window_bits &&
         a.client_max_window_bits == b.client_max_window_bits;
}

void check(const Input& input) {
  const std::string text(input.stream);
  if (text.find_first_of("\r\n") != std::string::npos)
    return;  // that would be more than one field
  const Head whole({text});
  if (!whole.is_complete())
    return;
  require(whole.listed() == plain::read_extensions({text}), "another list than the grammar's");

  std::vector<std::string> fields = {""};
  for (std::size_t i = 0, cut = 0; i < text.size(); ++i) {
    while (cut < input.cuts.size() && input.cuts[cut] < i)
      ++cut;
    if (text[i] == ',' && cut < input.cuts.size() && input.cuts[cut] == i)
      fields.emplace_back();
    else
      fields.back() += text[i];
  }
  const Head cut(fields);
  require(cut.is_complete(), "a head that is none when cut");
  require(cut.listed() == plain::read_extensions(fields), "another list than the grammar's, cut");
  require(!cut.listed().has_value() || cut.listed() == whole.listed(), "another list when cut");
  if (!whole.extensions().has_value())
    return;

  const DeflateSettings settings{
      .is_enabled = true,
      .keeps_context = (input.choice & 1U) == 0,
      .window_bits = static_cast<std::uint8_t>(std::max(9U, 8 + (input.choice >> 1U)))};
  // A client that leaves all to the server takes what a server answers, and for what it means.
  if (const auto answer = accept_deflate(*whole.extensions(), settings)) {
    require(answer->parameters.server_max_window_bits <= settings.window_bits, "a wider window");
    const Head answered({answer->text});
    std::optional<DeflateParameters> agreed;
    require(answered.extensions().has_value() &&
                validate_deflate_answer(*answered.extensions(), {.is_enabled = true}, agreed) ==
                    Error::kNone &&
                agreed.has_value() && is_same(*agreed, answer->parameters),
            "an answer that means something else to the client");
  }
  std::optional<DeflateParameters> agreed;
  const Error error = validate_deflate_answer(*whole.extensions(), settings, agreed);
  require(error == Error::kNone || error == Error::kUnofferedExtension ||
              error == Error::kDeflateAnswer,
          "an undocumented judgement");
  require(agreed.has_value() == (error == Error::kNone && !whole.extensions()->empty()),
          "an agreement over nothing");
  require(!agreed.has_value() ||
              (agreed->server_max_window_bits <= settings.window_bits &&
               agreed->client_max_window_bits <= settings.window_bits &&
               agreed->server_max_window_bits >= 8 && agreed->client_max_window_bits >= 8),
          "a window that was not offered");
}

}  // namespace
}  // namespace ws::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ws::fuzz::check({data, size});
  return 0;
}
