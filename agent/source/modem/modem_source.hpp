// Short messages as a source: the seam tells of them, the ledger decides which count, and each window counts
// them with the ledger's record in one transaction. Each source has a connection of its own: there are two at
// most in practice, and so none depends on another's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "agent/source/gaps.hpp"
#include "agent/source/modem/rule.hpp"
#include "agent/source/modem/sms_ledger.hpp"
#include "agent/source/source.hpp"
#include "platform/modem_messages.hpp"

namespace meterd::source {

class ModemSource final : public Source, private platform::ModemWatcher {
 public:
  ModemSource(ModemRule rule, const Dependencies& dependencies, Stored stored);
  std::string name() const override { return rule_.name(); }
  void harvest(ingest::Batcher& batcher, const platform::WallReading& now) override;
  boost::asio::awaitable<void> run() override;
  void stop() override;
  Report report() const override;
  Stored stored() const override;

 private:
  enum class Trouble { none, starting, no_bus, no_manager, no_modem, not_enabled };

  void run_began(const std::string& run) override;
  void listing(const std::vector<std::string>& paths) override;
  void seen(const platform::ModemMessage& message) override;
  void listed(const std::vector<platform::Modem>& modems) override;
  void deleted(const std::string& path) override;
  void missed(bool received) override;
  void no_bus(const std::string& error) override;
  void no_manager() override;

  void enter(Trouble trouble);
  void note_gaps(ingest::Batcher& batcher, const platform::WallReading& now);

  ModemRule rule_;
  Log& log_;
  journal::CounterCursor cursor_;
  Gaps gaps_;
  SmsLedger ledger_;
  std::unique_ptr<platform::ModemMessages> messages_;
  Trouble trouble_ = Trouble::starting;
  std::uint64_t missed_ = 0, missed_unsent_ = 0;  // since the last window
};

}  // namespace meterd::source
