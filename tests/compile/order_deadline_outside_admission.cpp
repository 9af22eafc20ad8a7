// SPDX-License-Identifier: Apache-2.0
// expect: deadline bounds the whole call and must come before admit, which rejects calls that cannot meet it; for what is inside use attempt_timeout
#include "seawall/admission.hpp"
#include "seawall/deadline.hpp"
#include "seawall/pipeline.hpp"

seawall::admission requests;
const seawall::deadline_options two_seconds{.after = std::chrono::seconds(2)};

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::admit(requests), seawall::deadline(two_seconds));
#else
const auto calls = seawall::compose(seawall::deadline(two_seconds), seawall::admit(requests));
#endif
