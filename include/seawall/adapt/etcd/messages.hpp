// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_ETCD_MESSAGES_HPP
#define SEAWALL_ADAPT_ETCD_MESSAGES_HPP

// What is said to etcd's JSON gateway (3.4 or later) and what it answers, as values. Knows no connection. Answers are taken for
// hostile: a field of the wrong kind, a number out of range, a key that was not asked for make it no answer at all.

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "seawall/adapt/etcd/base64.hpp"
#include "seawall/adapt/etcd/options.hpp"
#include "seawall/time.hpp"
#include <nlohmann/json.hpp>

namespace seawall::detail {

struct etcd_entry {
  std::string value = {};
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t lease = 0;
};

/// Of an election, as of a revision.
struct etcd_view {
  std::int64_t revision = 0;
  bool succeeded = false;  ///< of the transaction that has brought it
  std::optional<etcd_entry> leader = {};
  std::optional<etcd_entry> heir = {};
};

/// One message of a watch.
struct etcd_news {
  struct change {
    bool of_leader = false;  ///< else of the heir
    bool deleted = false;
    etcd_entry entry = {};  ///< of a deletion, only the mod_revision
  };
  bool cancelled = false;  ///< there will be no more
  std::string why = {};
  std::vector<change> changes = {};
};

/// The longest lease that is believed: a lease must come to an end.
inline constexpr std::int64_t etcd_most_ttl_s = 3600;

class etcd_requests {
 public:
  using json = nlohmann::json;

  explicit etcd_requests(const etcd_election_keys& keys)
      : leader_(to_base64(keys.leader)), heir_(to_base64(keys.heir)) {}

  static std::string grant(std::int64_t lease, std::int64_t ttl_s) {
    return text({{"ID", std::to_string(lease)}, {"TTL", std::to_string(ttl_s)}});
  }
  /// Of a renewal, and of a revocation.
  static std::string lease(std::int64_t lease) { return text({{"ID", std::to_string(lease)}}); }
  static std::string log_in(const std::string& name, const std::string& password) {
    return text({{"name", name}, {"password", password}});
  }

  std::string look() const { return text({{"success", ranges()}}); }

  /// The key must not exist, and the next one not be reserved for somebody else.
  std::string campaign(const std::string& node, std::int64_t lease, bool is_heir) const {
    json compare = json::array({created(leader_, 0)});
    json success = json::array({put(leader_, node, lease)});
    if (is_heir) {
      compare.push_back(
          {{"target", "VALUE"}, {"result", "EQUAL"}, {"key", heir_}, {"value", to_base64(node)}});
      success.push_back(deletion(heir_));
    } else {
      compare.push_back(created(heir_, 0));
    }
    return text({{"compare", compare}, {"success", success}, {"failure", ranges()}});
  }
  /// In one step: the key is gone, and the next one reserved, until the lease ends.
  std::string hand_over(std::int64_t token, const std::string& heir, std::int64_t lease) const {
    return text({{"compare", json::array({created(leader_, token)})},
                 {"success", json::array({put(heir_, heir, lease), deletion(leader_)})}});
  }
  std::string fenced_put(std::int64_t token, std::string_view key, std::string_view value) const {
    return text({{"compare", json::array({created(leader_, token)})},
                 {"success", json::array({put(to_base64(key), value, 0)})}});
  }
  /// Both keys lie between the heir's and what follows the leader's; others there are passed over.
  std::string watch(const etcd_election_keys& keys, std::int64_t from) const {
    json range = {{"key", heir_},
                  {"range_end", to_base64(keys.leader + '\0')},
                  {"start_revision", std::to_string(from)}};
    return text({{"create_request", range}});
  }

