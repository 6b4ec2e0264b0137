// Sec-WebSocket-Extensions, in one field and in several: compares the parser with a second one, and checks how both
// ends negotiate. The choice: 1 no context takeover; 2, 4 and 8 the window, 8 to 15. A cut at a comma begins a field.
#include "protocol/deflate/extensions.h"
#include "protocol/http/http_message.h"

#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/input.h"
#include "tests/support/differential.h"

namespace ws::fuzz {
namespace {

/// A request with these fields, and the extensions that they list, if it is complete.
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
  require(whole.listed() == plain::read_extensions({text}),
          "a different list than the plain parser's");

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
  require(cut.is_complete(), "no valid head when cut");
  require(cut.listed() == plain::read_extensions(fields),
          "a different list than the plain parser's, cut");
  require(!cut.listed().has_value() || cut.listed() == whole.listed(), "a different list when cut");
  if (!whole.extensions().has_value())
    return;

  const DeflateSettings settings{
      .is_enabled = true,
      .keeps_context = (input.choice & 1U) == 0,
      .window_bits = static_cast<std::uint8_t>(std::max(9U, 8 + (input.choice >> 1U)))};
  // A client without restrictions must accept the server's answer and parse the same parameters from it.
  if (const auto answer = accept_deflate(*whole.extensions(), settings)) {
    require(answer->parameters.server_max_window_bits <= settings.window_bits, "a wider window");
    const Head answered({answer->text});
    std::optional<DeflateParameters> agreed;
    require(answered.extensions().has_value() &&
                validate_deflate_answer(*answered.extensions(), {.is_enabled = true}, agreed) ==
                    Error::kNone &&
                agreed.has_value() && is_same(*agreed, answer->parameters),
            "the client parses other parameters from the answer");
  }
  std::optional<DeflateParameters> agreed;
  const Error error = validate_deflate_answer(*whole.extensions(), settings, agreed);
  require(error == Error::kNone || error == Error::kUnofferedExtension ||
              error == Error::kDeflateAnswer,
          "an undocumented error");
  require(agreed.has_value() == (error == Error::kNone && !whole.extensions()->empty()),
          "parameters without an extension, or the reverse");
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
