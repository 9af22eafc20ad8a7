// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_ANY_PIPELINE_HPP
#define SEAWALL_ANY_PIPELINE_HPP

// A pipeline whose layers are known at run time: built from configuration, or to give pipelines of several
// kinds one type. The frames are those of the static pipelines, behind virtual functions.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "seawall/adaptive_limit.hpp"
#include "seawall/admission.hpp"
#include "seawall/attempt_timeout.hpp"
#include "seawall/brownout.hpp"
#include "seawall/bulkhead.hpp"
#include "seawall/cache.hpp"
#include "seawall/circuit_breaker.hpp"
#include "seawall/coalesce.hpp"
#include "seawall/deadline.hpp"
#include "seawall/degradation.hpp"
#include "seawall/fallback.hpp"
#include "seawall/feature_gate.hpp"
#include "seawall/frame.hpp"
#include "seawall/hedge.hpp"
#include "seawall/pipeline.hpp"
#include "seawall/rate_limiter.hpp"
#include "seawall/retry.hpp"
#include "seawall/rules.hpp"
#include "seawall/status.hpp"
#include "seawall/throttle.hpp"

namespace seawall {

namespace detail {

class any_frame {
 public:
  any_frame() = default;
  any_frame(const any_frame&) = delete;
  any_frame& operator=(const any_frame&) = delete;
  virtual ~any_frame() = default;

  virtual resolution start(call& c, instant now) = 0;
  virtual resolution on_done(call& c, instant now, attempt_id id, const verdict& v) = 0;
  virtual resolution on_time(call& c, instant now) = 0;
  virtual void cancel(call& c) = 0;
  virtual instant wake_at() const = 0;

 private:
  template <class>
  friend class frame_stack;
  any_frame* made_before_ = nullptr;
};

/// What a frame has inside it when it is not known until run time.
class frame_reference {
 public:
  explicit frame_reference(any_frame* f) noexcept : frame_(f) {}

  resolution start(call& c, instant now) { return frame_->start(c, now); }
  resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
    return frame_->on_done(c, now, id, v);
  }
  resolution on_time(call& c, instant now) { return frame_->on_time(c, now); }
  void cancel(call& c) { frame_->cancel(c); }
  instant wake_at() const { return frame_->wake_at(); }

 private:
  any_frame* frame_;
};

template <class Frame>
class frame_of final : public any_frame {
 public:
  template <class... Args>
  explicit frame_of(Args&&... args) : frame_(std::forward<Args>(args)...) {}

  resolution start(call& c, instant now) override { return frame_.start(c, now); }
  resolution on_done(call& c, instant now, attempt_id id, const verdict& v) override {
    return frame_.on_done(c, now, id, v);
  }
  resolution on_time(call& c, instant now) override { return frame_.on_time(c, now); }
  void cancel(call& c) override { frame_.cancel(c); }
  instant wake_at() const override { return frame_.wake_at(); }

 private:
  Frame frame_;
};

template <class R>
class frame_stack;

/// Makes what a frame has inside it; a hedge asks for it several times.
template <class R>
class inner_maker {
 public:
  inner_maker(frame_stack<R>& stack, std::size_t layer) noexcept : stack_(&stack), layer_(layer) {}
  frame_reference operator()() const { return frame_reference(stack_->make(layer_)); }

 private:
  frame_stack<R>* stack_;
  std::size_t layer_;
};

/// A layer behind virtual functions, for results kept as S.
template <class R>
class any_layer {
 public:
  using S = typename stored_as<R>::type;

  any_layer() = default;
  any_layer(const any_layer&) = delete;
  any_layer& operator=(const any_layer&) = delete;
  virtual ~any_layer() = default;

