// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ELECTION_LOG_FILE_STORED_FILE_HPP
#define SEAWALL_ELECTION_LOG_FILE_STORED_FILE_HPP

// A file of the log: two copies of a header, a block each, then batches. There are two kinds: segments of the
// log, which have their full size from the start, and snapshots. A file has its name only once it is durable,
// so that one that is too short or has no header is damaged, and never merely unfinished.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/core/crc32c.hpp"
#include "seawall/election/log_file/block.hpp"
#include "seawall/election/log_file/bytes.hpp"
#include "seawall/election/log_file/file_system.hpp"
#include "seawall/election/log_file/record.hpp"
#include "seawall/election/raft_types.hpp"
#include "seawall/status.hpp"

namespace seawall::raft::wal {

inline constexpr std::size_t least_block_bytes = 512;
inline constexpr std::size_t most_block_bytes = 65536;
inline constexpr std::size_t header_copy_bytes = 512;  // at the start of each of the first two blocks
inline constexpr std::uint64_t header_blocks = 2;
inline constexpr std::string_view magic = "seawall raft log";
inline constexpr std::uint32_t format_version = 1;

/// Whose disk it is.
struct identity {
  node_id node = nobody;
  std::string cluster = {};

  friend bool operator==(const identity&, const identity&) = default;
};

inline std::string to_text(const identity& i) {
  return "node " + std::to_string(i.node) + " of cluster \"" + i.cluster + '"';
}

enum class file_kind : std::uint32_t { segment = 1, snapshot = 2 };

struct file_header {
  file_kind kind = file_kind::segment;
  bool root = false;  ///< a segment that begins with a checkpoint: those before it are not needed
  std::uint64_t number = 0;
  std::uint64_t salt = 0;  ///< drawn for this file
  std::uint32_t block_bytes = 0;
  std::uint64_t blocks = 0;  ///< of the whole file
  std::uint64_t first_batch = 1;
  std::uint32_t before = 0;  ///< the sum of the batch before the first one
  std::uint32_t epoch = 0;
  identity owner = {};
};

/// A refusal to start. Nothing has been changed.
inline absl::Status damage(const std::string& path, std::uint64_t offset, std::string_view what) {
  std::string text = path + ", offset " + std::to_string(offset) + ": ";
  text.append(what).append(
      ". Acknowledged data would be lost, so the log is not opened and nothing was changed: repair the disk, "
      "or remove this member from the cluster, empty the directory and let it join again under a new node id");
  return absl::DataLossError(seawall::detail::to_absl(text));
}

inline absl::Status refused(const std::string& path, std::string_view what) {
  return absl::FailedPreconditionError(seawall::detail::to_absl(path + ": " + std::string(what)));
}

namespace headers {

// magic | version | fields | zeros | crc32c of the offset and of all before it
inline std::string make_copy(const file_header& h, std::uint64_t offset) {
  std::string out(magic);
  put(out, format_version);
  put(out, static_cast<std::uint32_t>(h.kind));
  put(out, static_cast<std::uint8_t>(h.root));
  for (const std::uint64_t field : {h.number, h.salt, h.blocks, h.first_batch, h.owner.node}) put(out, field);
  for (const std::uint32_t field : {h.block_bytes, h.before, h.epoch}) put(out, field);
  put_text(out, h.owner.cluster);
  out.resize(header_copy_bytes - sizeof(std::uint32_t), '\0');
  std::string where;
  put(where, offset);
  put(out, core::crc32c(out, core::crc32c(where)));
  return out;
}

struct parsed {
  std::uint32_t version = 0;               ///< zero: not a header
  std::optional<file_header> header = {};  ///< of our version
};

inline parsed parse_copy(std::string_view bytes, std::uint64_t offset) {
  parsed out;
  if (bytes.size() != header_copy_bytes || !bytes.starts_with(magic)) return out;
  std::string where;
  put(where, offset);
  const std::string_view summed = bytes.substr(0, header_copy_bytes - sizeof(std::uint32_t));
  byte_reader tail(bytes.substr(summed.size()));
  if (tail.take<std::uint32_t>() != core::crc32c(summed, core::crc32c(where))) return out;
  byte_reader in(summed.substr(magic.size()));
  out.version = in.take<std::uint32_t>();
  if (out.version != format_version) return out;
  file_header h;
  h.kind = static_cast<file_kind>(in.take<std::uint32_t>());
  h.root = in.take<std::uint8_t>() != 0;
  for (std::uint64_t* field : {&h.number, &h.salt, &h.blocks, &h.first_batch, &h.owner.node})
    *field = in.take<std::uint64_t>();
  for (std::uint32_t* field : {&h.block_bytes, &h.before, &h.epoch}) *field = in.take<std::uint32_t>();
  h.owner.cluster = in.take_text();
  const bool sane = !in.failed() && h.block_bytes >= least_block_bytes && h.block_bytes <= most_block_bytes &&
                    (offset == 0 || offset == h.block_bytes) && h.blocks > header_blocks &&
                    h.first_batch != 0;
  if (sane) out.header = h;
  return out;
}

}  // namespace headers

/// "/var/lib/orders/raft/000000000000001f.log"
inline std::string file_path(const std::string& directory, file_kind kind, std::uint64_t number) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string name(16, '0');
  for (std::size_t i = 16; i-- > 0; number >>= 4U) name[i] = digits[number & 0xfU];
  return directory + "/" + name + (kind == file_kind::segment ? ".log" : ".snapshot");
}

