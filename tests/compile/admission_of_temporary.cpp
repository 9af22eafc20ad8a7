// SPDX-License-Identifier: Apache-2.0
// expect: deleted function
#include "seawall/admission.hpp"
#include "seawall/pipeline.hpp"

#ifdef SEAWALL_MISTAKE
const auto calls = seawall::compose(seawall::admit(seawall::admission()));
#else
seawall::admission requests;
const auto calls = seawall::compose(seawall::admit(requests));
#endif
