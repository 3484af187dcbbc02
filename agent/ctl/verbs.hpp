// meterctl's verbs: one request to the daemon each, its answer to `out`, what went wrong and what to do about
// it to `err`. The exit code is the verb's result for a script.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "agent/ctl/client.hpp"

namespace meterd::ctl {

enum class Exit : int {
  fine = 0,
  failed = 1,       // the request failed or was refused
  usage = 2,        // the command line is wrong
  unreachable = 3,  // nobody answers at the socket, or not in time
  attention = 4,    // it worked, and an operator must look (status, outbox, verify)
};

struct Session {
  Daemon daemon;
  bool json = false;  // print the daemon's JSON instead of text
  std::ostream& out;
  std::ostream& err;
};

Exit status(Session& session);
Exit buckets(Session& session, bool balances);
Exit outbox(Session& session, bool in_doubt);  // only those
Exit flush(Session& session, bool seal_now);
Exit verify(Session& session);
Exit doctor(Session& session);  // asks the upstreams too
Exit audit(Session& session);

// The boot and the day go to the daemon as they are given; it refuses what they may not be.
struct Dating {
  std::string boot, day;
};
Exit date(Session& session, const Dating& dating);

// Until the upstream, or every one, is reconciled and compared, or cannot be for now. Attention: one is still
// held, something is parked or in doubt, or what it has differs from what was delivered.
Exit reconcile(Session& session, const std::string& upstream);

// Writes a copy of the journal to `file`, which is replaced once the copy is whole, on the disk and checked.
// `check`: what a copy holds, in words, or why it is none.
using CheckCopy = std::function<Result<std::string>(const std::string& path)>;
// `portable`: in a form that machines of another word size can restore too.
Exit backup(Session& session, const std::string& file, bool portable, const CheckCopy& check);

// Which usages of the collection; what is empty does not restrict them.
struct UsageFilter {
  std::string subscription, item_price, invoice, source;
  std::string from, to;  // usage days in UTC, both included
  std::size_t limit = 100;
};
Exit usages(Session& session, const UsageFilter& filter);

// The rest goes to the daemon as it is given; it refuses what it may not be.
struct InvoiceOrder {
  std::string action;  // open, close, void, delete
  std::string invoice;
  std::string subscription, item_price, until;  // of open and close
};
Exit invoice(Session& session, const InvoiceOrder& order);

// The usages of an invoice, or of the days from..to of the device's time zone, as PDF into `file`.
// How long at least the daemon is waited for where it asks an upstream first, which has its own time to
// answer.
inline constexpr Milliseconds kUpstreamTime{180'000};

struct StatementOrder {
  std::string invoice;
  std::string from, to, subscription;
  std::string upstream;  // that prints it; empty: meterd does
};
Exit statement(Session& session, const StatementOrder& order, const std::string& file);

struct Resolution {
  std::string id, reason;
  bool is_delivered = false, is_not = false;  // one of them
};
Exit resolve(Session& session, const Resolution& resolution);
Exit retry(Session& session, const Resolution& resolution);  // the reason may be empty

struct Withdrawal {
  std::string id, reason;
};
Exit withdraw(Session& session, const Withdrawal& withdrawal);

struct Credit {
  std::string usage, quantity, reason;
  std::string id;  // of the credit; empty: the daemon makes one
};
Exit credit(Session& session, const Credit& credit);

// What the daemon shall count. The rules for the values are the daemon's: it refuses them, with the reason,
// and counts the refusal.
struct Report {
  std::string event;
  std::string subscription;  // empty: the meter fixes it
  std::string quantity = "1";
  std::string id;    // empty: a random one
  std::string time;  // empty: now
  std::string ack = "committed";
  std::string source = "meterctl";
};
// A connection that breaks is tried once more with the same id, so the event cannot count twice.
Exit report(Session& session, Report event);

// Why the daemon refused, in its own words, and the exit code of what could not be done.
std::string reason_in(const Answer& answer);
Exit exit_for(Code code);

// "meterctl: MESSAGE", wrapped.
void complain(std::ostream& err, std::string_view message);

}  // namespace meterd::ctl
