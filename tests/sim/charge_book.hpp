// What an upstream without ids (Twilio) billed, beside the device's books. Each request is noted before its
// first byte leaves, with the usages that the journal has on their way, so that what the vendor bills by
// request and item is known by usage: a usage is billed once at most, and not even sent again until somebody
// knows or has decided. Over all, by place and exactly:
//
//   billed + not billed, in the outbox or withdrawn = (accepted - open) * unit price - carry
//
// What a declared policy may do more (resend: once more; assume-delivered: end what is not billed) is counted
// by itself.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/app/config.hpp"
#include "agent/journal/read.hpp"
#include "tests/sim/machine.hpp"
#include "tests/sim/oracle.hpp"
#include "tests/sim/twilio_model.hpp"

namespace meterd::sim {

class ChargeBook {
 public:
  ChargeBook(const app::Config& config, const TwilioModel& model);

  // The request is about to leave.
  void sent(std::uint64_t exchange, const upstream::HttpRequest& request, Machine& machine);
  // It has ended, and the device knows how (network.hpp).
  void known(std::uint64_t exchange);
  // By an operator, who may have it sent again.
  void decided(const UsageId& id);
  // Takes what was billed since, and all problems found since.
  std::vector<std::string> look();
  bool is_billed(const UsageId& id);  // by now

  // At any moment between two handlers.
  struct Finding {
    std::string what;
    Quantity short_by, over_by;  // of the bill
  };
  std::vector<Finding> compare(Machine& machine);

  // By day, as the device's books have it: an upstream without dates has no other.
  std::vector<BilledRecord> accepted(const journal::Journal& journal) const;

  struct Sums {
    std::uint64_t usages_sent = 0, usages_billed = 0, billed_twice = 0, seen_in_doubt = 0;
    std::uint64_t sent_twice_as_declared = 0, given_up_as_declared = 0, withdrawn = 0;
    // As of the last comparison, and those of them that are billed.
    std::uint64_t still_in_doubt = 0, still_in_doubt_and_billed = 0;
  };
  Sums sums() const;

 private:
  using Place = std::pair<std::string, std::string>;  // installation and billing sid; Preview: no sid
  struct Row {
    Place place;
    Quantity amount;
    std::size_t times = 0;
    std::size_t may_be = 1;  // times
  };
  struct Side {                            // of one place
    Quantity due, billed, open, given_up;  // withdrawn too
  };
  Place place_of(const meter::SeriesKey& series) const;
  void take_bill();
  void note(const journal::StoredUsage& stored, std::uint64_t exchange);
  void add_books(const journal::Journal& journal, std::map<Place, Side>& sides,
                 std::vector<Finding>& out) const;
  void add_outbox(Machine& machine, std::map<Place, Side>& sides, std::set<std::string>& listed);
  void add_given_up(const journal::Journal& journal, std::map<Place, Side>& sides);
  void add_bill(const std::set<std::string>& listed, std::map<Place, Side>& sides,
                std::vector<Finding>& out) const;

  UpstreamName upstream_;
  bool bills_money_;
  std::string policy_;
  std::map<std::string, Quantity> prices_;  // by billing sid
  const TwilioModel& model_;
  std::size_t taken_ = 0;                                       // of the model's bill
  std::map<std::string, Row> rows_;                             // by usage
  std::map<std::uint64_t, std::vector<std::string>> requests_;  // usages by position, by exchange
  std::set<std::string> undecided_;  // sent, or about to be, and nobody knows whether it arrived
  std::set<std::string> decided_;    // since, and not sent yet
  std::set<std::string> seen_in_doubt_, given_up_, withdrawn_;
  std::uint64_t still_in_doubt_ = 0, still_in_doubt_and_billed_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace meterd::sim
