#include "server/session/opening.h"

#include <string_view>
#include <utility>

#include "protocol/text.h"
#include "server/session/endpoint.h"

namespace ws {
namespace {

using Status = OpeningResult::Status;

OpeningResult refused(Answer answer) {
  return {.status = Status::kRefused, .answer = std::move(answer)};
}

/// Appends `bytes` to `head`, which is created if it is null. False if the budget does not allow it.
bool keep(std::unique_ptr<PartialHead>& head, std::span<const std::byte> bytes, Budget& budget) {
  if (head == nullptr)
    head = std::make_unique<PartialHead>(budget);
  if (!head->bytes.reserve(bytes.size()))
    return false;
  head->bytes.append(bytes);
  return true;
}

OpeningResult answer(const HttpRequest& request, std::span<std::byte> rest,
                     const Transport& transport, SessionContext& context) {
  // Without memory in the reserve, negotiate no context takeover.
  Charge windows = context.deflate.reserve();
  DeflateSettings deflate = context.deflate.settings();
  deflate.keeps_context = windows.size() > 0;
  Answer answer =
      context.router.answer(request, !context.is_stopping, deflate, transport.is_secure());
  if (answer.status != 101)
    return refused(std::move(answer));
  const Opening opening{request, answer.upgrade.subprotocol, transport.fd()};
  if (const int status = answer.route->endpoint->admit(opening); status != 101) {
    Answer refusal_of_endpoint = refusal(status, "the endpoint refused the connection");
    refusal_of_endpoint.fields.insert(0, answer.fields);
    return refused(std::move(refusal_of_endpoint));
  }
  return {Status::kAccepted, std::move(answer), &request, rest, std::move(windows)};
}

}  // namespace

OpeningResult read_opening(std::unique_ptr<PartialHead>& head, std::span<std::byte> bytes,
                           const Transport& transport, SessionContext& context) {
  // If the head arrives in one read, parse it in place. If it arrives in several reads, collect the parts in `head`.
  HttpRequest* request = &context.request;
  if (head == nullptr) {
    request->reset();
  } else {
    if (!keep(head, bytes, context.budget))
      return refused(refusal(Error::kUnavailable));
    bytes = head->bytes.bytes();
    request = &head->request;
  }
  const std::string_view text = as_text(bytes);
  switch (request->parse(text, context.settings.limits)) {
    case HttpHead::Status::kError:
      return refused(refusal(*request, context.settings.limits));
    case HttpHead::Status::kComplete:
      return answer(*request, bytes.subspan(request->size()), transport, context);
    case HttpHead::Status::kNeedMore:
      break;
  }
  if (head == nullptr && !keep(head, bytes, context.budget))
    return refused(refusal(Error::kUnavailable));
  return {};
}

}  // namespace ws
