// meterctl fsck: what is wrong with a journal that meterd does not open, what that affects and what to do;
// and the salvage of what is readable.
#include "agent/journal/fsck.hpp"

#include <boost/json.hpp>
#include <filesystem>
#include <optional>
#include <ostream>

#include "agent/ctl/layout.hpp"
#include "agent/ctl/offline/verbs.hpp"
#include "agent/ctl/render_parts.hpp"
#include "agent/journal/lock.hpp"

namespace meterd::ctl::offline {
namespace {

namespace json = boost::json;

constexpr Indent kSentence{0, 2};
constexpr Indent kItem{2, 4};

void say(std::ostream& out, std::string_view sentence, Indent indent = kSentence) {
  out << join(wrap_words(clean(sentence), indent));
}

json::object damage_json(const journal::PageDamage& damage) {
  json::object out{{"page", damage.page}, {"what", damage.what}};
  if (const auto loss = journal::describe_loss(damage); !loss.empty()) out["affects"] = loss;
  return out;
}

json::array sentences(const std::vector<std::string>& from) { return json::array(from.begin(), from.end()); }

json::array holdings_json(const journal::Holdings& holdings) {
  json::array out;
  for (const auto& one : holdings.rows)
    out.push_back(json::object{{"upstream", one.upstream.value()},
                               {"item_price_id", one.item_price.value()},
                               {"undelivered", one.undelivered.text()},
                               {"delivered", one.delivered.text()},
                               {"buckets", one.buckets},
                               {"usages", one.usages},
                               {"deletions", one.deletions}});
  return out;
}

json::object examination_json(const std::string& directory, const journal::Examination& found) {
  json::array damage;
  for (const auto& one : found.pages.damage) damage.push_back(damage_json(one));
  return {{"directory", directory},
          {"sound", found.is_sound()},
          {"pages_in_use", found.pages.pages_reached},
          {"records", found.pages.records},
          {"damages", found.pages.damages},
          {"damage", std::move(damage)},
          {"unreadable_records", found.pages.unreadable_records},
          {"unreadable", sentences(found.unreadable)},
          {"problems", sentences(found.check.problems)},
          {"holdings", holdings_json(found.holdings)},
          {"holdings_truncated", found.holdings.truncated}};
}

json::object salvage_json(const std::string& directory, const journal::Salvage& done) {
  return {{"directory", directory},
          {"records", done.records},
          {"of_damaged_pages", done.of_damaged_pages},
          {"of_unreached_pages", done.of_unreached_pages},
          {"left_out_pages", done.left_out_pages},
          {"set_aside", done.set_aside},
          {"may_lack_last_commit", done.may_lack_last_commit},
          {"accepted", done.check.accepted.text()},
          {"quantity_set_aside", done.check.set_aside.text()},
          {"problems", sentences(done.check.problems)}};
}

void print_damage(std::ostream& out, const journal::Examination& found) {
  if (found.pages.damages > 0) {
    out << counted(found.pages.damages, "damaged place", "damaged places") << ":\n";
    for (const auto& one : found.pages.damage) {
      const auto loss = journal::describe_loss(one);
      say(out,
          "page " + std::to_string(one.page) + ": " + one.what + (loss.empty() ? "" : "; affects " + loss),
          kItem);
    }
    if (found.pages.newest_meta_is_lost)
      say(out,
          "One of the two pages that begin the file is damaged. If it was the newer one, the last commit is "
          "missing with it, and what was acknowledged by it.");
  }
  if (found.pages.unreadable_records > 0) {
    out << counted(found.pages.unreadable_records, "record fails its checksum",
                   "records fail their checksums")
        << ":\n";
    for (const auto& one : found.unreadable) say(out, one, kItem);
  }
  if (!found.check.problems.empty()) {
    out << counted(found.check.problems.size(), "problem", "problems") << ":\n";
    for (const auto& one : found.check.problems) say(out, one, kItem);
  }
}

void print_advice(std::ostream& out, const std::string& directory, const journal::Examination& found) {
  if (found.is_sound()) return say(out, "Nothing is damaged, and everything adds up.");
  if (found.pages.is_sound() && found.pages.unreadable_records > 0)
    return say(
        out,
        "meterd starts with this: it sets the records aside and goes on with the rest; meterctl verify "
        "then says what they affect. Check the disk.");
  if (found.pages.is_sound())
    return say(out, "meterd starts with this. Keep a copy of the journal for support.");
  say(out,
      "meterd does not start with this, so that nothing gets worse. Nothing was changed. Keep a copy of " +
          directory +
          " for support and check the disk. Then either restore the latest backup (meterctl "
          "restore), or salvage what is readable: meterctl fsck --directory " +
          directory + " --salvage NEW, then use NEW as the journal's directory.");
}

// What would be gone with the journal.
void print_holdings(std::ostream& out, const journal::Holdings& holdings) {
  const auto list = [&](const char* title, const auto& told) {
    bool any = false;
    for (const auto& one : holdings.rows) {
      const std::string text = told(one);
      if (text.empty()) continue;
      if (!any) say(out, title);
      any = true;
      say(out, one.upstream.value() + " " + one.item_price.value() + ": " + text, kItem);
    }
  };
  list("not delivered:", [](const journal::Holding& one) {
    if (one.undelivered.is_zero() && one.usages == 0 && one.deletions == 0) return std::string();
    return one.undelivered.text() + ", of " + counted(one.usages, "usage", "usages") + " and " +
           counted(one.buckets, "open bucket", "open buckets") +
           (one.deletions == 0 ? std::string()
                               : "; and " + counted(one.deletions, "deletion", "deletions") +
                                     " of what the upstream goes on billing");
  });
  list("in the device's own ledger:", [](const journal::Holding& one) {
    return one.upstream.value() == "ledger" && !one.delivered.is_zero() ? one.delivered.text()
                                                                        : std::string();
  });
  if (holdings.truncated) say(out, "and more of other item prices", kItem);
}

void print_salvage(std::ostream& out, const std::string& directory, const journal::Salvage& done) {
  say(out, "salvaged " + counted(done.records, "record", "records") + " into " + directory);
  if (done.of_damaged_pages > 0)
    say(out,
        counted(done.of_damaged_pages, "record of them was", "records of them were") +
            " found on damaged pages: their checksums hold",
        kItem);
  if (done.of_unreached_pages > 0)
    say(out,
        counted(done.of_unreached_pages, "record of them was", "records of them were") +
            " found on whole pages to which the way is damaged",
        kItem);
  if (done.left_out_pages > 0)
    say(out,
        counted(done.left_out_pages, "page was", "pages were") +
            " left out: with the list of free pages damaged nobody can tell present records from old ones, "
            "and an old one could be billed again",
        kItem);
  if (done.set_aside > 0)
    say(out,
        counted(done.set_aside, "record", "records") + " could not be read and were set aside as they are",
        kItem);
  if (done.may_lack_last_commit) say(out, "the last commit may be missing", kItem);
  if (!done.check.set_aside.is_zero())
    say(out,
        "a quantity of " + done.check.set_aside.text() +
            " belongs to usages that are lost: set aside; meterctl "
            "buckets --balances says where",
        kItem);
  for (const auto& problem : done.check.problems) say(out, "problem: " + problem, kItem);
  say(out, "The original is as it was. Move it away, put " + directory +
               " in its place with meterd's owner, start meterd, then run meterctl reconcile: nothing is "
               "sent before.");
}

Result<journal::DirectoryLock> lock(const std::string& directory) {
  std::error_code failed;
  if (!std::filesystem::exists(directory + "/data.mdb", failed))
    return Error{Code::invalid,
                 "there is no journal in " + directory + ": it has no data.mdb. Name it with --directory."};
  auto taken = journal::DirectoryLock::take(directory);
  if (!taken) return taken;
  if (auto given = taken->give_to_owner(); !given) return given.error();  // it may have been made just now
  return taken;
}

Error no_salvage(const Error& why, const std::string& directory) {
  const char* advice = "";
  if (why.code == Code::corrupt)
    advice =
        " Restore the latest backup with meterctl restore. Without one, keep the journal for support, "
        "and let meterd begin a new one in another directory.";
  if (why.code == Code::full) advice = " Make room, or name a directory on another disk.";
  return {why.code, "nothing was salvaged: " + why.message +
                        ". The journal is as it was, and nothing was made in " + directory + "." + advice};
}

}  // namespace

Exit fsck(const Session& session, const std::string& salvage_into) {
  const auto complain_of = [&](const Error& error) {
    complain(session.err, error.message);
    return Exit::failed;
  };
  const auto locked = lock(session.directory);
  if (!locked) return complain_of(locked.error());
  const auto data = session.directory + "/data.mdb";
  const auto found = journal::examine(data);
  if (!found)
    return complain_of({found.error().code, data + ": " + found.error().message +
                                                ". Nothing was changed. Nothing can "
                                                "be salvaged from it: restore the latest backup."});
  std::optional<journal::Salvage> done;
  if (!salvage_into.empty()) {
    auto salvaged = journal::salvage(data, salvage_into);
    if (!salvaged) return complain_of(no_salvage(salvaged.error(), salvage_into));
    done = std::move(*salvaged);
  }
  if (session.json) {
    auto out = examination_json(session.directory, *found);
    if (done) out["salvaged"] = salvage_json(salvage_into, *done);
    session.out << json::serialize(out) << '\n';
  } else {
    session.out << "looked at " << counted(found->pages.pages_reached, "page", "pages") << " and "
                << counted(found->pages.records, "record", "records") << " of " << clean(session.directory)
                << '\n';
    print_damage(session.out, *found);
    print_holdings(session.out, found->holdings);
    if (done)
      print_salvage(session.out, salvage_into, *done);
    else
      print_advice(session.out, session.directory, *found);
  }
  return found->is_sound() ? Exit::fine : Exit::attention;
}

}  // namespace meterd::ctl::offline
