#include "agent/app/sources.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "agent/source/access_log/access_log_source.hpp"
#include "agent/source/gaps.hpp"
#include "agent/source/interface/interface_source.hpp"
#include "agent/source/modem/modem_source.hpp"
#include "agent/source/nftables/nftables_source.hpp"
#include "agent/source/shared_counters/shared_counters.hpp"

namespace meterd::app {
namespace {

// The registration of the kinds of sources: one overload each.
std::shared_ptr<source::Source> make_source(const source::InterfaceRule& rule,
                                            const source::Dependencies& dependencies, source::Stored stored) {
  return std::make_shared<source::InterfaceSource>(rule, dependencies, std::move(stored));
}
std::shared_ptr<source::Source> make_source(const source::AccessLogRule& rule,
                                            const source::Dependencies& dependencies, source::Stored stored) {
  return std::make_shared<source::AccessLogSource>(rule, dependencies, std::move(stored));
}
std::shared_ptr<source::Source> make_source(const source::ModemRule& rule,
                                            const source::Dependencies& dependencies, source::Stored stored) {
  return std::make_shared<source::ModemSource>(rule, dependencies, std::move(stored));
}
std::shared_ptr<source::Source> make_source(const source::NftablesRule& rule,
                                            const source::Dependencies& dependencies, source::Stored stored) {
  return std::make_shared<source::NftablesSource>(rule, dependencies, std::move(stored));
}

std::shared_ptr<source::Source> make_source(const source::SharedCountersRule& rule,
                                            const source::Dependencies& dependencies, source::Stored stored) {
  return std::make_shared<source::SharedCounters>(rule, dependencies, std::move(stored));
}

// The source that a cursor is of: it has the source's name, or that, "/" and which part.
std::string source_of(const std::string& cursor) {
  const auto slash = cursor.rfind('/');
  if (cursor.starts_with("shared/")) return "shared";
  const bool has_pages = cursor.starts_with("nftables:") && slash != std::string::npos;
  const bool is_page = has_pages && cursor.find_first_not_of("0123456789", slash + 1) == std::string::npos;
  return is_page ? cursor.substr(0, slash) : cursor;
}

// Memory in which apps count outlives a time in which nothing reads it. What a log's workers have sent does
// not come again: where they were only tells what is missing.
bool begins_anew(const std::string& source) {
  return source != "shared" && !source.starts_with("access-log:");
}

bool is_among(const std::string& source, const std::vector<source::Rule>& rules) {
  return std::any_of(rules.begin(), rules.end(),
                     [&](const auto& rule) { return source::name_of(rule) == source; });
}

}  // namespace

Sources::Sources(const Surroundings& surroundings, ingest::Batcher& batcher)
    : around_(surroundings), batcher_(batcher), tasks_(surroundings.loop, surroundings.clock) {}

// What was counted last may not be in the journal yet, also of a source that went and comes back.
source::Stored Sources::stored_of(const std::string& name, const journal::KeptOfSources& kept) const {
  source::Stored out;
  if (const auto left = left_.find(name); left != left_.end()) out = left->second;
  out.of_a_copy = kept.of_a_copy;
  if (left_.contains(name)) return out;
  if (const auto gaps = kept.gaps.find(name); gaps != kept.gaps.end()) out.gaps = gaps->second;
  for (auto at = kept.cursors.lower_bound(name); at != kept.cursors.end() && at->first.starts_with(name);
       ++at)
    if (source_of(at->first) == name) out.cursors.insert(*at);
  return out;
}

void Sources::forget_others(const std::vector<source::Rule>& rules, const journal::KeptOfSources& kept) {
  std::set<std::string> others;
  for (const auto& [cursor, value] : kept.cursors) others.insert(source_of(cursor));
  for (const auto& name : others)
    if (begins_anew(name) && !is_among(name, rules)) forget(name, stored_of(name, kept));
}

// What passed since it was read last, or waited for a meter, is in doubt; what passes from now on is
// nobody's.
void Sources::forget(const std::string& name, source::Stored stored) {
  if (stored.cursors.empty()) return;
  const auto now = batcher_.now();
  journal::Gap gap;
  gap.set_from_ms(stored.cursors.begin()->second.read_ms());
  gap.set_until_ms(now.time.since_epoch.count());
  gap.set_trusted(now.trusted);
  gap.set_reason("it was taken out of the configuration");
  source::Gaps gaps(name, std::move(stored.gaps));
  gaps.note(batcher_, std::move(gap));
  for (const auto& [cursor, value] : stored.cursors) batcher_.forget_counter(cursor);
  left_.insert_or_assign(name, source::Stored{{}, gaps.totals()});
  around_.log.warning("source_forgotten",
                      {{"source", name}, {"do", "if that was a mistake, put its [[source]] back at once"}});
}

void Sources::put(const std::vector<source::Rule>& rules, journal::KeptOfSources kept) {
  const source::Dependencies dependencies{around_.loop,
                                          around_.reader,
                                          batcher_,
                                          around_.clock,
                                          around_.log,
                                          around_.links,
                                          around_.nft_tables,
                                          around_.take_datagram_socket,
                                          around_.memory,
                                          around_.access,
                                          around_.listen_packets,
                                          around_.make_modem_messages};
  if (!started_) forget_others(rules, kept);
  auto before = std::exchange(sources_, {});
  for (const auto& rule : rules) {
    const auto same =
        std::find_if(before.begin(), before.end(), [&](const One& one) { return one.rule == rule; });
    if (same == before.end()) continue;
    sources_.push_back(std::move(*same));
    before.erase(same);
  }
  for (const auto& one : before) {
    const auto name = one.source->name();
    one.source->stop();
    left_.insert_or_assign(name, one.source->stored());
    if (begins_anew(name) && !is_among(name, rules)) forget(name, left_.at(name));
  }
  for (const auto& rule : rules) {
    if (std::any_of(sources_.begin(), sources_.end(), [&](const One& one) { return one.rule == rule; }))
      continue;
    auto stored = stored_of(source::name_of(rule), kept);
    auto made =
        std::visit([&](const auto& one) { return make_source(one, dependencies, std::move(stored)); }, rule);
    if (started_) tasks_.spawn(made->run());
    sources_.push_back({rule, std::move(made)});
  }
  std::vector<std::shared_ptr<ingest::Harvested>> harvested;
  for (const auto& one : sources_) harvested.push_back(one.source);
  batcher_.set_sources(std::move(harvested));
}

void Sources::start() {
  started_ = true;
  for (const auto& one : sources_) tasks_.spawn(one.source->run());
}

void Sources::stop() {
  started_ = false;
  for (const auto& one : sources_) one.source->stop();
}

boost::asio::awaitable<bool> Sources::join(Milliseconds at_most) { return tasks_.join(at_most); }

std::vector<source::Report> Sources::reports() const {
  std::vector<source::Report> out;
  out.reserve(sources_.size());
  for (const auto& one : sources_)
    if (one.source->is_shown()) out.push_back(one.source->report());
  return out;
}

}  // namespace meterd::app
