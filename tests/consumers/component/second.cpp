// SPDX-License-Identifier: Apache-2.0
#include "net.hpp"

net::io_context& context_of_the_second_unit() {
  static net::io_context context;
  return context;
}
