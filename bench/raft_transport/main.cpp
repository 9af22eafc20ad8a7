// SPDX-License-Identifier: Apache-2.0
// What Raft's transport carries between two members on loopback, each with a context and a thread of its own: messages and
// bytes in a second one way, the processor's time for each (both ends and the sender), and how long a message and its answer take.
// `bench_raft_transport [seconds for each figure]`. Plain text has a CRC-32C in software, TLS has not.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "election/certificates.hpp"
#include "seawall/election/transport.hpp"
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>

namespace {

using namespace std::chrono_literals;
using namespace seawall::raft;
using steady = std::chrono::steady_clock;

class member {
 public:
  member(const transport_options& o, message_handler f)
      : work_(asio::make_work_guard(io_)),
        transport_(std::make_unique<transport>(io_, o, std::move(f))),
        thread_([this] { io_.run(); }) {}
  ~member() {
    transport_.reset();
    work_.reset();
    thread_.join();
  }
  member(const member&) = delete;
  member& operator=(const member&) = delete;
  transport* operator->() { return transport_.get(); }

 private:
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::unique_ptr<transport> transport_;
  std::thread thread_;
};

transport_options options_of(node_id self, const election_test::authority& ca, bool tls) {
  transport_options o{.self = self,
                      .messages_per_second = 1'000'000'000,
                      .message_burst = 1'000'000'000,
                      .bytes_per_second = 1'000'000'000};
  o.byte_burst = 1U << 30U;
  o.max_queue_bytes = 64U << 20U;
  o.stale_after = 1min;
  o.security = tls ? transport_security::mutual_tls : transport_security::plain_text_on_loopback;
  if (tls) o.tls = ca.tls({.names = "DNS:n" + std::to_string(self)});
  return o;
}

message command(std::size_t bytes) {
  return {
      .kind = message_kind::append,
      .from = 1,
      .to = 2,
      .term = 1,
      .entries = {{.index = 1, .term = 1, .kind = entry_kind::command, .command = std::string(bytes, 'x')}}};
}

struct pair {
  pair(bool tls, message_handler at_one, message_handler at_two)
      : one(options_of(1, ca, tls), std::move(at_one)), two(options_of(2, ca, tls), std::move(at_two)) {
    one->set_peers({{.id = 2, .host = "127.0.0.1", .port = two->port(), .identity = "DNS:n2"}});
    two->set_peers({{.id = 1, .host = "127.0.0.1", .port = one->port(), .identity = "DNS:n1"}});
    while (!one->stats().peers[0].reachable || !two->stats().peers[0].reachable)
      std::this_thread::sleep_for(1ms);
  }
  election_test::authority ca;
  member one;
  member two;
};

/// Messages on their way: the sender sleeps while there are as many as may be, and is woken for every half of them, so that it
/// takes no processor from those who carry them.
class window {
 public:
  explicit window(std::uint64_t size) : half_(size / 2) {}

  void wait_for_room(std::uint64_t sent) {
    for (std::uint64_t seen; sent - (seen = halves_.load()) * half_ >= 2 * half_;) halves_.wait(seen);
  }
  void arrived() {
    if (arrived_.fetch_add(1, std::memory_order_relaxed) % half_ != half_ - 1) return;
    halves_.fetch_add(1);
    halves_.notify_one();
  }
  std::uint64_t count() const { return arrived_.load(std::memory_order_relaxed); }

 private:
  const std::uint64_t half_;
  std::atomic<std::uint64_t> arrived_{0};
  std::atomic<std::uint64_t> halves_{0};
};

/// All that was sent has arrived, over one connection; else the figure would be one of something else.
bool is_sound(pair& p, std::uint64_t sent, const window& w) {
  const auto until = steady::now() + 10s;
  while (w.count() != sent && steady::now() < until) std::this_thread::sleep_for(100us);
  const transport_peer_stats s = p.one->stats().peers[0];
  if (w.count() == sent && s.sent_messages == sent && s.connections == 1) return true;
  std::printf(
      "  of %llu messages %llu arrived: %llu dropped for want of room, %llu stale, %llu connections\n",
      static_cast<unsigned long long>(sent), static_cast<unsigned long long>(w.count()),
      static_cast<unsigned long long>(s.dropped_newest), static_cast<unsigned long long>(s.dropped_stale),
      static_cast<unsigned long long>(s.connections));
  return false;
}

bool throughput(bool tls, std::size_t bytes, double seconds) {
  window w(std::min<std::size_t>(1000, (16U << 20U) / bytes));
  pair p(
      tls, [](const message&) {}, [&](const message&) { w.arrived(); });
  const message m = command(bytes);
  std::uint64_t sent = 0;
  const auto send_for = [&](double s) {
    const auto until = steady::now() + std::chrono::duration<double>(s);
    while (steady::now() < until) {
      w.wait_for_room(sent);
      p.one->send(m);
      ++sent;
    }
  };
  send_for(seconds / 10);  // caches, and TCP's window
  if (!is_sound(p, sent, w)) return false;
  const std::uint64_t before = sent;
  const auto begun = steady::now();
  const std::clock_t cpu = std::clock();
  send_for(seconds);
  if (!is_sound(p, sent, w)) return false;
  const double s = std::chrono::duration<double>(steady::now() - begun).count();
  const double busy = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  const auto n = static_cast<double>(sent - before);
  std::printf("%-10s one way, %6zu bytes: %9.0f messages/s, %7.1f MB/s, %7.2f us of processor each\n",
              tls ? "TLS 1.3" : "plain text", bytes, n / s, n / s * static_cast<double>(bytes) * 1e-6,
              busy / n * 1e6);
  return true;
}

void round_trip(bool tls, double seconds) {
  std::atomic<std::uint64_t> answered{0};
  transport* two = nullptr;
  pair p(
      tls,
      [&](const message& m) {
        answered.store(m.round);
        answered.notify_one();
      },
      [&](const message& m) {
        two->send({.kind = message_kind::append_reply,
                   .from = 2,
                   .to = 1,
                   .term = 1,
                   .granted = true,
                   .round = m.round});
      });
  two = p.two.operator->();
  std::vector<double> us;
  message m = command(100);
  const auto until = steady::now() + std::chrono::duration<double>(seconds);
  for (m.round = 1; steady::now() < until; ++m.round) {
    const auto begun = steady::now();
    p.one->send(m);
    for (std::uint64_t seen; (seen = answered.load()) != m.round;) answered.wait(seen);
    us.push_back(std::chrono::duration<double, std::micro>(steady::now() - begun).count());
  }
  std::sort(us.begin(), us.end());
  const auto at = [&](double q) {
    return us[static_cast<std::size_t>(q * static_cast<double>(us.size() - 1))];
  };
  std::printf("%-10s there and back,  100 bytes: %zu times, median %.0f us, 99%% %.0f us\n",
              tls ? "TLS 1.3" : "plain text", us.size(), at(0.5), at(0.99));
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  for (const bool tls : {false, true}) {
    for (const std::size_t bytes : {100, 4096, 65'536}) {
      if (!throughput(tls, bytes, seconds)) return 1;
    }
    round_trip(tls, seconds);
  }
}
