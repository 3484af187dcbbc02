// The seed of a random test: fixed, printed, and replaced by METERD_SEED to replay or to explore.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>

#include "agent/base/text.hpp"

namespace meterd::testing {

// Prints the command that repeats the present test with the seed that it returns.
inline std::uint64_t announced_seed(const char* program, std::uint64_t usual) {
  const char* wanted = std::getenv("METERD_SEED");
  const auto given = wanted == nullptr ? std::nullopt : parse_unsigned(wanted);
  const std::uint64_t seed = given.value_or(usual);
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  std::cout << "seed " << seed << "; replay: METERD_SEED=" << seed << " " << program
            << " --gtest_filter=" << test->test_suite_name() << "." << test->name() << "\n";
  return seed;
}

}  // namespace meterd::testing
