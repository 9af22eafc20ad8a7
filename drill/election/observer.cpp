// SPDX-License-Identifier: Apache-2.0
#include "observer.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <type_traits>
#include <utility>

namespace drill::election {
namespace {

static_assert(std::is_trivially_copyable_v<record>);

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

unique_fd datagram_socket() {
  unique_fd fd(::socket(AF_UNIX, SOCK_DGRAM, 0));
  if (!fd) fail("socket");
  ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
  return fd;
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::system_error(ENAMETOOLONG, std::generic_category());
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

template <class Call>
unique_fd with_address(const std::string& path, Call call, const char* what) {
  unique_fd fd = datagram_socket();
  const sockaddr_un address = address_of(path);
  if (call(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail(what);
  return fd;
}

constexpr char over = 0;

}  // namespace

observer::observer(std::string path)
    : path_(std::move(path)), socket_(with_address(path_, ::bind, "bind")), thread_([this] { run(); }) {}

observer::~observer() {
  const unique_fd to = with_address(path_, ::connect, "connect");
  ::send(to.get(), &over, sizeof over, 0);
  thread_.join();
}

std::vector<record> observer::log() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return log_;
}

std::optional<record> observer::newest() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::optional<record> best;
  for (auto r = log_.rbegin(); r != log_.rend(); ++r) {
    if (r->what == record::kind::valid && (!best || r->token > best->token)) best = *r;
  }
  return best;
}

std::optional<record> observer::wait(record::kind what, std::uint64_t above,
                                     std::chrono::milliseconds patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  std::optional<record> first;
  more_.wait_for(lock, patience, [&] {
    for (auto r = log_.rbegin(); r != log_.rend(); ++r) {
      if (r->what == what && r->token > above && (!first || r->at < first->at)) first = *r;
    }
    return first.has_value();
  });
  return first;
}

void observer::run() {
  for (;;) {
    record r;
    const ssize_t n = ::recv(socket_.get(), &r, sizeof r, 0);
    if (n == sizeof over) return;
    if (n != sizeof r) continue;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      log_.push_back(r);
    }
    more_.notify_all();
  }
}

reporter::reporter(const std::string& path) : socket_(with_address(path, ::connect, "connect")) {}

void reporter::say(const record& r) const {
  while (::send(socket_.get(), &r, sizeof r, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace drill::election
