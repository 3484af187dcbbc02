// Chargebee's Usages API by its rules (seed 002 and the vendor's pages): an idempotency key holds for 30
// minutes and replays the answer, or refuses another body with 422; an id is there once; (subscription, item
// price, usage_date) is there once, by the second or, as some read the vendor, by the day; a subscription
// takes so many usages in its life, deleted ones included; a deleted usage's date is free again; what has
// been invoiced cannot be deleted; a site takes so many requests a minute.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "tests/sim/draws.hpp"
#include "tests/sim/upstream_model.hpp"

namespace meterd::sim {

class ChargebeeModel final : public UpstreamModel {
 public:
  struct Rules {
    bool per_day = false;  // one usage a day instead of one a second
    std::uint64_t lifetime_limit = 5'000;
    std::uint64_t requests_a_minute = 150;
    bool replays_refusals = false;      // whether a 4xx is kept for its key is not documented
    std::int64_t others_percent = 0;    // of creates find their date taken by another device
    bool frees_ids = true;              // a deleted usage's id may come again: not documented
    std::int64_t invoiced_percent = 0;  // of deletions find their usage invoiced
    bool forgets_ids = false;           // negative control: neither id nor key nor date is unique
    bool forgets_deletions = false;     // negative control: says that it deleted, and bills
  };
  ChargebeeModel(const Rules& rules, Draws draws) : rules_(rules), draws_(draws) {}

  upstream::HttpResponse answer(const upstream::HttpRequest& request, const Arrival& arrival) override;
  upstream::HttpResponse internal_error() const override;
  std::vector<BilledRecord> billed() const override;
  std::size_t of_others(const std::string& subscription, const std::string& item_price) const override;
  std::vector<std::string> complaints() const override { return complaints_; }
  void set_credentials_valid(bool valid) override { credentials_valid_ = valid; }
  void set_storm(bool storm, bool with_retry_after) override {
    storm_ = storm;
    retry_after_ = with_retry_after;
  }

 private:
  using Fields = std::map<std::string, std::string>;
  using Date = std::tuple<std::string, std::string, std::int64_t>;  // subscription, item price, second or day
  struct Kept {
    std::string content;
    upstream::HttpResponse answer;
    WallTime at;
  };
  struct Stored {
    BilledRecord record;
    std::string quantity;
    bool of_another = false;
    bool invoiced = false;
  };
  std::optional<upstream::HttpResponse> admit(WallTime now);
  // Once for each idempotency key.
  upstream::HttpResponse change(const upstream::HttpRequest& request, const std::string& subscription,
                                WallTime now);
  upstream::HttpResponse create(const Fields& fields, const std::string& subscription);
  upstream::HttpResponse remove(const Fields& fields, const std::string& subscription);
  void let_another_in(const Fields& fields, const std::string& subscription, const Date& date);
  upstream::HttpResponse retrieve(const std::string& id) const;
  upstream::HttpResponse usage_answer(const Stored& stored) const;
  Date date_of(const BilledRecord& record) const;

  Rules rules_;
  Draws draws_;
  std::map<std::string, Stored> records_;  // by id
  std::set<Date> taken_;
  std::set<std::string> seen_;     // ids that were ever sent here
  std::set<std::string> deleted_;  // ids of usages that were
  std::map<std::string, std::uint64_t> per_subscription_;
  std::map<std::string, Kept> keys_;
  std::deque<WallTime> requests_;
  std::vector<std::string> complaints_;
  bool credentials_valid_ = true;
  bool storm_ = false, retry_after_ = false;
  std::uint64_t version_ = 1'601'708'189'381;
  std::uint64_t doubled_ = 0;
};

}  // namespace meterd::sim
