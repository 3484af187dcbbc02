// The built meterctl against a scripted daemon.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/ctl/fake_daemon.hpp"
#include "tests/ctl/program.hpp"

namespace meterd::test {

class MeterctlTest : public ::testing::Test {
 protected:
  ~MeterctlTest() override { std::filesystem::remove_all(directory_); }

  Finished run(std::deque<FakeDaemon::Reply> script, std::vector<std::string> arguments) {
    FakeDaemon daemon(std::move(script));
    arguments.insert(arguments.begin(), {METERD_CTL, "--socket", daemon.socket(), "--timeout", "2s"});
    auto finished = run_program(arguments);
    requests_ = daemon.requests();
    return finished;
  }
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::filesystem::path directory_ = make_socket_directory();
  std::vector<std::string> requests_;  // of the last run
};

}  // namespace meterd::test