  virtual layer_kind kind() const noexcept = 0;
  virtual bool overlaps() const noexcept = 0;
  virtual std::size_t inner_frames() const noexcept = 0;
  virtual bool needs_end_time() const noexcept = 0;
  virtual std::size_t frame_size() const noexcept = 0;
  virtual any_frame* make_frame(void* where, std::uint8_t number, inner_maker<R> inner) const = 0;
  virtual std::optional<S> substitute(const attempt& a, const failure_view<S>& failure) const = 0;
  virtual void observe(observation& o, const S& kept) const = 0;
  virtual std::optional<verdict> classify(const S& kept) const = 0;
};

template <class R, class Layer>
class layer_of final : public any_layer<R> {
  using S = typename any_layer<R>::S;
  using frame = frame_of<typename Layer::template frame<frame_reference>>;
  static_assert(alignof(frame) <= alignof(std::max_align_t));

 public:
  explicit layer_of(Layer layer) : layer_(std::move(layer)) {}

  layer_kind kind() const noexcept override { return Layer::kind; }
  bool overlaps() const noexcept override { return Layer::overlaps; }
  std::size_t inner_frames() const noexcept override { return Layer::inner_frames; }
  bool needs_end_time() const noexcept override { return layer_.needs_end_time(); }
  std::size_t frame_size() const noexcept override { return sizeof(frame); }
  any_frame* make_frame(void* where, std::uint8_t number, inner_maker<R> inner) const override {
    return ::new (where) frame(layer_, number, inner);
  }
  std::optional<S> substitute(const attempt& a, const failure_view<S>& failure) const override {
    if constexpr (requires { layer_.template substitute<R, S>(a, failure); }) {
      return stored_as<R>::keep([&]() -> R { return layer_.template substitute<R, S>(a, failure); });
    } else {
      return std::nullopt;
    }
  }
  void observe([[maybe_unused]] observation& o, [[maybe_unused]] const S& kept) const override {
    if constexpr (Layer::observes) layer_.template observe<R, S>(o, kept);
  }
  std::optional<verdict> classify(const S& kept) const override {
    if constexpr (requires { layer_.classify(kept); }) {
      return layer_.classify(kept);
    } else {
      return std::nullopt;
    }
  }

 private:
  Layer layer_;
};

/// The frames of one call in one block: in place for ordinary pipelines, else on the heap.
template <class R>
class frame_stack {
 public:
  using layers = std::vector<std::shared_ptr<const any_layer<R>>>;

  /// `all` outlives this.
  explicit frame_stack(const layers& all, std::size_t bytes) : layers_(all) {
    if (bytes > sizeof(in_place_)) heap_ = std::make_unique<std::byte[]>(bytes);
    free_ = heap_ != nullptr ? heap_.get() : in_place_;
    outermost_ = make(0);
  }
  frame_stack(const frame_stack&) = delete;
  frame_stack& operator=(const frame_stack&) = delete;
  ~frame_stack() {
    while (last_made_ != nullptr) {
      any_frame* const f = std::exchange(last_made_, last_made_->made_before_);
      f->~any_frame();
    }
  }

  static constexpr std::size_t max_layers = 32;
  /// From the inside out: a frame with several inner ones has each of them with all that is further in.
  static std::size_t bytes_for(const layers& all) noexcept {
    std::size_t bytes = rounded(sizeof(frame_of<leaf_frame>));
    for (std::size_t i = all.size(); i > 0; --i) {
      bytes = rounded(all[i - 1]->frame_size()) + all[i - 1]->inner_frames() * bytes;
    }
    return bytes;
  }

  resolution start(call& c, instant now) { return outermost_->start(c, now); }
  resolution on_done(call& c, instant now, attempt_id id, const verdict& v) {
    return outermost_->on_done(c, now, id, v);
  }
  resolution on_time(call& c, instant now) { return outermost_->on_time(c, now); }
  void cancel(call& c) { outermost_->cancel(c); }
  instant wake_at() const { return outermost_->wake_at(); }

 private:
  friend inner_maker<R>;

  static constexpr std::size_t rounded(std::size_t size) noexcept {
    constexpr std::size_t to = alignof(std::max_align_t);
    return (size + to - 1) / to * to;
  }

