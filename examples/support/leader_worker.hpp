// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_EXAMPLES_SUPPORT_LEADER_WORKER_HPP
#define SEAWALL_EXAMPLES_SUPPORT_LEADER_WORKER_HPP

// A service of which one replica works, whoever elects that one; and a script that kills and stops the leader at the worst
// moment, and then looks at what was written.

#include <signal.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/election/elector.hpp"
#include "support/file_server.hpp"
#include "support/process.hpp"
#include <fmt/format.h>

/// The worker. It asks the file server for a job, does it, and has it written under the token of its leadership.
template <seawall::elector E>
int work(std::unique_ptr<E> elector) {
  line_socket files(process::line_of_child);
  const auto ask = [&files](const std::string& what) {
    return files.write(what) ? files.read() : std::nullopt;
  };
  elector->start({.on_elected = [&ask](const seawall::leadership& l) {
    while (l.valid()) {
      const auto job = ask(fmt::format("next {}", l.token()));
      if (!job) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // the work; and who knows for how long
      // Whether this process still leads, it cannot know here. The file server can.
      ask(fmt::format("write {} {}", *job, l.token()));
    }
  }});
  wait_for_the_end();
  elector.reset();  // resigns; a job that was begun is ended first
  return 0;
}

/// The script.
class leader_drill {
 public:
  /// `command`: the program and the arguments for the worker of that name.
  leader_drill(const temporary_folder& folder, bool fenced,
               std::function<std::vector<std::string>(const std::string&)> command)
      : file_(folder / "jobs"), server_(file_, fenced), command_(std::move(command)) {}

  /// What `main` returns.
  int run() {
    for (worker& w : workers_) start(w);
    bool done = true;
    for (const int signal : {SIGKILL, SIGSTOP, SIGTERM}) done = done && strike_leader(signal);
    for (worker& w : workers_) end(w, &process::kill);
    if (!done) fmt::print("WRONG: nobody has done the next job for {} s\n", patience.count());
    const bool good = is_in_order(file_) && done;
    std::size_t refused = 0;
    for (const write_request& r : server_.requests()) refused += r.written ? 0 : 1;
    fmt::print("{} jobs; {} writes were refused; {}\n", server_.next_job() - 1, refused,
               good ? "nothing was written twice, or by an old token" : "see above");
    return good ? 0 : 1;
  }

 private:
  static constexpr std::chrono::seconds patience{30};

  struct worker {
    std::string name;
    std::unique_ptr<process> it = {};
    std::thread serving = {};
  };
  /// A leader that has been given a job, and a signal.
  struct victim {
    worker* who;
    std::uint64_t token;
    std::uint64_t job;
  };

  void start(worker& w) {
    w.it = std::make_unique<process>(command_(w.name));
    w.serving = std::thread([this, &w] { serve(w); });
  }
  void end(worker& w, void (process::*how)()) {
    (*w.it.*how)();
    w.it->wait();
    w.serving.join();  // there is nobody on the line any more
  }

  bool strike_leader(int signal) {
    const auto v = next_victim(signal);
    if (!v) return false;
    const char* const sent = signal == SIGKILL ? "kill -9" : signal == SIGSTOP ? "SIGSTOP" : "SIGTERM";
    fmt::print("{} leads under token {} and does job {}: {}\n", v->who->name, v->token, v->job, sent);
    const auto newer = wait_for_write(
        [&](const write_request& r) { return r.written && r.token > v->token && r.job >= v->job; });
    if (!newer) return false;
    fmt::print("  job {} was written under token {}\n", newer->job, newer->token);
    if (signal == SIGSTOP) return let_go_on(*v);
    end(*v->who, signal == SIGKILL ? &process::kill : &process::ask_to_end);
    start(*v->who);
    return true;
  }
  bool let_go_on(const victim& v) {
    v.who->it->go_on();
    const auto late =
        wait_for_write([&](const write_request& r) { return r.job == v.job && r.token == v.token; });
    if (!late) return false;
    fmt::print("  SIGCONT: {} wants job {} written under token {}: {}\n", v.who->name, late->job, late->token,
               late->written ? "written" : "refused");
    return true;
  }

  // Waiting for what happens on the lines.

  std::optional<victim> next_victim(int signal) {
    std::unique_lock lock(mutex_);
    signal_ = signal;
    victim_.reset();
    not_before_ = server_.next_job() + 3;
    changed_.wait_for(lock, patience, [&] { return victim_.has_value(); });
    signal_ = 0;
    return victim_;
  }
  template <class Wanted>
  std::optional<write_request> wait_for_write(Wanted wanted) {
    std::unique_lock lock(mutex_);
    std::optional<write_request> found;
    changed_.wait_for(lock, patience, [&] {
      for (const write_request& r : server_.requests()) {
        if (!found && wanted(r)) found = r;
      }
      return found.has_value();
    });
    return found;
  }

  // One thread for each worker.

  void serve(worker& w) {
    while (const auto line = w.it->line().read()) {
      std::istringstream words(*line);
      std::string what;
      std::uint64_t job = 0, token = 0;
      if (words >> what; what == "next") {
        words >> token;
        job = server_.next_job();
        strike({&w, token, job});  // between the look at the lease and the write
        w.it->line().write(std::to_string(job));
      } else {
        words >> job >> token;
        w.it->line().write(server_.write(job, token) ? "written" : "refused");
        const std::lock_guard lock(mutex_);
        changed_.notify_all();
      }
    }
  }
  void strike(const victim& v) {
    const std::lock_guard lock(mutex_);
    if (signal_ == 0 || v.job < not_before_) return;
    process& p = *v.who->it;
    signal_ == SIGKILL ? p.kill() : signal_ == SIGSTOP ? p.stop() : p.ask_to_end();
    signal_ = 0;
    victim_ = v;
    changed_.notify_all();
  }

  const std::string file_;
  file_server server_;
  const std::function<std::vector<std::string>(const std::string&)> command_;
  std::vector<worker> workers_ = make_workers();
  std::mutex mutex_;
  std::condition_variable changed_;
  int signal_ = 0;  // for the next leader that asks for a job
  std::uint64_t not_before_ = 0;
  std::optional<victim> victim_;

  static std::vector<worker> make_workers() {
    std::vector<worker> all(3);
    for (std::size_t i = 0; i < all.size(); ++i) all[i].name = std::string(1, static_cast<char>('a' + i));
    return all;
  }
};

#endif  // SEAWALL_EXAMPLES_SUPPORT_LEADER_WORKER_HPP
