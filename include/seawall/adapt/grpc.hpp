// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ADAPT_GRPC_HPP
#define SEAWALL_ADAPT_GRPC_HPP

// gRPC C++: statuses both ways, the server's wish for a pause (grpc-retry-pushback-ms), deadlines, and
// `grpc_call`, which makes an asynchronous operation of a unary method of the callback API. Link
// seawall::grpc. A result is an absl::Status: grpc::Status has no room for a wish that arrives in trailing
// metadata, nor for what a rejection says to layers outside.

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "seawall/call.hpp"
#include "seawall/exec/completion.hpp"
#include "seawall/outcome.hpp"
#include "seawall/propagation.hpp"
#include "seawall/status.hpp"
#include "seawall/time.hpp"
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

namespace seawall {

namespace detail {

inline constexpr std::string_view grpc_pushback = "grpc-retry-pushback-ms";
// What error details usually are, serialized.
inline constexpr std::string_view grpc_details = "type.googleapis.com/google.rpc.Status";

inline std::string_view view_of(grpc::string_ref s) noexcept { return {s.data(), s.size()}; }

}  // namespace detail

/// The same code, which both number alike, and message; error details become a payload with the URL of
/// `google.rpc.Status`. A code that gRPC does not define yet is `kUnknown`.
inline absl::Status from_grpc(const grpc::Status& s) {
  absl::Status out(static_cast<absl::StatusCode>(s.error_code()), s.error_message());
  const std::string details = s.error_details();
  if (!details.empty())
    out.SetPayload(detail::to_absl(detail::grpc_details), absl::Cord(detail::to_absl(details)));
  return out;
}

/// What a server sends after its answer, as `ClientContext::GetServerTrailingMetadata` has it.
using grpc_metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

/// Adds what the server said in `grpc-retry-pushback-ms` (gRFC A6): milliseconds to wait; what is negative,
/// no number or said twice means that it does not want to be asked again.
inline absl::Status with_grpc_pushback(absl::Status s, const grpc_metadata& trailing) {
  const auto [first, last] =
      trailing.equal_range(grpc::string_ref(detail::grpc_pushback.data(), detail::grpc_pushback.size()));
  if (first == last) return s;
  const auto ms = detail::parse_int64(detail::view_of(first->second));
  if (std::next(first) != last || !ms || *ms < 0) return do_not_retry(std::move(s));
  return with_retry_after(std::move(s), std::chrono::milliseconds(*ms));
}

/// Of a call that has ended: `from_grpc` with the server's wish.
inline absl::Status from_grpc(const grpc::Status& s, const grpc::ClientContext& context) {
  return s.ok() ? absl::OkStatus() : with_grpc_pushback(from_grpc(s), context.GetServerTrailingMetadata());
}

/// For the other side: code, message and the details that `from_grpc` has kept. Other payloads stay at home:
/// that one of a server's own calls was rejected does not prove to its client that nothing was executed.
inline grpc::Status to_grpc(const absl::Status& s) {
  if (s.ok()) return grpc::Status();
  const std::string details = detail::payload(s, detail::grpc_details).value_or("");
  return grpc::Status(static_cast<grpc::StatusCode>(s.code()), std::string(detail::from_absl(s.message())),
                      details);
}

/// The same, and tells the client when to come back, if the status says so: `with_retry_after`,
/// `do_not_retry`, or the time left of an open breaker. Before the call is finished.
inline grpc::Status to_grpc(const absl::Status& s, grpc::ServerContextBase& context) {
  const auto wish = retry_after_of(s);
  const bool never = detail::payload(s, detail::do_not_retry_payload).has_value();
  if (never || wish) {
    // Rounded up; gRFC A6 has 32 bits for it.
    const std::int64_t asked = never ? -1 : detail::saturating_add(wish->ns(), 999'999) / 1'000'000;
    const std::int64_t ms = std::min<std::int64_t>(asked, 0x7fff'ffff);
    context.AddTrailingMetadata(std::string(detail::grpc_pushback), std::to_string(ms));
  }
  return to_grpc(s);
}

/// Gives the call until the deadline of the attempt, a little less: gRPC writes the time left in steps of up
/// to 1%, rounded up, and a server never gets longer than its caller has. False if nothing is left: do not
/// send it, see `no_time_left`. Without a deadline, nothing is set.
/// Cost: reads the system's clock, in which gRPC takes deadlines; it is on a monotonic one from there on.
[[nodiscard]] inline bool set_deadline(grpc::ClientContext& context, const attempt& a) {
  const duration left = a.time_left();
  if (left == duration::infinite()) return true;
  const duration given = left - left / 100 - std::chrono::milliseconds(2);
  if (given <= duration::zero()) return false;
  const auto now = std::chrono::system_clock::now();
  const auto longest = std::chrono::system_clock::time_point::max() - now;
  context.set_deadline(
      now +
      std::min(longest, std::chrono::duration_cast<std::chrono::system_clock::duration>(given.to_chrono())));
  return true;
}

/// When the caller of a handler stops waiting, on `steady_clock`: for the `call_options::deadline` of what
/// the handler calls; `never()` if the caller said nothing.
inline instant deadline_of(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return instant::never();
  return steady_clock::now() + duration(deadline - std::chrono::system_clock::now());
}

namespace detail {

inline const propagator& grpc_context() {
  static const propagator p;
  return p;
}

}  // namespace detail

/// Adds the priority and the level of service of the attempt's call to its metadata, where they are not 0:
/// under the names of `context_headers`. `grpc_call` does so for each attempt.
inline void set_context(grpc::ClientContext& context, const attempt& a) {
  detail::grpc_context().write_context(a, [&](std::string_view name, std::string_view value) {
    context.AddMetadata(std::string(name), std::string(value));
  });
}

/// What the caller of a handler has said, for the `call_options` of what the handler calls: `deadline_of`,
/// the priority, capped at `priority_max`, and the level of service. Errors: as `propagator::read`.
inline inherited inherited_from(const grpc::ServerContextBase& context,
                                int priority_max = std::numeric_limits<int>::max()) {
  inherited in{.deadline = deadline_of(context)};
  const auto& metadata = context.client_metadata();
  detail::grpc_context().read_context(
      [&](std::string_view name) -> std::optional<std::string_view> {
        const auto found = metadata.find(grpc::string_ref(name.data(), name.size()));
        if (found == metadata.end()) return std::nullopt;
        return detail::view_of(found->second);
      },
      in);
  if (in.priority) in.priority = std::min(*in.priority, priority_max);
  return in;
}

namespace detail {

/// One attempt. Held by gRPC's callback, and by whoever is just cancelling it.
template <class Response>
class grpc_attempt : public std::enable_shared_from_this<grpc_attempt<Response>> {
 public:
  using result = absl::StatusOr<Response>;

  grpc::ClientContext context;
  Response response;

  /// Before it is sent: gRPC may call back before the sending returns. What is cancelled before that ends as
  /// cancelled.
  void expect(completion<result> done, std::stop_token stop) {
    done_.emplace(std::move(done));
    cancel_.emplace(std::move(stop), canceller{this});
  }

  /// gRPC is through with it. What belongs to the call goes first: nothing of it is left when the attempt is
  /// over.
  static void finish(std::shared_ptr<grpc_attempt> self, const grpc::Status& s) {
    // Waits while another thread cancels; that waits for nobody.
    self->cancel_.reset();
    completion<result> done = *std::move(self->done_);
    result r = s.ok() ? result(std::move(self->response)) : result(from_grpc(s, self->context));
    self.reset();
    done(std::move(r));
  }

 private:
  struct canceller {
    grpc_attempt* self;
    void operator()() const noexcept {
      // The call may end while it is being cancelled, on this thread even.
      const std::shared_ptr<grpc_attempt> kept = self->shared_from_this();
      kept->context.TryCancel();
    }
  };

  std::optional<completion<result>> done_;
  std::optional<std::stop_callback<canceller>> cancel_;
};

/// The callback form of a unary method of a generated stub, as opposed to the reactor form of the same name.
template <class Async, class Request, class Response>
using grpc_method = void (Async::*)(grpc::ClientContext*, const Request*, Response*,
                                    std::function<void(grpc::Status)>);

template <class Async, class Request, class Response, class Prepare>
class grpc_operation {
 public:
  using result = absl::StatusOr<Response>;

  grpc_operation(Async* async, grpc_method<Async, Request, Response> method, Request request, Prepare prepare)
      : async_(async), method_(method), request_(std::move(request)), prepare_(std::move(prepare)) {}

  void operator()(attempt a, completion<result> done) {
    auto call = std::make_shared<grpc_attempt<Response>>();
    if (!set_deadline(call->context, a))
      return done(outcome_traits<result>::reject(no_time_left(a), nullptr));
    set_context(call->context, a);
    prepare_(call->context, a);
    grpc_attempt<Response>& sent = *call;
    sent.expect(std::move(done), a.stop_token());
    // From here on it may have ended, and the operation may be gone.
    (async_->*method_)(&sent.context, &request_, &sent.response,
                       [call = std::move(call)](const grpc::Status& s) mutable {
                         grpc_attempt<Response>::finish(std::move(call), s);
                       });
  }

 private:
  Async* async_;
  grpc_method<Async, Request, Response> method_;
  Request request_;
  Prepare prepare_;
};

}  // namespace detail

/// An operation for `pipeline.start` and `pipeline.async` that calls a unary method: its R is
/// `absl::StatusOr<Response>`.
///
///     seawall::idempotent(seawall::grpc_call(
///         stub->async(), &quotes::Quotes::StubInterface::async_interface::Get, request))
///
/// The stub outlives the call and its attempts; everything else is kept until gRPC has called back.
/// `prepare(context, attempt)` is called before each attempt is sent, for metadata and credentials: an
/// idempotency key, an attribute of the call.
/// Errors: `from_grpc`, with the server's wish. An attempt without time left is not sent.
/// Thread safety: gRPC calls back on threads of its own; the call goes on on its scheduler.
/// Cancellation: what is given up (time-out, loser, caller gone) is cancelled with `TryCancel`, and the
/// server sees it.
/// Cost: two allocations an attempt, besides gRPC's; copies the request once.
template <class Async, class Request, class Response, class Prepare>
  requires std::invocable<Prepare&, grpc::ClientContext&, const attempt&>
auto grpc_call(std::type_identity_t<Async>* async, detail::grpc_method<Async, Request, Response> method,
               std::type_identity_t<Request> request, Prepare prepare) {
  return detail::grpc_operation<Async, Request, Response, Prepare>(async, method, std::move(request),
                                                                   std::move(prepare));
}
template <class Async, class Request, class Response>
auto grpc_call(std::type_identity_t<Async>* async, detail::grpc_method<Async, Request, Response> method,
               std::type_identity_t<Request> request) {
  return grpc_call(async, method, std::move(request), [](grpc::ClientContext&, const attempt&) {});
}

}  // namespace seawall

#endif  // SEAWALL_ADAPT_GRPC_HPP