  // The frame of a layer, from 0, and what it has inside it at once.
  any_frame* make(std::size_t layer) {
    const bool leaf = layer == layers_.size();
    std::byte* const where = free_;
    free_ += rounded(leaf ? sizeof(frame_of<leaf_frame>) : layers_[layer]->frame_size());
    any_frame* const made =
        leaf ? ::new (static_cast<void*>(where)) frame_of<leaf_frame>()
             : layers_[layer]->make_frame(where, static_cast<std::uint8_t>(layer + 1), {*this, layer + 1});
    made->made_before_ = std::exchange(last_made_, made);
    return made;
  }

  const layers& layers_;
  any_frame* outermost_;
  any_frame* last_made_ = nullptr;
  std::byte* free_;
  std::unique_ptr<std::byte[]> heap_;
  alignas(std::max_align_t) std::byte in_place_[1536];
};

}  // namespace detail

namespace detail {

// The layers of policies that pipelines may share, by one name.
inline auto shared_layer(circuit_breaker& p) noexcept { return breaker(p); }
inline auto shared_layer(keyed<circuit_breaker>& p) noexcept { return breaker(p); }
inline auto shared_layer(bulkhead& p) noexcept { return limit_concurrency(p); }
inline auto shared_layer(keyed<bulkhead>& p) noexcept { return limit_concurrency(p); }
inline auto shared_layer(adaptive_limit& p) noexcept { return limit_concurrency(p); }
inline auto shared_layer(keyed<adaptive_limit>& p) noexcept { return limit_concurrency(p); }
inline auto shared_layer(admission& p) noexcept { return admit(p); }
inline auto shared_layer(keyed<admission>& p) noexcept { return admit(p); }
inline auto shared_layer(rate_limiter& p) noexcept { return limit_rate(p); }
inline auto shared_layer(keyed<rate_limiter>& p) noexcept { return limit_rate(p); }
inline auto shared_layer(adaptive_throttle& p) noexcept { return throttle(p); }
inline auto shared_layer(keyed<adaptive_throttle>& p) noexcept { return throttle(p); }
template <class R>
auto shared_layer(cache<R>& p) noexcept {
  return cached(p);
}
template <class R>
auto shared_layer(coalescer<R>& p) noexcept {
  return coalesce(p);
}
inline auto shared_layer(degradation& p) noexcept { return require_writable(p); }
inline auto shared_layer(feature_gate& p) noexcept { return degrade(p); }
inline auto shared_layer(brownout& p) noexcept { return degrade(p); }

template <class Policy>
inline constexpr std::string_view policy_name_of = Policy::policy_name;
template <class Policy>
inline constexpr std::string_view policy_name_of<keyed<Policy>> = Policy::policy_name;

/// Policies that a pipeline keeps alive because they were made for it.
template <class... Policies>
using owned_policies = std::tuple<std::vector<std::shared_ptr<Policies>>...>;

}  // namespace detail

/// A fallback in a configuration: a value, or a function of the error.
template <class R>
struct fallback_config {
  fallback_options options = {};
  std::variant<R,
               std::function<R(const typename detail::error_of<typename detail::stored_as<R>::type>::type&)>>
      source;
};

/// What `any_pipeline<R>::from` builds: layers, outermost first. Where there is shared state, it is either
/// owned by the pipeline (options) or shared with others (a pointer, which must outlive the pipeline).
template <class R>
struct pipeline_config {
  using layer =
      std::variant<deadline_options, retry_options, attempt_timeout_options, hedge_options,
                   fallback_config<R>, circuit_breaker_options, circuit_breaker*, keyed<circuit_breaker>*,  //
                   bulkhead_options, bulkhead*, keyed<bulkhead>*,                                           //
                   adaptive_limit_options, adaptive_limit*, keyed<adaptive_limit>*,                         //
                   admission_options, admission*, keyed<admission>*,                                        //
                   rate_limiter_options, rate_limiter*, keyed<rate_limiter>*,                               //
                   throttle_options, adaptive_throttle*, keyed<adaptive_throttle>*,                         //
                   cache_options<R>, cache<R>*, coalesce_options, coalescer<R>*,                            //
                   degradation*, feature_gate*, brownout*>;  // require_writable, degrade, degrade

