// SPDX-License-Identifier: Apache-2.0
#include "etcd_client.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "etcd.grpc.pb.h"
#include "seawall/election/elector.hpp"
#include "settings.hpp"
#include <grpcpp/grpcpp.h>

namespace drill::election {
namespace {

using namespace std::chrono_literals;
using seawall::instant;

std::shared_ptr<grpc::Channel> channel_to(const std::string& address, int number) {
  grpc::ChannelArguments a;
  // A member that was killed is back soon.
  a.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  a.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  a.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
  a.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection for each channel
  a.SetInt("seawall.number", number);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), a);
}

void set_deadline(grpc::ClientContext& c, std::chrono::milliseconds patience) {
  c.set_deadline(std::chrono::system_clock::now() + patience);
}

/// A write under way.
struct put {
  grpc::ClientContext context;
  etcdserverpb::PutResponse response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<etcdserverpb::PutResponse>> reader;
  instant sent;
};

/// Writes whose answers come to one place. Destroyed, it gives up what is under way.
class puts {
 public:
  ~puts() {
    for (put* p : under_way_) p->context.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    for (bool ok = false; queue_.Next(&tag, &ok);) delete static_cast<put*>(tag);
  }
  puts() = default;
  puts(const puts&) = delete;
  puts& operator=(const puts&) = delete;

  void begin(etcdserverpb::KV::Stub& stub, std::string key, std::string value) {
    auto* p = new put;
    set_deadline(p->context, 10s);
    etcdserverpb::PutRequest request;
    request.set_key(std::move(key));
    request.set_value(std::move(value));
    p->sent = seawall::steady_clock::now();
    p->reader = stub.AsyncPut(&p->context, request, &queue_);
    p->reader->Finish(&p->response, &p->status, p);
    under_way_.insert(p);
  }
  /// Nothing if none is answered in time.
  std::unique_ptr<put> next(std::chrono::system_clock::time_point until) {
    void* tag = nullptr;
    bool ok = false;
    if (queue_.AsyncNext(&tag, &ok, until) != grpc::CompletionQueue::GOT_EVENT) return nullptr;
    std::unique_ptr<put> p(static_cast<put*>(tag));
    under_way_.erase(p.get());
    return p;
  }
  std::size_t under_way() const { return under_way_.size(); }

 private:
  grpc::CompletionQueue queue_;
  std::set<put*> under_way_;
};

}  // namespace

struct etcd_client::member {
  static constexpr int channels = 4;  // no more is gained by more of them

  explicit member(const std::string& address) {
    for (int i = 0; i < channels; ++i) {
      auto c = channel_to(address, i);
      kv.push_back(etcdserverpb::KV::NewStub(c));
      if (i == 0) maintenance = etcdserverpb::Maintenance::NewStub(c);
    }
  }
  std::vector<std::unique_ptr<etcdserverpb::KV::Stub>> kv;
  std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance;
};

etcd_client::etcd_client(const std::vector<std::string>& addresses) {
  for (const std::string& a : addresses) members_.push_back(std::make_unique<member>(a));
}
etcd_client::~etcd_client() = default;

std::optional<etcd_client::state> etcd_client::status(std::size_t m) {
  grpc::ClientContext context;
  set_deadline(context, 1s);
  etcdserverpb::StatusResponse r;
  if (!members_[m]->maintenance->Status(&context, {}, &r).ok()) return std::nullopt;
  return state{.version = r.version(), .id = r.header().member_id(), .leader = r.leader()};
}

bool etcd_client::writes(std::size_t m) {
  grpc::ClientContext context;
  set_deadline(context, 1s);
  etcdserverpb::PutRequest request;
  request.set_key("settled");
  etcdserverpb::PutResponse r;
  return members_[m]->kv.front()->Put(&context, request, &r).ok();
}

std::optional<instant> etcd_client::first_write(const std::vector<std::size_t>& through,
                                                std::chrono::milliseconds patience) {
  puts all;
  const auto until = std::chrono::system_clock::now() + patience;
  auto turn = std::chrono::system_clock::now();
  for (std::size_t n = 0; turn < until; ++n) {
    const std::size_t m = through[n % through.size()];
    all.begin(*members_[m]->kv.front(), "leader", std::to_string(m));
    turn = std::max(turn + 2ms, std::chrono::system_clock::now());
    while (const auto p = all.next(turn)) {
      if (p->status.ok()) return seawall::boot_clock::now();
    }
  }
  return std::nullopt;
}

load_figures etcd_client::load(std::size_t m, std::size_t in_flight, std::chrono::milliseconds length) {
  const std::string value(value_bytes, 'x');
  puts all;
  std::vector<seawall::duration> took;
  load_figures f{.in_flight = in_flight};
  std::size_t n = 0;
  const auto begin = [&] {
    auto& stubs = members_[m]->kv;
    all.begin(*stubs[n % stubs.size()], key(n), value);
    ++n;
  };
  const instant begun = seawall::steady_clock::now(), until = begun + length;
  instant last = begun;
  for (std::size_t i = 0; i < in_flight; ++i) begin();
  while (all.under_way() > 0) {
    const auto p = all.next(std::chrono::system_clock::now() + 20s);
    if (!p) break;
    last = seawall::steady_clock::now();
    p->status.ok() ? took.push_back(last - p->sent) : static_cast<void>(++f.failed);
    if (last < until && f.failed <= 1000) begin();
  }
  const double s = static_cast<double>((last - begun).ns()) * 1e-9;
  f.per_second = s > 0 ? static_cast<double>(took.size()) / s : 0;
  f.latency = summarise(std::move(took));
  return f;
}

}  // namespace drill::election
