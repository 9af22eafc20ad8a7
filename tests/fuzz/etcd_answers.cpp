// SPDX-License-Identifier: Apache-2.0
// Readers of etcd's answers: no bytes crash them, and what they believe keeps to its bounds.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "must.hpp"
#include "seawall/adapt/etcd/messages.hpp"

using namespace seawall;
using namespace seawall::detail;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const etcd_answers read(etcd_election_keys("p/", "e"));
  const duration most = std::chrono::seconds(etcd_most_ttl_s);
  if (const auto ttl = etcd_answers::granted_ttl(text, 7))
    must(*ttl > duration::zero() && *ttl <= most, "a lease has a length that is bounded");
  if (const auto ttl = etcd_answers::renewed_ttl(text, 7))
    must(*ttl >= duration::zero() && *ttl <= most, "a renewal likewise");
  if (const auto token = etcd_answers::auth_token(text))
    must(token->find_first_of("\r\n") == std::string::npos && token->size() <= 4096,
         "a login fits into a header");
  if (const auto view = read.view(text)) {
    must(view->revision > 0, "a view is as of a revision");
    for (const auto& entry : {view->leader, view->heir})
      must(!entry || (entry->create_revision > 0 && entry->mod_revision <= view->revision),
           "and none is later");
  }
  if (const auto news = read.news(text))
    for (const auto& change : news->changes) must(change.entry.mod_revision > 0, "a change has a revision");
  static_cast<void>(etcd_answers::succeeded(text));
  static_cast<void>(etcd_answers::error(text));
  if (const auto bytes = from_base64(text)) must(to_base64(*bytes) == text, "base64 comes back");
  return 0;
}
