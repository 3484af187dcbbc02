// The nftables source on a bench: a kernel that the test sets, a real journal, virtual time.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <utility>

#include "agent/source/nftables/nftables_source.hpp"
#include "platform/fake/nft_tables.hpp"
#include "tests/source/nftables_support.hpp"
#include "tests/source/support.hpp"

namespace meterd::test {

class NoLinks final : public platform::Links {
 public:
  Result<platform::LinkSample> sample(const std::string&) override {
    return Error{Code::rejected, "no link"};
  }
};

class NftablesBench {
 public:
  explicit NftablesBench(source::NftablesRule given, BenchOptions options = {})
      : rule(std::move(given)), bench(std::move(options)) {
    attach();
  }
  ~NftablesBench() { detach(); }
  NftablesBench(const NftablesBench&) = delete;
  NftablesBench& operator=(const NftablesBench&) = delete;

  void interval() { bench.advance(rule.interval); }
  // Its own traffic: bytes in packets of 100.
  void traffic(const std::string& key, std::uint64_t bytes) {
    kernel.count(address(key), bytes, bytes / 100 + 1);
  }
  void restart() {
    detach();
    bench.restart();
    attach();
  }
  void reboot(const std::string& boot) {
    detach();
    bench.reboot(boot);
    attach();
  }
  source::Report report() const { return source_->report(); }
  std::uint64_t gaps() const { return report().gaps.gaps(); }
  journal::Gap last_gap() const {
    const auto gaps = report().gaps;
    return gaps.recent().empty() ? journal::Gap() : *gaps.recent().rbegin();
  }
  source::Stored stored() const { return stored_of(bench, rule.name()); }
  void detach() {
    if (source_) source_->stop();
    source_.reset();
  }
  void attach() {
    auto needs = dependencies_of(bench, links_);
    needs.nft_tables = &kernel;
    source_ = std::make_shared<source::NftablesSource>(rule, needs, stored());
    bench.batcher().set_sources({source_});
    boost::asio::co_spawn(bench.loop(), run(source_), boost::asio::detached);
  }

  source::NftablesRule rule;
  platform::FakeNftTables kernel;
  Bench bench;

 private:
  // Its owner, as the agent's task group is one.
  static boost::asio::awaitable<void> run(std::shared_ptr<source::NftablesSource> source) {
    co_await source->run();
  }

  NoLinks links_;
  std::shared_ptr<source::NftablesSource> source_;
};

}  // namespace meterd::test