/// What a name says. Files of other names are not ours.
struct file_name {
  file_kind kind = file_kind::segment;
  std::uint64_t number = 0;
  bool unfinished = false;  ///< it was being made
};

inline std::optional<file_name> parse_file_name(std::string_view name) {
  file_name out;
  if (name.ends_with(".tmp")) {
    out.unfinished = true;
    name.remove_suffix(4);
  }
  for (std::size_t i = 0; i < 16; ++i) {
    const char c = i < name.size() ? name[i] : '-';
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return std::nullopt;
    out.number = out.number << 4U | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  name.remove_prefix(16);
  if (name != ".log" && name != ".snapshot") return std::nullopt;
  out.kind = name == ".log" ? file_kind::segment : file_kind::snapshot;
  return out;
}

/// Makes a file under another name, fills it up with zeros that are written, not only promised, so that later
/// writes need neither room nor a change of the file system's own records, and gives it its name once it is
/// durable. `batches` stands behind the header.
inline absl::Status create_file(file_system& files, const std::string& directory, const file_header& h,
                                std::string_view batches) {
  static constexpr std::size_t zeros_at_once = std::size_t{1} << 20U;
  const std::string path = file_path(directory, h.kind, h.number);
  const std::string unfinished = path + ".tmp";
  const auto fill = [&]() -> absl::Status {
    auto made = files.create(unfinished);
    if (!made.ok()) return made.status();
    std::string start;
    for (std::uint64_t i = 0; i < header_blocks; ++i) {
      start.append(headers::make_copy(h, i * h.block_bytes));
      start.resize((i + 1) * h.block_bytes, '\0');
    }
    start.append(batches);
    if (auto s = (*made)->write_at(0, start); !s.ok()) return s;
    const std::uint64_t end = h.blocks * h.block_bytes;
    const std::string zeros(std::min<std::uint64_t>(zeros_at_once, end - start.size()), '\0');
    for (std::uint64_t at = start.size(); at < end; at += zeros.size()) {
      const auto count = std::min<std::uint64_t>(zeros.size(), end - at);
      if (auto s = (*made)->write_at(at, std::string_view(zeros).substr(0, count)); !s.ok()) return s;
    }
    return (*made)->sync();
  };
  if (auto s = fill(); !s.ok()) {
    (void)files.remove(unfinished);  // it may be what has filled the disk
    return s;
  }
  if (auto s = files.rename(unfinished, path); !s.ok()) return s;
  return files.sync_directory(directory);
}

/// A file that was opened, and what of it is to be written again.
struct stored_file {
  std::string path = {};
  std::unique_ptr<file> handle = {};
  file_header header = {};
  image content = {};  ///< only after `read_content`
  bool header_mended = false;
};

namespace headers {

/// The copies that can be read: the second one is wherever blocks of the right size have it.
inline std::vector<parsed> read_copies(file& f) {
  std::vector<parsed> out;
  for (std::uint64_t at = 0; at <= most_block_bytes; at = at == 0 ? least_block_bytes : at * 2) {
    const auto bytes = f.read_at(at, header_copy_bytes);
    if (!bytes.ok()) continue;
    parsed copy = parse_copy(*bytes, at);
    if (copy.version != 0) out.push_back(std::move(copy));
  }
  return out;
}

}  // namespace headers

/// Opens the file and reads its header. A copy that belongs elsewhere is as good as none; of two the one of
/// the later opening is true.
inline absl::StatusOr<stored_file> open_file(file_system& files, const std::string& directory, file_kind kind,
                                             std::uint64_t number, const identity& owner) {
  stored_file out;
  out.path = file_path(directory, kind, number);
  auto handle = files.open(out.path);
  if (!handle.ok()) return handle.status();
  out.handle = *std::move(handle);
  const std::vector<headers::parsed> copies = headers::read_copies(*out.handle);
  const file_header* found = nullptr;
  std::size_t agreeing = 0;
  for (const headers::parsed& c : copies) {
    if (!c.header || c.header->kind != kind || c.header->number != number || c.header->owner != owner)
      continue;
    if (found == nullptr || c.header->epoch > found->epoch) {
      found = &*c.header;
      agreeing = 0;
    }
    agreeing += c.header->salt == found->salt ? 1 : 0;
  }
  if (found != nullptr) {
    out.header = *found;
    out.header_mended = agreeing < header_blocks;
    return out;
  }
  for (const headers::parsed& c : copies) {
    if (c.version != format_version)
      return refused(out.path, "is of format version " + std::to_string(c.version) +
                                   "; this program reads version " + std::to_string(format_version));
    if (c.header && c.header->owner != owner)
      return refused(out.path, "belongs to " + to_text(c.header->owner) + ", and this is " + to_text(owner));
  }
  return damage(out.path, 0, "neither copy of the file's header can be read, or they are of another file");
}

/// Reads all there is. A block for which the device gives an error counts as missing.
inline absl::Status read_content(stored_file& f) {
  const auto size = f.handle->size();
  if (!size.ok()) return size.status();
  const std::uint64_t blocks = f.header.blocks;
  const std::size_t block_bytes = f.header.block_bytes;
  if (*size % block_bytes != 0 || *size / block_bytes != blocks) {
    const std::string what = "the file has " + std::to_string(*size) + " bytes, and its header says " +
                             std::to_string(blocks) + " blocks of " + std::to_string(block_bytes);
    return damage(f.path, *size, what);
  }
  f.content.block_bytes = block_bytes;
  f.content.salt = f.header.salt;
  f.content.unreadable.assign(blocks, false);
  if (auto all = f.handle->read_at(0, *size); all.ok()) {
    f.content.bytes = *std::move(all);
  } else {
    for (std::uint64_t i = 0; i < blocks; ++i) {
      const auto block = f.handle->read_at(i * block_bytes, block_bytes);
      f.content.unreadable[i] = !block.ok();
      f.content.bytes.append(block.ok() ? *block : std::string(block_bytes, '\0'));
    }
  }
  f.content.parse(header_blocks);
  return absl::OkStatus();
}

/// A block as `find_batch` has made it again.
inline std::string mended_block(const stored_file& f, std::uint64_t start, const read_batch& b) {
  block_header h = b.header;
  const std::string whole = make_batch(h, start, b.payload, f.header.block_bytes);
  return whole.substr((*b.mended - start) * f.header.block_bytes, f.header.block_bytes);
}

/// Writes to the disk's place what could not be read there.
inline absl::Status write_again(stored_file& f, std::uint64_t offset, std::string_view bytes) {
  if (auto s = f.handle->write_at(offset, bytes); !s.ok()) return s;
  return f.handle->sync();
}

inline absl::Status mend_header(stored_file& f) {
  for (std::uint64_t i = 0; i < header_blocks; ++i) {
    const std::uint64_t offset = i * f.header.block_bytes;
    if (auto s = write_again(f, offset, headers::make_copy(f.header, offset)); !s.ok()) return s;
  }
  return absl::OkStatus();
}

}  // namespace seawall::raft::wal

#endif  // SEAWALL_ELECTION_LOG_FILE_STORED_FILE_HPP
