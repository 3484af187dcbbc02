// An original, and a copy of its journal that takes over where it is.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/flush/reconcile.hpp"
#include "agent/journal/lock.hpp"
#include "tests/core/core_fixture.hpp"

namespace meterd::testing {

// `device` is the original; the copy is another device with the same configuration, upstream and time.
class CopyTest : public CoreTest {
 protected:
  void count(Device& at, const std::string& quantity) {
    ASSERT_FALSE(at.report("sms.sent", "sub_1", quantity).refusal);
    ASSERT_TRUE(at.commit());
  }
  // The upstream takes nothing; what is looked for there is found.
  void refuse_creates(bool refuse) { device.billing.poisoned = refuse ? "sub_1" : ""; }
  void back_up() { device.back_up(copy_path()); }
  std::string copy_path() const { return other_directory_.path() + "/copy"; }

  // The copy takes over where the original is now, or then.
  Device& start_copy(std::optional<WallTime> then = std::nullopt) {
    copy_ = std::make_unique<Device>(small_config(copy_path()));
    copy_->billing = device.billing;
    copy_->clock->set_wall(then.value_or(device.clock->wall().time));
    copy_->clock->set_boot(device.clock->boot());
    copy_->start();
    return *copy_;
  }
  Quantity billed_by(const Device& at) const {
    Quantity sum;
    for (const auto& [id, record] : at.billing.records) sum += *Quantity::parse(record.quantity);
    return sum;
  }
  std::vector<std::string> states(Device& at) {
    std::vector<std::string> out;
    for (const auto& stored : at.outbox())
      out.emplace_back(journal::name_of(journal::state_of(stored.record)));
    return out;
  }
  void expect_sound(Device& at) {
    EXPECT_THAT(at.verify().problems, ::testing::IsEmpty());
    EXPECT_EQ(at.core->committer().stats().conservation_errors, 0U);
  }
  static boost::asio::awaitable<void> reconciled(flush::Reconciler& by, bool& held, std::size_t& in_doubt) {
    auto done = co_await by.run(Milliseconds(3'000));
    if (!done) co_return;
    held = done->held;
    in_doubt = done->in_doubt;
  }
  static bool is_held(Device& at) { return at.status().upstreams.at(0).held; }

  TempDirectory other_directory_;
  std::unique_ptr<Device> copy_;
};

}  // namespace meterd::testing
