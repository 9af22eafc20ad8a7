// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_SMALL_MAP_HPP
#define SEAWALL_TESTS_SIMULATION_SMALL_MAP_HPP

// The state machine that simulated replicas share: numbers under numbers, put and compare-and-set, and for each client what
// its last request came to, so that one that is proposed twice is done once. Small on purpose: a run makes many copies.

#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <type_traits>

#include "simulation/raft/parts/dice.hpp"
#include "simulation/raft/parts/history.hpp"

namespace raftsim {

/// What a client wants done; all there is in an entry.
struct map_command {
  std::uint64_t client = 0;
  std::uint64_t sequence = 0;
  std::uint64_t key = 0;
  operation_kind kind = operation_kind::put;
  std::uint64_t value = 0;
  std::uint64_t expected = 0;

  std::string bytes() const {
    const std::uint64_t fields[] = {client, sequence, key, static_cast<std::uint64_t>(kind), value, expected};
    return std::string(reinterpret_cast<const char*>(fields), sizeof fields);
  }
  static map_command of(const std::string& bytes) {
    std::uint64_t f[6] = {};
    std::memcpy(f, bytes.data(), bytes.size() < sizeof f ? bytes.size() : sizeof f);
    return {f[0], f[1], f[2], static_cast<operation_kind>(f[3]), f[4], f[5]};
  }
};

class small_map {
 public:
  /// What it came to; the same again for a request that was done before.
  bool apply(const map_command& c) {
    session& s = sessions_[c.client];
    if (c.sequence <= s.sequence) return s.swapped;
    const bool does = c.kind == operation_kind::put || get(c.key) == c.expected;
    if (does) set(c.key, c.value);
    digest_ ^= mixed(c.client, s);
    s = {c.sequence, does};
    digest_ ^= mixed(c.client, s);
    return does;
  }

  std::uint64_t get(std::uint64_t key) const {
    const auto found = values_.find(key);
    return found == values_.end() ? 0 : found->second;
  }
  /// Of all of it, whatever the way that led here.
  std::uint64_t digest() const { return digest_; }

  std::string bytes() const {
    std::string out;
    write(out, values_.size());
    for (const auto& [key, value] : values_) {
      write(out, key);
      write(out, value);
    }
    for (const auto& [client, s] : sessions_) {
      write(out, client);
      write(out, s.sequence);
      write(out, s.swapped ? 1 : 0);
    }
    return out;
  }
  static small_map of(const std::string& bytes) {
    small_map m;
    std::size_t at = 0;
    const auto read = [&] {
      std::uint64_t v = 0;
      if (at + sizeof v <= bytes.size()) std::memcpy(&v, bytes.data() + at, sizeof v);
      at += sizeof v;
      return v;
    };
    for (std::uint64_t left = read(); left > 0 && at < bytes.size(); --left) {
      const std::uint64_t key = read();
      m.set(key, read());
    }
    while (at < bytes.size()) {
      const std::uint64_t client = read();
      session s;
      s.sequence = read();
      s.swapped = read() != 0;
      m.sessions_[client] = s;
      m.digest_ ^= mixed(client, s);
    }
    return m;
  }

 private:
  struct session {
    std::uint64_t sequence = 0;
    bool swapped = false;
  };

  static std::uint64_t mixed(std::uint64_t client, const session& s) {
    if (s.sequence == 0) return 0;
    return folded(folded(folded(1, client), s.sequence), s.swapped ? 2 : 3);
  }
  static std::uint64_t mixed(std::uint64_t key, std::uint64_t value) {
    return value == 0 ? 0 : folded(folded(7, key), value);
  }
  static void write(std::string& out, std::uint64_t v) {
    out.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  void set(std::uint64_t key, std::uint64_t value) {
    std::uint64_t& there = values_[key];
    digest_ ^= mixed(key, there) ^ mixed(key, value);
    there = value;
  }

  std::map<std::uint64_t, std::uint64_t> values_;
  std::map<std::uint64_t, session> sessions_;
  std::uint64_t digest_ = 0;
};

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_SMALL_MAP_HPP
