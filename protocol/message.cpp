#include "protocol/message.h"

#include <algorithm>

namespace ws {

// region judge-data-frame
Error judge_data_frame(const FrameHeader& header, bool open, std::uint64_t room) {
  // [6455-5.4-CONTINUATION] a continuation needs something to continue
  if (header.opcode == Opcode::kContinuation && !open)
    return Error::kLoneContinuation;
  // [6455-5.4-INTERLEAVE] the fragments of one message never mix with another's
  if (header.opcode != Opcode::kContinuation && open)
    return Error::kInterleavedMessage;
  // [6455-10.4-MESSAGE] judged by what the header declares, before a byte of it is kept
  if (header.payload_length > room)
    return Error::kMessageTooBig;
  return Error::kNone;
}
// endregion

MessageAssembler::~MessageAssembler() {
  if (budget_ != nullptr)
    budget_->give(payload_.capacity());
}

// region message-assembler
void MessageAssembler::begin(Opcode opcode) {
  opcode_ = opcode;
  is_open_ = true;
  fragments_ = 1;
}

Error MessageAssembler::begin_frame(const FrameHeader& header) {
  if (const Error e = judge_data_frame(header, is_open_, limits_.message - payload_.size());
      e != Error::kNone) {
    return e;
  }
  // [6455-10.4-FRAGMENTS] the first one is never too many: it may be a whole message
  if (fragments_ >= limits_.fragments)
    return Error::kTooManyFragments;
  ++fragments_;
  return Error::kNone;
}

Error MessageAssembler::append(std::span<const std::byte> payload) {
  // [6455-8.1-UTF8] across the cuts, and before the memory is spent
  if (opcode_ == Opcode::kText && !utf8_.accept(payload))
    return Error::kTextNotUtf8;
  const std::size_t size = payload_.size() + payload.size();
  if (size > payload_.capacity()) {
    const std::size_t held = payload_.capacity();
    const std::size_t wanted = std::max(size, held * 2);
    if (budget_ != nullptr && !budget_->take(wanted - held))
      return Error::kOverBudget;
    try {
      payload_.reserve(wanted);
    } catch (...) {
      if (budget_ != nullptr)
        budget_->give(wanted - held);
      throw;
    }
  }
  payload_.insert(payload_.end(), payload.begin(), payload.end());
  return Error::kNone;
}

Error MessageAssembler::end_frame(bool fin) {
  if (!fin)
    return Error::kNone;
  is_open_ = false;
  // [6455-8.1-UTF8] no message may end inside a character
  if (opcode_ == Opcode::kText && !utf8_.is_complete())
    return Error::kTextNotUtf8;
  return Error::kNone;
}
// endregion

}  // namespace ws
