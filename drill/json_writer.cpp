// SPDX-License-Identifier: Apache-2.0
#include "json_writer.hpp"

#include <cmath>

#include <fmt/format.h>

namespace drill {

json_writer& json_writer::key(std::string_view name) {
  value(name);
  text_ += ':';
  first_ = true;
  return *this;
}

// Angle brackets are escaped too: the text also stands inside an HTML script element.
void json_writer::value(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20 || c == '<' || c == '>') {
      quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      quoted += c;
    }
  }
  plain(quoted + '"');
}

void json_writer::value(bool b) { plain(b ? "true" : "false"); }

void json_writer::value(double number) { plain(fmt::format("{}", std::round(number * 1000) / 1000)); }

void json_writer::plain(std::string_view token) {
  if (!first_) text_ += ',';
  first_ = false;
  text_ += token;
}

}  // namespace drill