  std::string name = {};           ///< for error messages
  std::vector<layer> layers = {};  ///< at most 32
};

/// A pipeline for operations that return R. Operations must be declared idempotent or not, since it may
/// repeat.
///
/// Thread safety: shared objects safe. Copies share the layers.
/// Cost: a virtual call a layer and function more than the static pipeline; no allocation while the frames
/// fit into 1.5 KiB (about ten layers; what is inside a hedge counts four times).
template <class R>
class any_pipeline : public detail::entry_points<any_pipeline<R>> {
  using frames = detail::frame_stack<R>;

 public:
  /// Of every operation.
  using result_type = R;

  static constexpr bool repeats = true;
  static constexpr bool waits = true;
  static constexpr bool observes = true;
  static constexpr bool straight = false;

  /// The same layers as a static pipeline.
  template <class... Layers>
  any_pipeline(const pipeline<Layers...>& p) : events_(p.events()) {
    static_assert(sizeof...(Layers) <= frames::max_layers);
    std::apply([this](const auto&... layer) { (this->add(layer), ...); }, p.layers());
    bytes_ = frames::bytes_for(layers_);
  }

  /// Errors: `absl::StatusCode::kInvalidArgument` names the layer, the field, the value and the range, or the
  /// order rule that is broken.
  static absl::StatusOr<any_pipeline> from(pipeline_config<R> config) {
    any_pipeline p;
    const std::string where = config.name.empty() ? "pipeline" : "pipeline '" + config.name + "'";
    if (config.layers.size() > frames::max_layers) {
      return absl::InvalidArgumentError(where + ": layers has " + std::to_string(config.layers.size()) +
                                        " entries; must be at most " + std::to_string(frames::max_layers));
    }
    for (std::size_t i = 0; i < config.layers.size(); ++i) {
      const auto error =
          std::visit([&p](auto& options) { return p.add_from(std::move(options)); }, config.layers[i]);
      if (error) return absl::InvalidArgumentError(where + ": layers[" + std::to_string(i) + "] " + *error);
    }
    std::vector<layer_kind> kinds;
    for (const auto& l : p.layers_) kinds.push_back(l->kind());
    if (const std::string_view text = broken_rule(kinds); !text.empty()) {
      return absl::InvalidArgumentError(where + ": " + std::string(text));
    }
    p.bytes_ = frames::bytes_for(p.layers_);
    return p;
  }

  any_pipeline listen(listener& events) const {
    any_pipeline copy = *this;
    copy.events_ = &events;
    return copy;
  }

  /// What was made from options, outermost first: `owned<circuit_breaker>()`, `owned<bulkhead>()` and so on.
  template <class Policy>
  const std::vector<std::shared_ptr<Policy>>& owned() const noexcept {
    return std::get<std::vector<std::shared_ptr<Policy>>>(owned_);
  }
  /// The hedge that was made from options, if there is one: for its snapshot, and to reconfigure it.
  const std::optional<hedge_layer>& hedging() const noexcept { return hedge_; }

  // For drivers.

  listener* events() const noexcept { return events_; }
  /// Some layer has several attempts under way at once: a driver that cannot do that rejects every call.
  bool overlapping() const noexcept {
    for (const auto& l : layers_) {
      if (l->overlaps()) return true;
    }
    return false;
  }
  bool needs_end_time() const noexcept {
    for (const auto& l : layers_) {
      if (l->needs_end_time()) return true;
    }
    return false;
  }
  frames make_frame() const { return frames(layers_, bytes_); }

