// SPDX-License-Identifier: Apache-2.0
// Opening a log whose files hold anything: it is opened or refused, nothing else happens, and what was opened
// can be written to and opened again. The input changes bytes of sound files; where it says so, the checksums
// are made right afterwards, so that what is behind them is reached.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../unit/election/log_file/support.hpp"
#include "must.hpp"
#include "seawall/core/crc32c.hpp"
#include <fuzzer/FuzzedDataProvider.h>

using namespace log_test;

namespace {

/// A few files of each kind.
contents sound_files() {
  disk d;
  logger log(d);
  persist p;
  p.hard = hard_state{1, 2};
  p.append = {command(1, 1, "one"),
              {.index = 2, .term = 1, .kind = entry_kind::members, .members = {{1, 2, 3}, {4}}}};
  must(log.write(p).ok(), "written");
  p = {};
  p.base = snapshot{.index = 1, .term = 1, .members = {{1, 2, 3}, {}}, .state = std::string(600, 's')};
  p.keep_entries = true;
  must(log.write(p).ok(), "written");
  for (log_index i = 3; log.log->log.usage().segments < 2 || i < 12; ++i) {
    p = {};
    p.append = {command(i, 1, std::string(i * 70, 'x'))};
    must(log.write(p).ok(), "written");
  }
  return d.now();
}

void correct_header(std::string& file, std::size_t offset) {
  std::string where, sum;
  wal::put(where, std::uint64_t{offset});
  const std::string bytes = file.substr(offset, sector - 4);
  wal::put(sum, seawall::core::crc32c(bytes, seawall::core::crc32c(where)));
  file.replace(offset + sector - 4, 4, sum);
}

void correct_block(std::string& file, std::size_t offset) {
  std::string where, sum;
  wal::put(where, std::uint64_t{offset / sector});
  wal::put(sum, seawall::core::crc32c(file.substr(offset + 4, sector - 4), seawall::core::crc32c(where)));
  file.replace(offset, 4, sum);
}

/// As if the batch had been written with this payload.
void replace_batch(std::string& file, std::size_t offset, const std::string& payload) {
  wal::byte_reader in(std::string_view(file).substr(offset + 8));
  wal::block_header h;
  h.salt = in.take<std::uint64_t>();
  h.batch = in.take<std::uint64_t>();
  h.epoch = in.take<std::uint32_t>();
  h.before = in.take<std::uint32_t>();
  put_at(file, offset, wal::make_batch(h, offset / sector, payload, sector));
}

void change(FuzzedDataProvider& in, contents& files) {
  auto f = files.begin();
  std::advance(f, in.ConsumeIntegralInRange<int>(0, static_cast<int>(files.size()) - 1));
  std::string& bytes = f->second;
  const auto how = in.ConsumeIntegralInRange(0, 4);
  if (how == 0) return bytes.resize(in.ConsumeIntegralInRange<std::size_t>(0, bytes.size()));
  if (bytes.size() < sector) return;
  const std::size_t at = in.ConsumeIntegralInRange<std::size_t>(0, bytes.size() / sector - 1) * sector;
  if (how == 1) return replace_batch(bytes, at, in.ConsumeRandomLengthString());
  for (int n = in.ConsumeIntegralInRange(1, 4); n > 0; --n) {
    const auto place = in.ConsumeIntegralInRange<std::size_t>(0, how == 2 ? 79 : sector - 1);
    bytes[at + place] = static_cast<char>(in.ConsumeIntegral<std::uint8_t>());
  }
  if (how >= 3) return;
  at < 2 * sector ? correct_header(bytes, at) : correct_block(bytes, at);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const contents sound = sound_files();
  FuzzedDataProvider in(data, size);
  contents files = sound;
  while (in.remaining_bytes() > 0) change(in, files);
  disk d(files);
  logger log(d);
  if (!log.log.ok()) {
    must(d.now() == files, "a refusal changes nothing");
    return 0;
  }
  const stored_state& s = log.log->state;
  if (last_index(s) + 1 == 0 || s.hard.term + 1 == 0) return 0;
  persist p;
  p.hard = hard_state{s.hard.term + 1, 1};
  p.append = {command(last_index(s) + 1, s.hard.term + 1, "next")};
  const auto written = log.write(p);
  if (!written.ok()) return 0;
  disk again(d.now());
  const auto opened = open(again);
  must(opened.ok(), "what was written to can be opened");
  must(same(opened->state, log.model), "and is what was written");
  return 0;
}
