// meterctl's command line: the only file that knows CLI11. Values that are the daemon's to judge pass
// unchecked.
#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>

#include "agent/base/text.hpp"
#include "agent/ctl/offline/verbs.hpp"
#include "agent/ctl/verbs.hpp"

namespace meterd::ctl {
namespace {

// An unset variable of a script, most likely: without it a random id would be made, and a repeat would count
// twice.
const CLI::Validator not_empty(
    [](const std::string& text) { return text.empty() ? "must not be empty" : ""; }, "");

constexpr std::int64_t kTimeoutMaxMs = 3'600'000;

// "200ms", "10s", "2m": a whole number and a unit, at least 1 ms, at most an hour; 0 otherwise.
std::int64_t timeout_ms(std::string_view text) {
  const auto digits = text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
  const auto unit = text.substr(digits.size());
  const auto number = parse_unsigned(digits);
  const std::int64_t factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60'000 : 0;
  if (!number || factor == 0 || *number > static_cast<std::uint64_t>(kTimeoutMaxMs / factor)) return 0;
  return static_cast<std::int64_t>(*number) * factor;
}

struct Options {
  std::string socket = "/run/meterd/api.sock";
  std::string timeout = "10s";
  bool json = false;
  bool balances = false;
  bool seal_now = false;
  bool portable = false;
  bool in_doubt = false;
  Report report;
  Dating dating;
  std::string directory = "/var/lib/meterd";  // of the verbs that work without the daemon
  std::string file;
  UsageFilter usages;
  InvoiceOrder invoice;
  StatementOrder statement;
  Withdrawal withdrawal;
  Credit credit;
  Resolution resolution;
  std::string salvage_into;
  std::string upstream;
};

using Verb = std::function<Exit(Session&)>;

void add_report(CLI::App& app, Options& options, Verb& verb) {
  auto& report = options.report;
  auto* sub = app.add_subcommand("report", "Count an event; exit 0: it is counted, or was already");
  sub->add_option("EVENT", report.event, "The event's name, as in a [[meter]]")->required();
  sub->add_option("--subscription", report.subscription,
                  "The subscription to bill, unless the meter fixes it");
  sub->add_option("--quantity", report.quantity, "A decimal above zero")->capture_default_str();
  sub->add_option("--id", report.id, "An id of your own: an event with the same id counts once")
      ->check(not_empty);
  sub->add_option("--time", report.time, "When it happened: 2026-11-22T01:02:03Z; default: now")
      ->check(not_empty);
  sub->add_option("--ack", report.ack, "received: at once; committed: when it is on disk")
      ->check(CLI::IsMember({"received", "committed"}))
      ->capture_default_str();
  sub->add_option("--source", report.source, "Who reports; ids are remembered per source")
      ->capture_default_str();
  sub->callback(
      [&] { verb = [&](Session& session) { return meterd::ctl::report(session, options.report); }; });
}

void add_verbs(CLI::App& app, Options& options, Verb& verb) {
  const auto add = [&](const char* name, const char* about, Verb run) {
    auto* sub = app.add_subcommand(name, about);
    sub->callback([&verb, run] { verb = run; });
    return sub;
  };
  add("status", "Is it counting, what waits, what is wrong, what to do", status);
  add_report(app, options, verb);
  add("buckets", "The totals that are not sealed yet", [&](Session& session) {
    return buckets(session, options.balances);
  })->add_flag("--balances", options.balances, "Every day instead: what became of what was accepted");
  add("outbox", "The usages that are not delivered yet", [&](Session& session) {
    return outbox(session, options.in_doubt);
  })->add_flag("--in-doubt", options.in_doubt, "Only those that may have been billed, or not");
  add("flush", "Commit what is counted and send now, without backoff", [&](Session& session) {
    return flush(session, options.seal_now);
  })->add_flag("--now", options.seal_now, "Seal the open buckets first");
  auto* date = add("date", "Date what a boot counted that never saw trusted time",
                   [&](Session& session) { return meterd::ctl::date(session, options.dating); });
  date->add_option("BOOT", options.dating.boot, "The boot's number, as in buckets")->required();
  date->add_option("--day", options.dating.day, "The usage day: 2026-11-22")->required();
  add("audit", "What operators and declared policies changed", audit);
  auto* copy = add("backup", "Copy the journal to a file while meterd goes on", [&](Session& session) {
    return backup(session, options.file, options.portable,
                  options.portable ? offline::check_portable : offline::check_copy);
  });
  copy->add_option("FILE", options.file, "Replaced once the copy is whole; keep it on another disk")
      ->check(not_empty)
      ->required();
  copy->add_flag("--portable", options.portable, "For a machine of another architecture too");
  add("reconcile", "Ask the upstreams what they have, and tell differences", [&](Session& session) {
    return reconcile(session, options.upstream);
  })->add_option("UPSTREAM", options.upstream, "Only this one; default: every one");
  add("verify", "Check the whole journal: does everything add up", verify);
  add("doctor", "What is wrong, or will be, and what to do about it", doctor);
}

void add_usages(CLI::App& app, Options& options, Verb& verb) {
  constexpr std::size_t kRowsMax = 10'000;
  auto& filter = options.usages;
  auto* sub = app.add_subcommand("usages", "Single usages: what became of each, and its bill");
  sub->add_option("--subscription", filter.subscription, "Of this subscription")->check(not_empty);
  sub->add_option("--item-price", filter.item_price, "Of this item price")->check(not_empty);
  sub->add_option("--invoice", filter.invoice, "On this invoice")->check(not_empty);
  sub->add_option("--source", filter.source, "api, bulk_operation or admin_console")->check(not_empty);
  sub->add_option("--from", filter.from, "From this day on, in UTC: 2026-11-22")->check(not_empty);
  sub->add_option("--to", filter.to, "Until the end of this day, in UTC")->check(not_empty);
  sub->add_option("--limit", filter.limit, "How many at most")
      ->check([](const std::string& text) {
        const auto number = parse_unsigned(text);
        return number && *number > 0 && *number <= kRowsMax ? "" : "wants a number from 1 to 10000";
      })
      ->capture_default_str();
  sub->callback([&] { verb = [&](Session& session) { return usages(session, options.usages); }; });
}

void add_invoice(CLI::App& app, Options& options, Verb& verb) {
  auto& order = options.invoice;
  auto* sub = app.add_subcommand("invoice", "Bill the usages of a term, where no upstream does");
  sub->add_option("ACTION", order.action, "open, close, void or delete")
      ->check([](const std::string& text) {
        const bool known = text == "open" || text == "close" || text == "void" || text == "delete";
        return known ? "" : "is open, close, void or delete";
      })
      ->required();
  sub->add_option("--invoice", order.invoice, "Its id")->check(not_empty)->required();
  sub->add_option("--subscription", order.subscription, "Whose usages; of open and close")->check(not_empty);
  sub->add_option("--item-price", order.item_price, "Only of this item price; of open and close")
      ->check(not_empty);
  sub->add_option("--until", order.until, "The term's last day, or the instant at which it is over")
      ->check(not_empty);
  sub->callback([&] {
    const bool has_term = order.action == "open" || order.action == "close";
    if (has_term && order.subscription.empty()) throw CLI::RequiredError("--subscription");
    if (has_term && order.until.empty()) throw CLI::RequiredError("--until");
    if (!has_term && !(order.subscription + order.item_price + order.until).empty())
      throw CLI::ValidationError("void and delete take nothing but --invoice");
    verb = [&](Session& session) { return invoice(session, order); };
  });
}

void add_statement(CLI::App& app, Options& options, Verb& verb) {
  auto& order = options.statement;
  auto* sub = app.add_subcommand("statement", "Print the usages of an invoice, or of days, as PDF");
  sub->add_option("FILE", options.file, "Replaced once the document is whole")->check(not_empty)->required();
  auto* of_invoice = sub->add_option("--invoice", order.invoice, "Of this invoice")->check(not_empty);
  auto* from = sub->add_option("--from", order.from, "Or from this day on: 2026-11-22");
  auto* to = sub->add_option("--to", order.to, "Until the end of this day");
  auto* subscription = sub->add_option("--subscription", order.subscription, "Only of this one");
  sub->add_option("--upstream", order.upstream, "The document that this upstream prints of the invoice")
      ->check(not_empty)
      ->needs(of_invoice);
  from->check(not_empty)->needs(to)->excludes(of_invoice);
  to->check(not_empty)->needs(from)->excludes(of_invoice);
  subscription->check(not_empty)->excludes(of_invoice);
  sub->callback([&] {
    if (order.invoice.empty() && order.from.empty())
      throw CLI::RequiredError("--invoice, or --from and --to,");
    verb = [&](Session& session) { return statement(session, order, options.file); };
  });
}

void add_withdraw(CLI::App& app, Options& options, Verb& verb) {
  auto& withdrawal = options.withdrawal;
  auto* sub = app.add_subcommand("withdraw", "Give a usage up for good: it is not billed");
  sub->add_option("ID", withdrawal.id, "The usage's id, as in usages")->check(not_empty)->required();
  sub->add_option("--reason", withdrawal.reason, "Why, for meterctl audit")->check(not_empty)->required();
  sub->callback([&] { verb = [&](Session& session) { return withdraw(session, options.withdrawal); }; });
}

void add_credit(CLI::App& app, Options& options, Verb& verb) {
  auto& credit = options.credit;
  auto* sub = app.add_subcommand("credit", "Give back a part of what a usage charged");
  sub->add_option("ID", credit.usage, "The usage's id, as in usages")->check(not_empty)->required();
  sub->add_option("--quantity", credit.quantity, "How much of it: a decimal above zero")
      ->check(not_empty)
      ->required();
  sub->add_option("--reason", credit.reason, "Why, for meterctl audit")->check(not_empty)->required();
  sub->add_option("--id", credit.id, "An id of your own: the same credit is given once")->check(not_empty);
  sub->callback(
      [&] { verb = [&](Session& session) { return meterd::ctl::credit(session, options.credit); }; });
}

void add_resolve(CLI::App& app, Options& options, Verb& verb) {
  auto& resolution = options.resolution;
  auto* sub = app.add_subcommand("resolve", "Decide of a usage that is in doubt");
  sub->add_option("ID", resolution.id, "The usage's id, as in outbox")->check(not_empty)->required();
  auto* delivered = sub->add_flag("--delivered", resolution.is_delivered, "The upstream has it");
  auto* not_delivered = sub->add_flag("--not-delivered", resolution.is_not, "It has not: send it again");
  delivered->excludes(not_delivered);
  sub->add_option("--reason", resolution.reason, "How you know, for meterctl audit")
      ->check(not_empty)
      ->required();
  sub->callback([&] {
    if (!resolution.is_delivered && !resolution.is_not)
      throw CLI::RequiredError("--delivered or --not-delivered");
    verb = [&](Session& session) { return resolve(session, options.resolution); };
  });
  auto* again = app.add_subcommand("retry", "Send a parked usage again");
  again->add_option("ID", resolution.id, "The usage's id, as in outbox")->check(not_empty)->required();
  again->add_option("--reason", resolution.reason, "What was mended, for meterctl audit")->check(not_empty);
  again->callback([&] { verb = [&](Session& session) { return retry(session, options.resolution); }; });
}

// They work on the journal's directory, while meterd is stopped. A further one is one more `add`.
void add_offline_verbs(CLI::App& app, Options& options, Verb& verb) {
  const auto add = [&](const char* name, const char* about, auto run) {
    auto* sub = app.add_subcommand(name, about);
    sub->add_option("--directory", options.directory, "The journal's directory")->capture_default_str();
    sub->callback([&options, &verb, run] {
      verb = [&options, run](Session& session) {
        const offline::Session here{options.directory, session.json, session.out, session.err};
        return run(here);
      };
    });
    return sub;
  };
  add("fsck", "What is damaged in a journal; meterd is stopped",
      [&options](const offline::Session& session) { return offline::fsck(session, options.salvage_into); })
      ->add_option("--salvage", options.salvage_into, "Copy what is readable into this new directory")
      ->check(not_empty);
  add("restore", "Make a journal of a backup; meterd is stopped",
      [&options](const offline::Session& session) { return offline::restore(session, options.file); })
      ->add_option("FILE", options.file, "What meterctl backup wrote")
      ->check(not_empty)
      ->required();
}

// What stands where a verb is to stand, or that nothing does.
std::string no_verb(const std::vector<std::string>& rest) {
  const std::string what = rest.empty()                    ? "which verb?"
                           : rest.front().starts_with('-') ? "there is no option " + rest.front() + "."
                                                           : "there is no verb " + rest.front() + ".";
  return what + " meterctl --help lists them, and meterctl VERB --help says what a verb takes.";
}

int run(int argc, char** argv) {
  Options options;
  Verb verb;
  CLI::App app{"Look after meterd, the usage meter of this device, over its API socket."};
  app.name("meterctl");
  app.footer(
      "Exit codes: 0 fine, 1 the request failed, 2 usage, 3 meterd is not reachable;\n"
      "also 4, look at it: of status, outbox, verify, doctor, reconcile, restore, fsck.");
  app.set_version_flag("--version", "meterctl " METERD_VERSION);
  app.get_formatter()->column_width(24);  // of 80
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--socket", options.socket, "meterd's API socket")->capture_default_str();
  app.add_option("--timeout", options.timeout, "How long to wait for meterd: 200ms, 10s, 2m")
      ->check([](const std::string& text) {
        return timeout_ms(text) > 0 ? std::string{} : "wants a time from 1ms to 60m such as 200ms, 10s, 2m";
      })
      ->capture_default_str();
  app.add_flag("--json", options.json, "Print meterd's JSON");
  add_verbs(app, options, verb);
  add_usages(app, options, verb);
  add_invoice(app, options, verb);
  add_statement(app, options, verb);
  add_withdraw(app, options, verb);
  add_credit(app, options, verb);
  add_resolve(app, options, verb);
  add_offline_verbs(app, options, verb);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    if (app.get_subcommands().empty())
      complain(std::cerr, no_verb(app.remaining()));
    else
      app.exit(error);
    return static_cast<int>(Exit::usage);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(Exit::usage);
  }
  Session session{
      {options.socket, Milliseconds(timeout_ms(options.timeout))}, options.json, std::cout, std::cerr};
  const Exit result = verb(session);
  std::cout.flush();
  if (!std::cout) {
    complain(std::cerr, "the output could not be written");
    return static_cast<int>(Exit::failed);
  }
  return static_cast<int>(result);
}

}  // namespace
}  // namespace meterd::ctl

int main(int argc, char** argv) { return meterd::ctl::run(argc, argv); }
