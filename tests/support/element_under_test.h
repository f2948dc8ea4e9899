// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which element this run of a test program is about.
//
// All elements that run a stage keep one contract, and the same tests ask each
// of them for it: the programs take `--element=NAME`, and each test() in
// meson.build names one. Without it they test workerpool.
//
// For: tests that hold for all of them, and saying where one does not. Not
// for: what only one element has; that is in a file of its own.
// Thread: thread-safe once main() has called read_element_under_test().
#pragma once

#include <string>

namespace dispatch::test {

// "workerpool"
const std::string& element_under_test();
// Whether its workers are threads of this process, or processes.
bool has_threads();
// Whether it may give a frame less than the full stage, and has one worker, in
// the streaming thread, where frames have no due times.
bool chooses_levels();
// Text for a launch line, with the properties of workerpool: the element with
// these properties. One that names max-workers, and no min-workers, has so many
// from the start: what is tested with several workers does not depend on when
// they come.
std::string under_test(const std::string& properties);
// The same text about workerpool in the words of the element under test, which
// may call its workers helpers.
std::string in_its_words(const std::string& text);

// For main(): takes the option out of the arguments.
void read_element_under_test(int& argc, char** argv);

}  // namespace dispatch::test

// At the beginning of a test that is true of workers that are threads, and not
// of processes, for `reason`.
#define ONLY_THREADS(reason)          \
  if (!dispatch::test::has_threads()) \
  GTEST_SKIP() << "only with threads: " reason

// At the beginning of a test that is not true of an element that chooses
// levels, for `reason`.
#define NOT_WITH_LEVELS(reason)         \
  if (dispatch::test::chooses_levels()) \
  GTEST_SKIP() << "not where levels are chosen: " reason
