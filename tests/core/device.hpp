// A device in a test: the whole core on one thread under a virtual clock, with a real journal in a temporary
// directory and an upstream that is a page of code. It can be restarted and "crashed" (dropped without a
// polite end).
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/app/core.hpp"
#include "agent/base/text.hpp"
#include "platform/fake/clock.hpp"
#include "platform/fake/process.hpp"
#include "platform/modem_messages.hpp"
#include "tests/support/surroundings.hpp"

namespace meterd::testing {

// The upstream's side: records by id, one per (subscription, item price, usage_date). Outlives the device.
struct Billing {
  struct Record {
    std::string subscription, item_price, usage_date, quantity;
    std::string invoice = {}, line_item = {};
  };
  std::map<std::string, Record> records;
  std::vector<std::string> bodies;        // of creates, as they arrived
  std::vector<std::string> asked;         // the targets of everything that creates and deletes nothing
  std::vector<std::string> deletes;       // the idempotency key and the body of each, as they arrived
  std::deque<upstream::Exchange> script;  // answers that come first, in order; nothing is applied for them
  std::string poisoned;                   // creates of this subscription give a 500
  bool apply_then_lose = false;           // the next create is applied and its answer lost
  std::set<std::string> unlisted;         // ids that lists leave out
  std::set<std::string> without_invoice;  // ids that lists have from before they were invoiced
  std::string unreadable;                 // lists of this subscription have usages without a date
  std::size_t lists = 0;                  // answered; two usages a page
  std::deque<upstream::Exchange>
      downloads;                            // answers of whatever places documents are fetched from, in order
  std::vector<std::string> fetched;         // their URLs, with "credentials " before one that was given some
  std::function<void()> meanwhile = [] {};  // called in each exchange: what happens while it lasts

  upstream::Exchange answer(const upstream::HttpRequest& request);

 private:
  upstream::Exchange create(const upstream::HttpRequest& request, const std::string& subscription);
  upstream::Exchange remove(const upstream::HttpRequest& request);
  upstream::Exchange list(const upstream::HttpRequest& request);
};

// What the tests configure: one Chargebee upstream, a meter for sms.sent and one for data.bytes.
app::Config small_config(const std::string& directory);

class Device {
 public:
  explicit Device(app::Config config);
  ~Device();

  void start();
  void crash();      // everything in memory is gone
  bool shut_down();  // the polite end

  void advance(Milliseconds by) { clock->advance(by); }
  ingest::Batcher::Counted report(const std::string& event, const std::string& subscription,
                                  const std::string& quantity, const std::string& id = "");
  // Commits what is open and returns the commit's status.
  Status commit();
  void fill_journal();  // with junk, until nothing more fits
  api::Status status();
  journal::CheckReport verify();
  std::vector<journal::StoredUsage> outbox();
  std::vector<journal::BalanceRow> balances();
  Status flush(bool seal_now);
  Status date(std::uint32_t boot, UsageDay day);  // as an operator
  // meterctl reconcile: what became of the one upstream.
  Result<flush::Reconciled> reconcile();
  Result<std::vector<api::ExaminedUpstream>> examine(
      Milliseconds at_most = Milliseconds(1'000));            // meterctl doctor
  Result<std::string> statement(const std::string& invoice);  // meterctl statement --upstream
  // meterctl reconcile's second half, for as long as given.
  Result<flush::Compared> compare(std::uint64_t run = 0, Milliseconds at_most = Milliseconds(3'000));
  void back_up(
      const std::string& directory) const;  // its journal, as meterctl backup has it, becomes a journal there
  Status reload_both(const app::Config& first, const app::Config& second);  // without a pause between them
  Status reload(const app::Config& next);  // as SIGHUP; `config` stays what a restart would read

  boost::asio::io_context* journal_thread = nullptr;  // with one, a commit ends when the test runs it
  app::Config config;
  Billing billing;
  FakeLinks links;
  platform::MakeModemMessages make_modem_messages;
  QuietRandom random;
  std::vector<std::string> clients;  // the hosts of the connections that were made
  platform::FakeProcess process;
  LoggedLines log;
  std::unique_ptr<boost::asio::io_context> loop;
  std::unique_ptr<platform::FakeClock> clock;
  std::unique_ptr<journal::Journal> journal;
  std::unique_ptr<app::Core> core;

 private:
  AnyDisk disk_;
};

}  // namespace meterd::testing