  template <class S>
  [[gnu::always_inline]] verdict classify(const S& kept) const {
    if (!layers_.empty()) {
      if (const auto v = layers_.back()->classify(kept)) return *v;
    }
    return outcome_traits<S>::classify(kept);
  }
  template <class, class S>
  S substitute(std::uint8_t source, const attempt& a, const detail::failure_view<S>& failure) const {
    auto s = layers_[source - 1U]->substitute(a, failure);
    if (!s) std::abort();  // only frames of layers that have a typed side ask for it
    return *std::move(s);
  }
  /// Sources of fallbacks answer at once here, in every driver.
  template <class, class S, class Start>
  void substitute_with(std::uint8_t source, const attempt& a, const detail::failure_view<S>& failure,
                       Start&& start) const {
    start.kept(substitute<R, S>(source, a, failure));
  }
  template <class, class S>
  void observe(observation& o, const S& kept) const {
    layers_[o.source() - 1U]->observe(o, kept);
  }

 private:
  any_pipeline() = default;

  template <class Layer>
  void add(const Layer& layer) {
    layers_.push_back(std::make_shared<detail::layer_of<R, Layer>>(layer));
  }

  template <class Layer, class Options>
  std::optional<std::string> add_valid(Options options) {
    if (const auto error = validate(options)) return error->text(Layer::policy_name);
    add(Layer(std::move(options)));
    return std::nullopt;
  }

  std::optional<std::string> add_from(deadline_options o) { return add_valid<deadline_layer>(std::move(o)); }
  std::optional<std::string> add_from(retry_options o) { return add_valid<retry_layer>(std::move(o)); }
  std::optional<std::string> add_from(attempt_timeout_options o) {
    return add_valid<attempt_timeout_layer>(std::move(o));
  }
  std::optional<std::string> add_from(hedge_options o) {
    if (const auto error = validate(o)) return error->text(hedge_layer::policy_name);
    add(hedge_.emplace(std::move(o)));
    return std::nullopt;
  }
  template <class Policy>
  std::optional<std::string> add_owned(typename Policy::options_type o) {
    if (const auto error = validate(o)) return error->text(Policy::policy_name);
    auto& all = std::get<std::vector<std::shared_ptr<Policy>>>(owned_);
    all.push_back(std::make_shared<Policy>(std::move(o)));
    add(detail::shared_layer(*all.back()));
    return std::nullopt;
  }
  std::optional<std::string> add_from(circuit_breaker_options o) {
    return add_owned<circuit_breaker>(std::move(o));
  }
  std::optional<std::string> add_from(bulkhead_options o) { return add_owned<bulkhead>(std::move(o)); }
  std::optional<std::string> add_from(adaptive_limit_options o) {
    return add_owned<adaptive_limit>(std::move(o));
  }
  std::optional<std::string> add_from(admission_options o) { return add_owned<admission>(std::move(o)); }
  std::optional<std::string> add_from(rate_limiter_options o) {
    return add_owned<rate_limiter>(std::move(o));
  }
  std::optional<std::string> add_from(throttle_options o) {
    return add_owned<adaptive_throttle>(std::move(o));
  }
  std::optional<std::string> add_from(cache_options<R> o) { return add_owned<cache<R>>(std::move(o)); }
  std::optional<std::string> add_from(coalesce_options o) { return add_owned<coalescer<R>>(std::move(o)); }
  template <class Policy>
  std::optional<std::string> add_from(Policy* shared) {
    if (shared == nullptr)
      return std::string(detail::policy_name_of<Policy>) + ": the pointer is null; must point to one";
    add(detail::shared_layer(*shared));
    return std::nullopt;
  }
  std::optional<std::string> add_from(fallback_config<R> f) {
    std::visit([&](auto& source) { add(fallback(std::move(f.options), std::move(source))); }, f.source);
    return std::nullopt;
  }

  typename frames::layers layers_;
  detail::owned_policies<circuit_breaker, bulkhead, adaptive_limit, admission, rate_limiter,
                         adaptive_throttle, cache<R>, coalescer<R>>
      owned_;
  std::optional<hedge_layer> hedge_;
  std::size_t bytes_ = 0;
  listener* events_ = nullptr;
};

}  // namespace seawall

#endif  // SEAWALL_ANY_PIPELINE_HPP
