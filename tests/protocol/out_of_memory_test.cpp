// If an allocation fails, only its connection ends, with 1011, and its memory is released.
//
// Each stream runs once for each of its allocations; in each run a different allocation fails.
// [6455-7.4.1-1011]
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "protocol/frame/message.h"
#include "tests/support/run.h"

namespace {

/// How many allocations from now on succeed; negative: all.
long allocations_left = -1;

}  // namespace

// Replaces `operator new` in the whole program. Not inlined: g++ 12 would warn that free() gets a pointer from `new`.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (allocations_left == 0)
    throw std::bad_alloc();
  if (allocations_left > 0)
    --allocations_left;
  if (void* p = std::malloc(size == 0 ? 1 : size))
    return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t /*size*/) noexcept {
  std::free(p);
}
// By default they call the operators above, but a sanitizer replaces them.
[[gnu::noinline]] void* operator new[](std::size_t size) {
  return ::operator new(size);
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t& /*nothrow*/) noexcept {
  try {
    return ::operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
[[gnu::noinline]] void operator delete[](void* p) noexcept {
  ::operator delete(p);
}
[[gnu::noinline]] void operator delete[](void* p, std::size_t /*size*/) noexcept {
  ::operator delete(p);
}

namespace ws::test {
namespace {

/// True if `allocations` are enough to read the whole stream, byte by byte, with permessage-deflate.
bool is_enough_for(const Bytes& stream, long allocations) {
  Budget budget(1 << 20);
  {
    DeflatePool pool({}, &budget);
    const ConnectionSettings settings{.budget = &budget, .deflate = &pool};
    Connection connection(settings);
    connection.use_deflate({});
    Output out;
    out.extend(1000);  // the loop's block is allocated before the connection
    out.clear();
    Bytes copy = stream;
    const auto all = std::as_writable_bytes(std::span(copy));
    allocations_left = allocations;
    try {
      for (std::size_t i = 0; i < all.size(); ++i) {
        std::span<std::byte> in = all.subspan(i, 1);
        Event event;
        while ((event = connection.next(in, out)).type != Event::Type::kNeedMore) {
          if (event.type != Event::Type::kFailed)
            continue;
          // An allocation by zlib failed; zlib reports it like an exhausted budget.
          allocations_left = -1;
          EXPECT_EQ(event.error, Error::kOverBudget);
          return false;
        }
      }
      allocations_left = -1;
      return true;
    } catch (const std::bad_alloc&) {
      allocations_left = -1;
      out.clear();
      const Event event = connection.fail(Error::kOutOfMemory, out);
      EXPECT_EQ(event.code, 1011);
      EXPECT_EQ(flatten(out), failing_close(Error::kOutOfMemory));
      EXPECT_TRUE(connection.is_finished());
      EXPECT_FALSE(connection.is_mid_message());
      EXPECT_EQ(budget.used(), 0U) << "after " << allocations;
    }
  }
  EXPECT_EQ(budget.used(), 0U) << "after " << allocations;
  return false;
}

TEST(OutOfMemory, FailsTheConnectionWith1011ForAnyFailedAllocation) {
  const Bytes fragments =
      hex("01 85 37 fa 21 3d 7f 9f 4d 51 58"    // text, "Hello"
          "89 81 37 fa 21 3d 56"                // ping, "a"
          "80 85 37 fa 21 3d 7f 9f 4d 51 58");  // FIN, continuation, "Hello"
  long allocations = 0;
  while (!is_enough_for(fragments, allocations))
    ++allocations;
  EXPECT_GE(allocations, 3) << "the partial message, its bytes, their reallocation";

  const Bytes compressed =
      hex("41 83 37 fa 21 3d c5 b2 ec"       // text, RSV1: "Hello", half of it
          "80 84 37 fa 21 3d fe 33 26 3d");  // FIN, continuation
  for (allocations = 0; !is_enough_for(compressed, allocations);)
    ++allocations;
  EXPECT_GE(allocations, 5) << "also an inflater, its state, its window";
}

TEST(OutOfMemory, SendsAMessageUncompressedIfCompressionFails) {
  const Bytes message(200, 'a');
  for (long allocations = 0; allocations < 12; ++allocations) {
    Budget budget(1 << 20);
    DeflatePool pool({}, &budget);
    const ConnectionSettings settings{.budget = &budget, .deflate = &pool};
    Connection connection(settings);
    connection.use_deflate({});
    Output out;
    out.extend(1000);
    out.clear();
    allocations_left = allocations;
    const bool was_sent = connection.send(Opcode::kText, {std::as_bytes(std::span(message))}, out);
    const bool was_enough = allocations_left > 0;
    allocations_left = -1;
    EXPECT_TRUE(was_sent);
    if (!was_enough && out.size() > message.size())
      EXPECT_EQ(flatten(out), hex("81 7e 00c8") + message);
    else
      EXPECT_LT(out.size(), 30U);
  }
}

TEST(OutOfMemory, NoTakeoverIsReservedIfItsMemoryCannotBeMeasured) {
  Budget reserve(1 << 20);
  const DeflateSettings settings{.is_enabled = true};
  const std::size_t needed = deflate_memory(settings);
  long allocations = 0;
  for (; allocations < 100; ++allocations) {
    DeflatePool pool(settings, nullptr, &reserve);
    allocations_left = allocations;
    const Charge charge = pool.reserve();
    const bool was_enough = allocations_left > 0;
    allocations_left = -1;
    if (was_enough) {
      EXPECT_EQ(charge.size(), needed);
      break;
    }
    if (charge.size() == 0) {
      EXPECT_EQ(pool.reserve().size(), needed) << "measured again";
    }
  }
  EXPECT_GT(allocations, 5)
      << "a deflater, its state and windows, an inflater, its state and window";
  EXPECT_LT(allocations, 100);
  EXPECT_EQ(reserve.used(), 0U);
}

TEST(OutOfMemory, DoesNotAffectAConnectionThatBuffersNothing) {
  Bytes stream = hex("81 85 37 fa 21 3d 7f 9f 4d 51 58 89 81 37 fa 21 3d 56");
  const ConnectionSettings settings;
  Connection connection(settings);
  Output out;
  out.extend(1000);
  out.clear();
  std::span<std::byte> in = std::as_writable_bytes(std::span(stream));
  allocations_left = 0;  // every allocation fails
  const Event text = connection.next(in, out);
  const Event ping = connection.next(in, out);
  allocations_left = -1;
  EXPECT_EQ(to_bytes(text.payload), "Hello");
  EXPECT_EQ(ping.type, Event::Type::kPing);
  EXPECT_EQ(flatten(out), hex("8a 01 61"));
}

// The peer would read a Close after a partial frame as payload.
TEST(OutOfMemory, LeavesNoPartialFrameInTheOutput) {
  const Bytes small(2000, 's');
  const Bytes large(Connection::kLendFrom, 'l');
  const ConnectionSettings settings;
  const auto bytes = [](const Bytes& text) { return std::as_bytes(std::span(text)); };
  bool was_sent = false;
  long allocations = 0;
  for (; !was_sent; ++allocations) {
    Connection connection(settings);
    Output out;
    allocations_left = allocations;
    try {
      was_sent = connection.send(Opcode::kText, {bytes(small), bytes(large), bytes(small)}, out);
    } catch (const std::bad_alloc&) {
      was_sent = false;
    }
    allocations_left = -1;
    EXPECT_EQ(out.size(), was_sent ? 4 + 4000 + large.size() : 0U) << allocations;
  }
  EXPECT_GE(allocations, 3) << "the block, and the list of lent parts";
}

TEST(OutOfMemory, MakesAppendThrowAndKeepsTheMessageWithoutABudget) {
  const Limits limits;
  MessageAssembler message(limits, nullptr);
  message.begin({.opcode = Opcode::kBinary}, nullptr);
  ASSERT_EQ(message.append(as_span("kept")), Error::kNone);
  allocations_left = 0;
  EXPECT_THROW(static_cast<void>(message.append(as_span("that finds no room"))), std::bad_alloc);
  allocations_left = -1;
  EXPECT_EQ(to_bytes(message.payload()), "kept");
}

TEST(OutOfMemory, CreatesNoInflaterAndReleasesItsBudget) {
  for (const bool has_budget : {true, false}) {
    Budget budget(1 << 20);
    std::unique_ptr<Inflater> inflater;
    long allocations = 0;
    for (; inflater == nullptr; ++allocations) {
      EXPECT_EQ(budget.used(), 0U) << "the charge for zlib was released";
      allocations_left = allocations;
      inflater = Inflater::make(has_budget ? &budget : nullptr);
      allocations_left = -1;
    }
    EXPECT_GE(allocations, 3) << "the inflater, zlib's state";
  }
  allocations_left = 0;
  const std::size_t size = deflate_memory({});
  allocations_left = -1;
  EXPECT_EQ(size, 0U) << "without memory there is nothing to measure";
}

}  // namespace
}  // namespace ws::test
