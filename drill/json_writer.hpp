// SPDX-License-Identifier: Apache-2.0
#ifndef SEAWALL_DRILL_JSON_WRITER_HPP
#define SEAWALL_DRILL_JSON_WRITER_HPP

// Writes JSON, from top to bottom, and reads none: too little to depend on a library for.

#include <concepts>
#include <string>
#include <string_view>
#include <utility>

namespace drill {

class json_writer {
 public:
  /// `inside` writes the members or elements.
  template <std::invocable F>
  void object(F&& inside) {
    nest('{', '}', std::forward<F>(inside));
  }
  template <std::invocable F>
  void array(F&& inside) {
    nest('[', ']', std::forward<F>(inside));
  }
  template <class Range, class F>
  void array_of(const Range& range, F&& each) {
    array([&] {
      for (const auto& element : range) each(element);
    });
  }

  /// What is written next is the value of this member.
  json_writer& key(std::string_view name);

  void value(std::string_view text);
  void value(const char* text) { value(std::string_view(text)); }
  void value(bool b);
  void value(double number);  ///< to a thousandth; must be finite
  void value(std::integral auto number) { plain(std::to_string(number)); }

  template <class T>
  void member(std::string_view name, const T& v) {
    key(name).value(v);
  }

  const std::string& text() const { return text_; }

 private:
  template <class F>
  void nest(char open, char close, F&& inside) {
    plain(std::string_view(&open, 1));
    first_ = true;
    std::forward<F>(inside)();
    first_ = false;
    text_ += close;
  }
  void plain(std::string_view token);

  std::string text_;
  bool first_ = true;  ///< nothing is in the innermost object or array yet, or a key waits for its value
};

}  // namespace drill

#endif  // SEAWALL_DRILL_JSON_WRITER_HPP
