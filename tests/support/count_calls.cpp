// A library to be preloaded (LD_PRELOAD). It counts the system calls and the allocations of a program, in the file that
// COUNT_CALLS names. The test that starts the program maps the same file and reads it while the program runs.
//
// The file is an array of `Record`, one for each of `kCalls` in that order. Calls inside the C library, which it binds
// to itself, are not counted.
#include <dlfcn.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

// glibc's own names of three functions that dlsym may call, and which therefore cannot be found by dlsym.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
}

namespace {

struct Record {
  std::array<char, 24> name;
  std::atomic<std::uint64_t> calls;
};

// All calls that can move bytes, also those that wsd does not use, so that no call replaces a counted one unnoticed.
constexpr std::array<std::string_view, 29> kCalls = {
    "recv",       "recvfrom",   "recvmsg",       "recvmmsg",       "read",        "readv",
    "send",       "sendto",     "sendmsg",       "sendmmsg",       "write",       "writev",
    "epoll_wait", "epoll_ctl",  "epoll_pwait",   "accept",         "accept4",     "close",
    "shutdown",   "setsockopt", "getsockopt",    "getsockname",    "getpeername", "malloc",
    "calloc",     "realloc",    "aligned_alloc", "posix_memalign", "malloc_trim"};

consteval std::size_t index_of(std::string_view name) {
  for (std::size_t i = 0; i < kCalls.size(); ++i) {
    if (kCalls[i] == name)
      return i;
  }
  throw "not one of kCalls";
}

constexpr std::size_t kPage = 4096;
static_assert(sizeof(Record) * kCalls.size() <= kPage);
/// The file is mapped over this array: other libraries' constructors may allocate before map_records runs.
alignas(kPage) std::array<Record, kPage / sizeof(Record)> records;

[[gnu::constructor]] void map_records() {
  const char* const path = std::getenv("COUNT_CALLS");
  const int fd = path == nullptr ? -1 : ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0 ||
      ::mmap(&records, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
    std::abort();
  ::close(fd);
  for (std::size_t i = 0; i < kCalls.size(); ++i)
    kCalls[i].copy(records[i].name.data(), records[i].name.size() - 1);
}

template <std::size_t kIndex>
void count_call() {
  records[kIndex].calls.fetch_add(1, std::memory_order_relaxed);
}

/// The next library's function of this name.
template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define COUNTED(result, name, parameters, arguments)              \
  result name parameters {                                        \
    static const auto next_##name = next<decltype(&name)>(#name); \
    count_call<index_of(#name)>();                                \
    return next_##name arguments;                                 \
  }

extern "C" {

COUNTED(ssize_t, recv, (int fd, void* to, std::size_t size, int flags), (fd, to, size, flags))
COUNTED(ssize_t, recvfrom,
        (int fd, void* to, std::size_t size, int flags, sockaddr* peer, socklen_t* peer_size),
        (fd, to, size, flags, peer, peer_size))
COUNTED(ssize_t, recvmsg, (int fd, msghdr* message, int flags), (fd, message, flags))
COUNTED(int, recvmmsg, (int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout),
        (fd, messages, count, flags, timeout))
COUNTED(ssize_t, read, (int fd, void* to, std::size_t size), (fd, to, size))
COUNTED(ssize_t, readv, (int fd, const iovec* pieces, int count), (fd, pieces, count))
COUNTED(ssize_t, send, (int fd, const void* from, std::size_t size, int flags),
        (fd, from, size, flags))
COUNTED(ssize_t, sendto,
        (int fd, const void* from, std::size_t size, int flags, const sockaddr* peer,
         socklen_t peer_size),
        (fd, from, size, flags, peer, peer_size))
COUNTED(ssize_t, sendmsg, (int fd, const msghdr* message, int flags), (fd, message, flags))
COUNTED(int, sendmmsg, (int fd, mmsghdr* messages, unsigned count, int flags),
        (fd, messages, count, flags))
COUNTED(ssize_t, write, (int fd, const void* from, std::size_t size), (fd, from, size))
COUNTED(ssize_t, writev, (int fd, const iovec* pieces, int count), (fd, pieces, count))
COUNTED(int, epoll_wait, (int fd, epoll_event* events, int most, int timeout),
        (fd, events, most, timeout))
COUNTED(int, epoll_pwait,
        (int fd, epoll_event* events, int most, int timeout, const sigset_t* mask),
        (fd, events, most, timeout, mask))
COUNTED(int, epoll_ctl, (int epoll, int operation, int fd, epoll_event* event) noexcept,
        (epoll, operation, fd, event))
COUNTED(int, accept, (int fd, sockaddr* peer, socklen_t* size), (fd, peer, size))
COUNTED(int, accept4, (int fd, sockaddr* peer, socklen_t* size, int flags), (fd, peer, size, flags))
COUNTED(int, close, (int fd), (fd))
COUNTED(int, shutdown, (int fd, int how) noexcept, (fd, how))
COUNTED(int, setsockopt, (int fd, int level, int name, const void* value, socklen_t size) noexcept,
        (fd, level, name, value, size))
COUNTED(int, getsockopt, (int fd, int level, int name, void* value, socklen_t* size) noexcept,
        (fd, level, name, value, size))
COUNTED(int, getsockname, (int fd, sockaddr* address, socklen_t* size) noexcept,
        (fd, address, size))
COUNTED(int, getpeername, (int fd, sockaddr* address, socklen_t* size) noexcept,
        (fd, address, size))

// `operator new` calls these.
COUNTED(void*, aligned_alloc, (std::size_t alignment, std::size_t size) noexcept, (alignment, size))
COUNTED(int, posix_memalign, (void** block, std::size_t alignment, std::size_t size) noexcept,
        (block, alignment, size))

COUNTED(int, malloc_trim, (std::size_t pad) noexcept, (pad))

void* malloc(std::size_t size) noexcept {
  count_call<index_of("malloc")>();
  return __libc_malloc(size);
}
void* calloc(std::size_t number, std::size_t size) noexcept {
  count_call<index_of("calloc")>();
  return __libc_calloc(number, size);
}
void* realloc(void* block, std::size_t size) noexcept {
  count_call<index_of("realloc")>();
  return __libc_realloc(block, size);
}

}  // extern "C"
