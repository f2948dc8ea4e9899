// SPDX-License-Identifier: LGPL-2.1-or-later
#include "element_under_test.h"

#include <algorithm>
#include <regex>
#include <string_view>

namespace dispatch::test {

namespace {

constexpr std::string_view kOption = "--element=";

std::string& element() {
  static std::string name = "workerpool";
  return name;
}

}  // namespace

const std::string& element_under_test() { return element(); }

bool has_threads() { return element_under_test() != "shmdispatch"; }

bool chooses_levels() { return element_under_test() == "adaptiveskip"; }

std::string in_its_words(const std::string& text) {
  if (!chooses_levels()) return text;
  return std::regex_replace(text, std::regex("workers"), "helpers");
}

std::string under_test(const std::string& properties) {
  if (chooses_levels())
    return element_under_test() + " " + in_its_words(properties);
  constexpr std::string_view kMax = "max-workers=";
  std::string fixed;
  const std::size_t place = properties.find(kMax);
  if (place != std::string::npos &&
      properties.find("min-workers=") == std::string::npos) {
    const unsigned long number =
        std::stoul(properties.substr(place + kMax.size()));
    fixed = "min-workers=" + std::to_string(std::max(1UL, number)) + " ";
  }
  return element_under_test() + " " + fixed + properties;
}

void read_element_under_test(int& argc, char** argv) {
  const auto is_option = [](std::string_view argument) {
    return argument.starts_with(kOption);
  };
  char** const end = argv + argc;
  char** const found = std::find_if(argv, end, is_option);
  if (found == end) return;
  element() = *found + kOption.size();
  std::rotate(found, found + 1, end);
  --argc;
}

}  // namespace dispatch::test