 private:
  static std::string text(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }
  static json created(const std::string& key, std::int64_t revision) {
    return {{"target", "CREATE"},
            {"result", "EQUAL"},
            {"key", key},
            {"create_revision", std::to_string(revision)}};
  }
  static json named(const char* name, json what) {
    json j;
    j[name] = std::move(what);
    return j;
  }
  static json put(const std::string& key, std::string_view value, std::int64_t lease) {
    return named("request_put",
                 {{"key", key}, {"value", to_base64(value)}, {"lease", std::to_string(lease)}});
  }
  static json deletion(const std::string& key) { return named("request_delete_range", named("key", key)); }
  json ranges() const {
    return json::array(
        {named("request_range", named("key", leader_)), named("request_range", named("key", heir_))});
  }

  const std::string leader_;
  const std::string heir_;
};

/// Reads answers. Empty wherever one is not as it must be.
class etcd_answers {
 public:
  using json = nlohmann::json;

  explicit etcd_answers(etcd_election_keys keys) : keys_(std::move(keys)) {}

  /// Of a grant.
  static std::optional<duration> granted_ttl(std::string_view body, std::int64_t lease) {
    const auto root = object(body);
    return root ? ttl_of(*root, lease, 1) : std::nullopt;
  }
  /// Of a renewal. Zero: the lease is gone.
  static std::optional<duration> renewed_ttl(std::string_view body, std::int64_t lease) {
    const auto root = object(body);
    const json* const result = root ? member(*root, "result") : nullptr;
    return result != nullptr && result->is_object() ? ttl_of(*result, lease, 0) : std::nullopt;
  }
  static std::optional<std::string> auth_token(std::string_view body) {
    const auto root = object(body);
    const json* const token = root ? member(*root, "token") : nullptr;
    if (token == nullptr || !token->is_string()) return std::nullopt;
    const auto& t = token->get_ref<const std::string&>();
    for (const char c : t)
      if (c <= ' ' || c > '~') return std::nullopt;  // it goes into a header
    return t.empty() || t.size() > 4096 ? std::nullopt : std::optional(t);
  }
  static std::optional<bool> succeeded(std::string_view body) {
    const auto root = object(body);
    return root && revision_of(*root) ? flag(*root, "succeeded") : std::nullopt;
  }
  /// What etcd says for an error, and its gRPC code (-1: none).
  static std::pair<std::string, std::int64_t> error(std::string_view body) {
    const auto root = object(body);
    if (!root) return {"", -1};
    return {string_of(*root, "message", string_of(*root, "error", "")), whole(*root, "code").value_or(-1)};
  }

  std::optional<etcd_view> view(std::string_view body) const {
    const auto root = object(body);
    if (!root) return std::nullopt;
    const auto revision = revision_of(*root);
    const auto succeeded = flag(*root, "succeeded");
    const json* const responses = member(*root, "responses");
    if (!revision || !succeeded || responses == nullptr || !responses->is_array()) return std::nullopt;
    etcd_view v{.revision = *revision, .succeeded = *succeeded};
    for (const json& response : *responses)
      if (!take_range(response, v)) return std::nullopt;
    return v;
  }

  std::optional<etcd_news> news(std::string_view line) const {
    const auto root = object(line);
    if (!root) return std::nullopt;
    if (const json* const e = member(*root, "error")) {
      const std::string why = e->is_string() ? e->get<std::string>() : string_of(*e, "message", "error");
      return etcd_news{.cancelled = true, .why = why};
    }
    const json* const result = member(*root, "result");
    if (result == nullptr || !result->is_object()) return std::nullopt;
    const auto cancelled = flag(*result, "canceled");
    if (!cancelled) return std::nullopt;
    etcd_news n{.cancelled = *cancelled, .why = string_of(*result, "cancel_reason", "compacted")};
    const json* const events = member(*result, "events");
    if (events == nullptr) return n;
    if (!events->is_array()) return std::nullopt;
    for (const json& event : *events)
      if (!take_event(event, n)) return std::nullopt;
    return n;
  }

