// SPDX-License-Identifier: Apache-2.0

// `bench_micro` takes the flags of Google Benchmark; `bench_micro --count=<subject> <calls>` makes that many calls of one
// subject and nothing else, for a tool that counts instructions; `bench_micro --subjects` lists their names.

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>

#include "subject.hpp"

namespace {

std::map<std::string, bench::repeated_call, std::less<>>& subjects() {
  static std::map<std::string, bench::repeated_call, std::less<>> all;
  return all;
}

}  // namespace

void bench::add_for_counting(const std::string& name, repeated_call run) { subjects()[name] = run; }

int main(int argc, char** argv) {
  constexpr std::string_view count = "--count=";
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--subjects") {
    for (const auto& [name, run] : subjects()) std::puts(name.c_str());
    return 0;
  }
  if (first.substr(0, count.size()) == count && argc > 2) {
    const auto found = subjects().find(first.substr(count.size()));
    if (found == subjects().end()) return 1;
    found->second(std::strtoull(argv[2], nullptr, 10));
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
