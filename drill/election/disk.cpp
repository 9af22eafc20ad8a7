// SPDX-License-Identifier: Apache-2.0
#include "disk.hpp"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <system_error>
#include <utility>
#include <vector>

#include "drill/unique_fd.hpp"
#include "seawall/time.hpp"

namespace drill::election {
namespace {

constexpr std::size_t block = 4096;
constexpr int blocks = 200;

bool write_block(int fd, int number, char with) {
  const std::vector<char> bytes(block, with);
  return ::pwrite(fd, bytes.data(), block, static_cast<off_t>(block) * number) == static_cast<ssize_t>(block);
}

void require(bool ok) {
  if (!ok) throw std::system_error(errno, std::generic_category(), "the disk of the logs");
}

}  // namespace

summary time_syncs(const std::string& folder) {
  const std::string file = folder + "/sync";
  const unique_fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  require(static_cast<bool>(fd));
  for (int i = 0; i < blocks; ++i) require(write_block(fd.get(), i, '\0'));
  require(::fsync(fd.get()) == 0);
  std::vector<seawall::duration> took;
  for (int i = 0; i < blocks; ++i) {
    const seawall::instant begun = seawall::steady_clock::now();
#if defined(__APPLE__)
    require(write_block(fd.get(), i, 'x') && ::fcntl(fd.get(), F_FULLFSYNC) == 0);
#else
    require(write_block(fd.get(), i, 'x') && ::fdatasync(fd.get()) == 0);
#endif
    took.push_back(seawall::steady_clock::now() - begun);
  }
  ::unlink(file.c_str());
  return summarise(std::move(took));
}

}  // namespace drill::election
