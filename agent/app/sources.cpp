#include "agent/app/sources.hpp"

#include <algorithm>
#include <utility>

#include "agent/source/access_log/access_log_source.hpp"
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

// A source's own cursor, or a part of it.
bool is_of(const std::string& cursor, const std::string& source) {
  return cursor.starts_with(source) && (cursor.size() == source.size() || cursor[source.size()] == '/');
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
    if (is_of(at->first, name)) out.cursors.insert(*at);
  return out;
}

// The memory that apps count in outlives a time in which nothing looks at it: its cursors stay.
void Sources::forget_others(const std::vector<source::Rule>& rules, const source::Cursors& cursors) {
  const auto is_needed = [&](const std::string& cursor) {
    return is_of(cursor, source::SharedCountersRule().name()) ||
           std::any_of(rules.begin(), rules.end(),
                       [&](const auto& rule) { return is_of(cursor, source::name_of(rule)); });
  };
  for (const auto& [name, cursor] : cursors)
    if (!is_needed(name)) batcher_.forget_counter(name);
}

void Sources::leave(const source::Source& source, const std::vector<source::Rule>& rules) {
  auto stored = source.stored();
  const bool comes_back = std::any_of(
      rules.begin(), rules.end(), [&](const auto& rule) { return source::name_of(rule) == source.name(); });
  if (!comes_back) {
    forget_others(rules, stored.cursors);
    stored.cursors.clear();
  }
  left_.insert_or_assign(source.name(), std::move(stored));
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
  if (!started_) forget_others(rules, kept.cursors);
  auto before = std::exchange(sources_, {});
  for (const auto& rule : rules) {
    const auto same =
        std::find_if(before.begin(), before.end(), [&](const One& one) { return one.rule == rule; });
    if (same == before.end()) continue;
    sources_.push_back(std::move(*same));
    before.erase(same);
  }
  for (const auto& one : before) {
    one.source->stop();
    leave(*one.source, rules);
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
