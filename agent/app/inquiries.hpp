// What an operator has upstreams asked, each time by a connection of its own: beside the flushers, which go
// on. Loop thread. An inquiry answers after a few seconds, and is asked again until it is done.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/api/doctor.hpp"
#include "agent/app/config.hpp"
#include "agent/app/surroundings.hpp"
#include "agent/flush/compare.hpp"
#include "agent/flush/reconcile.hpp"
#include "agent/journal/committer.hpp"
#include "agent/journal/journal.hpp"

namespace meterd::app {

class Inquiries {
 public:
  // The configuration and the context are the core's, whatever they are when an inquiry begins.
  struct Dependencies {
    const Config& config;
    const std::shared_ptr<const flush::SealContext>& context;
    const journal::Journal& journal;
    journal::Committer& committer;
    const Surroundings& around;
    std::function<void()> wake_deliveries;
    std::function<bool()> is_short_of_room;
  };
  explicit Inquiries(Dependencies dependencies) : deps_(std::move(dependencies)) {}

  // Asks the upstreams that are held, or the one of that name, what they have (flush/reconcile.hpp), for
  // about as long as given; `by` is who wants it. Code::retry while another is under way, Code::rejected for
  // an unknown name.
  boost::asio::awaitable<Result<std::vector<flush::Reconciled>>> reconcile(std::optional<UpstreamName> only,
                                                                           std::string by,
                                                                           Milliseconds at_most);

  // Compares what the upstream has with what was delivered (flush/compare.hpp), for about as long as given:
  // from the beginning if `run` is 0, else on from where that run was. Code::rejected for an unknown name or
  // run: another one has begun since, or the configuration was reloaded.
  boost::asio::awaitable<Result<flush::Compared>> compare(UpstreamName upstream, std::uint64_t run,
                                                          Milliseconds at_most);

  // The document that the upstream prints of an invoice: a PDF. Code::rejected with the upstream's reason, or
  // for an unknown name; Code::retry if it could not be had now.
  boost::asio::awaitable<Result<std::string>> statement(UpstreamName upstream, std::string invoice);

  // How each configured upstream is found now, and what its limits come to. After `at_most` no other is
  // asked.
  boost::asio::awaitable<Result<std::vector<api::ExaminedUpstream>>> examine(Milliseconds at_most);

  void stop();  // those under way end soon, and none begins

 private:
  Result<UpstreamConfig> configured(const UpstreamName& name) const;
  std::unique_ptr<upstream::HttpClient> client_for(const UpstreamConfig& upstream) const;
  boost::asio::awaitable<Result<std::vector<api::ExaminedUpstream>>> examine_each(
      Config config, std::shared_ptr<const flush::SealContext> context, BootTime until);
  boost::asio::awaitable<Result<journal::Lifetimes>> read_all_lifetimes(UpstreamName upstream);
  boost::asio::awaitable<Result<std::string>> download(std::string url, bool may_be_plain);

  Dependencies deps_;
  flush::Reconciler* reconciler_ = nullptr;  // at work, in a coroutine that owns it
  std::shared_ptr<flush::Comparer> comparer_;
  UpstreamName compared_;                                    // what comparer_ compares
  std::shared_ptr<const flush::SealContext> compared_with_;  // the context that it began with
  std::uint64_t run_ = 0;
  bool comparing_ = false;
  std::shared_ptr<upstream::HttpClient> printing_;
  std::shared_ptr<upstream::HttpClient> examining_;
  bool is_examining_ = false;
  bool stopping_ = false;
};

}  // namespace meterd::app
