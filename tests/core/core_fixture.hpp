// One device and what its upstream has.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/core/device.hpp"

namespace meterd::testing {

class CoreTest : public ::testing::Test {
 protected:
  CoreTest() : device(small_config(directory.path())) { device.start(); }

  // The sum that the upstream has for the item price.
  Quantity billed(const std::string& item) const {
    Quantity sum;
    for (const auto& [id, record] : device.billing.records)
      if (record.item_price == item) sum += *Quantity::parse(record.quantity);
    return sum;
  }
  void restart() {
    device.crash();
    device.start();
  }
  void expect_balanced() {
    EXPECT_THAT(device.verify().problems, ::testing::IsEmpty());
    EXPECT_EQ(device.core->committer().stats().conservation_errors, 0U);
  }

  TempDirectory directory;
  Device device;
};

}  // namespace meterd::testing
