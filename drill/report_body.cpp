// SPDX-License-Identifier: Apache-2.0
#include "report_page.hpp"

namespace drill {

std::string_view report_body() {
  return R"html(<main>
<h1>seawall drill: one shop, the same faults twice</h1>
<p class="soft" id="what"></p>
<noscript><p>The figures on this page are drawn by its script, and scripts are switched off.</p></noscript>
<div class="tiles" id="tiles"></div>

<h2>Checkouts answered</h2>
<p class="note">Share of the customers who came in each step and got an answer, full or degraded, before
they lost patience. Shaded: a dependency is in trouble, too many come, the storefront hurts itself, or is told
to take no orders; whoever is turned away for that is left out.</p>
<div id="availability"></div>

<h2>What customers got</h2>
<p class="note">Checkouts per second. Degraded: the order was accepted without one or more dependencies.</p>
<div id="outcomes"></div>

<h2>How long they waited</h2>
<p class="note">Logarithmic. Counted from the moment at which a request was to be sent, for those who were
answered or gave up; whoever gave up counts with the whole patience. Gaps: nobody got anything but error
pages.</p>
<div id="latency"></div>

<h2>What the dependencies had to bear</h2>
<p class="note">Attempts per second that the storefront sent, first tries, repeats and probes alike.
Square-root scale, so that a few probes can be told from none. The band under each chart is the state of
seawall's circuit breaker.</p>
<div id="attempts"></div>

<h2>Recommendations, fresh and stale</h2>
<div id="recommendations"></div>

<h2>Four times the load</h2>
<div id="overload"></div>

<h2>Chaos inside</h2>
<div id="chaos"></div>

<h2>Read-only by hand</h2>
<div id="read-only"></div>

<h2>Act by act</h2>
<div class="wide" id="acts"></div>

<h2>Criteria</h2>
<div class="wide" id="criteria"></div>

<h2>How it was measured</h2>
<p>Every figure comes from requests between processes over HTTP on loopback. A storefront calls inventory,
payment and recommendations, one after the other, each a process of its own. The first run calls them with a
plain HTTP client and its five-second time-outs; the second through seawall pipelines with deadline, retry
on a budget, circuit breaker, attempt time-out and fallback, keeps recommendations in a cache, and has a limit with priorities in front of its
render workers: checkout before browsing. Threads, queues, workers and load are the same. A hang is SIGSTOP, a
crash is SIGKILL and a new process on the same port. The workers sleep for as long as a page is to take, so that
four times their capacity is the same on a machine of any speed. In one act the
storefronts hurt themselves: seawall's <code>chaos</code> is the innermost layer of the pipelines for inventory and
recommendations, and stands in front of the same bare calls. In another
one the level of service is set by hand: seawall's <code>require_writable</code> is the outermost layer of a
checkout, and browsing has none; the bare storefront has no such mode. Customers come at a fixed rate however
slow the shop is, and a request that could not even be sent counts as unanswered.</p>
<p>Double charges are counted in the books of the payment process, by order. The rate of attempts at a dead
dependency counts from the first sample (ten a second) that shows its breaker open to the end of the act,
probes included, and is compared with the first act.</p>
</main>
<div id="tip"></div>
)html";
}

}  // namespace drill