 private:
  static std::optional<json> object(std::string_view text) {
    json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!root.is_object()) return std::nullopt;
    return root;
  }
  static const json* member(const json& of, const char* name) {
    if (!of.is_object()) return nullptr;
    const auto found = of.find(name);
    return found == of.end() ? nullptr : &*found;
  }
  /// A whole number that is not negative: etcd writes a string; zero is left out.
  static std::optional<std::int64_t> whole(const json& of, const char* name) {
    const json* const m = member(of, name);
    if (m == nullptr) return 0;
    std::int64_t value = -1;
    if (m->is_number_unsigned()) {
      const auto u = m->get<std::uint64_t>();
      if (u <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        value = static_cast<std::int64_t>(u);
    } else if (m->is_string()) {
      const auto& s = m->get_ref<const std::string&>();
      const auto read = std::from_chars(s.data(), s.data() + s.size(), value);
      if (read.ec != std::errc() || read.ptr != s.data() + s.size()) return std::nullopt;
    }
    return value < 0 ? std::nullopt : std::optional(value);
  }
  static std::optional<bool> flag(const json& of, const char* name) {
    const json* const m = member(of, name);
    if (m == nullptr) return false;
    return m->is_boolean() ? std::optional(m->get<bool>()) : std::nullopt;
  }
  static std::string string_of(const json& of, const char* name, const std::string& otherwise) {
    const json* const m = member(of, name);
    return m != nullptr && m->is_string() ? m->get<std::string>() : otherwise;
  }
  static std::optional<std::int64_t> revision_of(const json& root) {
    const json* const header = member(root, "header");
    const auto revision = header == nullptr ? std::nullopt : whole(*header, "revision");
    return revision && *revision > 0 ? revision : std::nullopt;
  }
  static std::optional<duration> ttl_of(const json& of, std::int64_t lease, std::int64_t least_s) {
    const auto id = whole(of, "ID");
    const auto ttl = whole(of, "TTL");
    if (!id || *id != lease || !ttl || *ttl < least_s || *ttl > etcd_most_ttl_s) return std::nullopt;
    return std::chrono::seconds(*ttl);
  }

  static std::optional<std::string> key_of(const json& kv) { return from_base64(string_of(kv, "key", "")); }
  static std::optional<etcd_entry> entry_of(const json& kv) {
    auto value = from_base64(string_of(kv, "value", ""));
    const auto created = whole(kv, "create_revision");
    const auto modified = whole(kv, "mod_revision");
    const auto lease = whole(kv, "lease");
    if (!value || !created || !modified || *modified == 0 || *created > *modified || !lease)
      return std::nullopt;
    return etcd_entry{std::move(*value), *created, *modified, *lease};
  }

  bool take_range(const json& response, etcd_view& v) const {
    const json* const range = member(response, "response_range");
    const json* const kvs = range == nullptr ? nullptr : member(*range, "kvs");
    if (kvs == nullptr) return response.is_object();
    if (!kvs->is_array()) return false;
    for (const json& kv : *kvs) {
      const auto key = key_of(kv);
      auto entry = entry_of(kv);
      if (!key || !entry || entry->create_revision == 0 || entry->mod_revision > v.revision) return false;
      if (*key != keys_.leader && *key != keys_.heir) return false;
      (*key == keys_.leader ? v.leader : v.heir) = std::move(entry);
    }
    return true;
  }
  bool take_event(const json& event, etcd_news& n) const {
    const json* const kv = member(event, "kv");
    if (kv == nullptr || !kv->is_object()) return false;
    const std::string type = string_of(event, "type", "PUT");
    const auto key = key_of(*kv);
    auto entry = entry_of(*kv);
    if (!key || !entry || (type != "PUT" && type != "DELETE")) return false;
    if (*key != keys_.leader && *key != keys_.heir) return true;
    n.changes.push_back({*key == keys_.leader, type == "DELETE", std::move(*entry)});
    return true;
  }

  const etcd_election_keys keys_;
};

}  // namespace seawall::detail

#endif  // SEAWALL_ADAPT_ETCD_MESSAGES_HPP
