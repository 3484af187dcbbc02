// An upstream's API as pure functions on values: encode a request, and read what an answer means. One folder
// per vendor implements it; the flusher reads only this and the traits.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/meter/usage.hpp"
#include "agent/upstream/http.hpp"

namespace meterd::upstream {

// What the flusher and the planner may rely on.
struct Traits {
  bool idempotent = false;                 // the same request may be sent again after an unknown outcome
  std::optional<Seconds> key_window = {};  // how long it knows a request by its key; without one, for ever
  bool read_back = false;                  // a usage can be looked up by our id
  std::optional<Seconds> latest_age = {};  // how old a usage may be when it arrives; without one, any
  std::uint32_t lifetime_limit = 0;        // usages per subscription for ever; 0: none known
  bool local = false;          // it is this journal itself: there is nobody to bill anything twice
  std::size_t batch = 1;       // usages of one subscription that a request may carry
  bool bills_money = false;    // a usage needs a charge, or a quantity that is an amount
  bool takes_credits = false;  // negative quantities
  bool deletes = true;         // a usage can be taken back
  bool keeps_dates = true;     // else it bills on arrival, and the usage day is known here only
  bool lists = false;          // a subscription's usages can be listed, with the invoices that they are on
  bool statements = false;     // it prints an invoice's usages as a document
};

// The closed set of what an answer can mean (spec, delivery rules).
enum class Outcome : std::uint8_t {
  accepted,      // the upstream's proof of delivery
  duplicate,     // it says that it has this usage already, or (`retry_after`) another request with its key
  throttled,     // not processed; wait `retry_after`, else about a minute
  unavailable,   // nothing learnt; try again later
  rejected,      // refused for good: this usage
  unauthorised,  // refused: our credentials or the site; nothing is wrong with the usage
  in_doubt,      // it may have been applied and neither a repeat nor a look can tell
};

std::string_view name_of(Outcome outcome);

struct Verdict {
  Outcome outcome = Outcome::unavailable;
  std::optional<Milliseconds> retry_after;  // the upstream's own word or rule, relative to its answer
  std::string detail;                       // one line for the operator: status and the vendor's code
  std::string receipt;                      // accepted: what proves it (status, resource_version, replayed)
  bool left_out =
      false;  // unavailable: only this usage of the request, and nothing is wrong with the upstream
};

// What a look-up by our id found.
struct ReadBack {
  enum class Found : std::uint8_t { same, different, absent, unknown };
  Found found = Found::unknown;
  Verdict verdict;  // for `same` the receipt; for `unknown` why (throttled, unavailable, unauthorised)
  // What it has under our id, if that is of our subscription and item price.
  std::optional<Quantity> quantity = {};
  bool invoiced = false;  // that is part of an invoice
};

// A usage as the upstream lists it.
struct ListedUsage {
  UsageId id;
  ItemPriceId item_price;
  std::int64_t usage_date = 0;     // seconds since the epoch
  std::string quantity;            // as it stood there
  std::string invoice, line_item;  // empty: it is on none
};

struct ListPage {
  std::vector<ListedUsage> usages;
  std::string next_offset;  // empty: there is no more
};

// What was asked for, or why not (verdict, never accepted).
template <class Wanted>
struct Answered {
  std::optional<Wanted> wanted;
  Verdict verdict = {};
};

// What a question that bills nothing showed, and what to do about it: for an operator.
struct Diagnosis {
  enum class Finding : std::uint8_t {
    fine,           // it knows us and takes usages
    no_route,       // nobody was reached: no name, no route, no listener
    no_tls,         // somebody was reached whom TLS does not trust
    tls_time,       // because the certificate is not valid at this device's time
    foreign,        // an answer that is not the vendor's: captive portal or proxy?
    bad_key,        // the credentials are refused
    not_allowed,    // they are known and may not do this
    not_enabled,    // the vendor has to turn on what is needed
    wrong_address,  // the vendor's, and not the API or the account that was meant
    unavailable,    // throttled or failing: ask later
  };
  Finding finding = Finding::unavailable;
  std::string detail;     // one line: what was seen
  std::string advice;     // empty if it is fine
  bool is_vendor = true;  // false: nobody answered, or something that may be another's
};

std::string_view name_of(Diagnosis::Finding finding);

// Without a readable answer, or with one that is not in the vendor's form.
Diagnosis diagnose_lost(const TransportError& lost);
Diagnosis diagnose_foreign(const HttpResponse& response);

// Stateless; any thread.
class Upstream {
 public:
  virtual ~Upstream() = default;
  virtual Traits traits() const = 0;
  // The idempotency key is the usage's id. Deterministic: the same usage gives the same bytes.
  virtual HttpRequest encode_create(const meter::Usage& usage) const = 0;
  virtual HttpRequest encode_retrieve(const meter::Usage& usage) const = 0;
  // Whether it is a request that this vendor's encoders make: one that was stored may be another's.
  virtual bool made(const HttpRequest& request) const = 0;
  // Only with traits().batch > 1: what creates all usages of these creates, which are of one subscription.
  virtual HttpRequest join(const std::vector<HttpRequest>& creates) const;
  // One verdict for each usage, in the order of the request.
  virtual std::vector<Verdict> judge_batch(const std::vector<meter::Usage>& usages,
                                           const Exchange& exchange) const;
  // Asks to delete the usage of that id. `key`: the deletion's own idempotency key.
  virtual HttpRequest encode_delete(const meter::Usage& usage, const std::string& key) const = 0;
  virtual Verdict judge_create(const meter::Usage& usage, const Exchange& exchange) const = 0;
  virtual ReadBack judge_retrieve(const meter::Usage& usage, const Exchange& exchange) const = 0;
  // Accepted: it is not there any more, or never was. `usage` has its id and series.
  virtual Verdict judge_delete(const meter::Usage& usage, const Exchange& exchange) const = 0;

  // A question that bills nothing and needs what a create needs. `subscription`: one that there is; empty:
  // none is known.
  virtual HttpRequest encode_probe(const SubscriptionId& subscription) const = 0;
  virtual Diagnosis judge_probe(const SubscriptionId& subscription, const Exchange& exchange) const = 0;

  // Only with traits().lists: a page of the subscription's usages, by usage_date, all within one exchange.
  // The offset is the page's before; empty: the first page.
  virtual HttpRequest encode_list(const SubscriptionId& subscription, const std::string& offset) const;
  virtual Answered<ListPage> judge_list(const SubscriptionId& subscription, const Exchange& exchange) const;
  // Only with traits().statements: the URL of the document, which is fetched without our credentials.
  virtual HttpRequest encode_statement(const std::string& invoice) const;
  virtual Answered<std::string> judge_statement(const Exchange& exchange) const;
};

}  // namespace meterd::upstream
