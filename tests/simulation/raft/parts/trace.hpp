// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_TESTS_SIMULATION_TRACE_HPP
#define SEAWALL_TESTS_SIMULATION_TRACE_HPP

// A run in words, for whoever looks for the reason of a failure. Nothing is put into words unless somebody listens.

#include <cstdio>
#include <sstream>
#include <string>

#include "seawall/election/raft_types.hpp"
#include "seawall/time.hpp"

namespace raftsim {

namespace raft = seawall::raft;

std::string words(raft::role r);
std::string words(raft::refusal r);
std::string words(const raft::membership& m);
std::string words(const raft::entry& e);
std::string words(const raft::message& m);
std::string words(const raft::persist& p);
std::string words(const raft::any_input& in);
std::string words(const raft::effects& e);

class tracer {
 public:
  explicit tracer(bool listens) : listens_(listens) {}

  bool listens() const { return listens_; }
  template <class... Parts>
  void line(seawall::instant now, const Parts&... parts) {
    if (!listens_) return;
    std::ostringstream out;
    (out << ... << parts);
    std::printf("%12.6f ms  %s\n", static_cast<double>(now.ns()) * 1e-6, out.str().c_str());
  }

 private:
  bool listens_;
};

}  // namespace raftsim

#endif  // SEAWALL_TESTS_SIMULATION_TRACE_HPP
