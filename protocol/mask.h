// Masking: RFC 6455 §5.3. A client XORs every payload with a fresh 4-byte key, so that no byte
// sequence of its choosing reaches the wire (§10.3); the server applies the same key again.
//
// Invariants:
//  1. Applying a key twice gives back the input: masking and unmasking are one function.
//  2. Payload byte i meets key byte i mod 4, counted from the start of the frame's payload, not of
//     the read: a caller that has a payload in pieces passes how many bytes came before.
//  3. No byte outside `payload` is read or written.
#pragma once

#include <cstddef>
#include <span>

#include "protocol/frame.h"

namespace ws {

/// XORs `payload` in place with `key`; `offset` bytes of the same frame's payload came before.
void apply_mask(std::span<std::byte> payload, MaskingKey key, std::size_t offset = 0);

}  // namespace ws
