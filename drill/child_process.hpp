// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_CHILD_PROCESS_HPP
#define SEAWALL_DRILL_CHILD_PROCESS_HPP

// A role of this very program in a process of its own: started, asked, tormented and ended by its process id.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "line_channel.hpp"

namespace drill {

/// The driver's handle. The destructor ends the process and waits for it: no orphan, no zombie. If the driver
/// is killed outright, the child ends by itself (see `serve_driver`).
///
/// Thread safety: none. Start children from a thread that outlives them: on Linux they die with it.
class child_process {
 public:
  child_process() = default;
  child_process(child_process&& other) noexcept;
  child_process& operator=(child_process&& other) noexcept;
  ~child_process() { end(); }

  /// Starts `arguments` as command line of this program and waits until it says that it is ready.
  /// Throws `std::runtime_error`, with nothing left running, if it does not come up.
  static child_process start(std::string name, const std::vector<std::string>& arguments);

  const std::string& name() const { return name_; }
  bool running() const { return pid_ > 0; }

  /// The child's answer; nothing if it gave none in time. Answers that come too late are thrown away.
  std::optional<std::string> ask(std::string_view question, std::chrono::milliseconds patience);

  void suspend();   ///< SIGSTOP: it hangs, and its kernel goes on accepting connections for it
  void resume();    ///< SIGCONT
  void kill_now();  ///< SIGKILL, and waits until its sockets are gone
  void end();       ///< SIGTERM, and SIGKILL if that is not enough

 private:
  bool gone_within(std::chrono::milliseconds patience);

  std::string name_;
  pid_t pid_ = -1;
  line_channel channel_;
  std::uint64_t asked_ = 0;
};

/// The child's side: says "ready", then answers the driver's questions with `answer`. Returns when the driver
/// has gone.
void serve_driver(const std::function<std::string(std::string_view)>& answer);

/// First thing in a child: it dies with its parent, and leaves Ctrl-C to the parent.
void become_child();

}  // namespace drill

#endif  // SEAWALL_DRILL_CHILD_PROCESS_HPP
