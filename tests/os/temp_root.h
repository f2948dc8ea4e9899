// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A folder with a /proc and a /sys of its own.
//
// For: testing what reads those of the machine. Thread: confined.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace dispatch::os {

class TempRoot {
 public:
  TempRoot() {
    std::string name = testing::TempDir() + "dispatch-root-XXXXXX";
    if (mkdtemp(name.data()) == nullptr)
      throw std::filesystem::filesystem_error(
          "mkdtemp", name, std::error_code(errno, std::generic_category()));
    path_ = name;
  }
  ~TempRoot() { std::filesystem::remove_all(path_); }
  TempRoot(const TempRoot&) = delete;
  TempRoot& operator=(const TempRoot&) = delete;

  void write(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = path_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace dispatch::os
