#include "agent/source/shared_counters/clients.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/base/text.hpp"

namespace meterd::source {
namespace {

using platform::SharedMemory;

constexpr std::string_view kPrefix = "shared/";

// "shared/REGION/PAGE"
std::optional<std::pair<std::string, std::uint32_t>> parse_cursor_name(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto page = parse_unsigned(name.substr(slash + 1));
  if (!page || *page >= METERD_REGION_SLOTS / kPageSlots) return std::nullopt;
  return std::pair{std::string(name.substr(0, slash)), static_cast<std::uint32_t>(*page)};
}

}  // namespace

Clients::Clients(SharedCountersRule rule, const Dependencies& dependencies, SharedMemory& memory,
                 Stored stored)
    : rule_(std::move(rule)),
      memory_(memory),
      batcher_(dependencies.batcher),
      clock_(dependencies.clock),
      access_(dependencies.access),
      log_(dependencies.log),
      gaps_(rule_.name(), std::move(stored.gaps)) {
  std::map<std::string, Region::Cursors> by_region;
  for (auto& [name, cursor] : stored.cursors) {
    const auto page = parse_cursor_name(name);
    if (page)
      by_region[page->first].emplace(page->second, std::move(cursor));
    else
      forgotten_.push_back(name);
  }
  for (auto& kept : memory_.find()) {
    auto cursors = by_region.extract(platform::text_of(kept.id));
    Region::Cursors none;
    find(cursors ? cursors.mapped() : none, std::move(kept));
  }
  for (auto& [text, cursors] : by_region) {
    const auto id = platform::parse_id(text);
    // Memory does not outlive a boot.
    if (id && cursors.begin()->second.boot_id() == clock_.boot_id())
      unclaimed_.emplace(*id, std::move(cursors));
    else
      forget(text, cursors);
  }
}

void Clients::forget(const std::string& region, const Region::Cursors& cursors) {
  for (const auto& [page, cursor] : cursors)
    forgotten_.push_back(std::string(kPrefix) + region + "/" + std::to_string(page));
}

void Clients::find(Region::Cursors& cursors, SharedMemory::Kept kept) {
  auto names = read_names(kept);
  if ((names.head && names.head->done) || (names.unused && cursors.empty())) {
    (void)memory_.drop(kept);  // found again at worst
    forget(platform::text_of(kept.id), cursors);
    return;
  }
  if (!names.head || names.damaged)
    log_.error("counter_names_damaged",
               {{"do", "check the memory; the apps that still run say what they count"}});
  RegionHead head = names.head.value_or(RegionHead{});
  if (!names.head && !cursors.empty()) head.user = cursors.begin()->second.shared().user();
  const bool of_this_journal = names.head && head.journal == batcher_.lineage();
  auto client = client_of(head.client, head.user);
  if (!client->permit) client->permit = permit_until_it_comes(head.user);
  auto region = std::make_shared<Region>(std::move(kept), head, std::move(names.slots), cursors,
                                         clock_.boot(), of_this_journal);
  give_to(*client, region);
}

Stored Clients::stored() const {
  Stored out{{}, gaps_.totals()};
  for (const auto& [id, client] : clients_)
    for (const auto& region : client->regions) region->add_cursors(clock_.boot_id(), out.cursors);
  for (const auto& [id, cursors] : unclaimed_)
    for (const auto& [page, cursor] : cursors)
      out.cursors.emplace(std::string(kPrefix) + platform::text_of(id) + "/" + std::to_string(page), cursor);
  return out;
}

void Clients::give_to(Client& client, const std::shared_ptr<Region>& region) {
  client.regions.push_back(region);
  for (std::uint32_t slot = 0; slot < region->used(); ++slot)
    if (!region->name_of(slot).event.empty())
      client.counters.try_emplace(region->name_of(slot), region, slot);
}

void Clients::take_from(Client& before, const std::shared_ptr<Region>& region) {
  std::erase(before.regions, region);
  std::erase_if(before.counters, [&](const auto& one) { return one.second.first == region; });
}

// What an app may count that goes on without a connection since our start. By unit nobody knows; a user whom
// [access] does not name any more may count nothing.
ingest::PermitPtr Clients::permit_until_it_comes(std::uint32_t user) const {
  if (access_ == nullptr || access_->names_processes()) return nullptr;
  constexpr std::uint32_t kNoGroup = UINT32_MAX;
  if (auto permit = access_->of(platform::peer_of(platform::Sender{user, kNoGroup, 0}))) return permit;
  return std::make_shared<const meter::Permit>(meter::Permit{"user " + std::to_string(user), {}, false});
}

// Those of no known client are the one of zeros, for each user.
std::shared_ptr<Clients::Client> Clients::client_of(const Id& id, std::uint32_t user) {
  Id key = id;
  if (id == Id{}) std::memcpy(key.data(), &user, sizeof user);
  auto& client = clients_[key];
  if (!client) client = std::make_shared<Client>(Client{{}, key, user, 0, {}, {}});
  return client;
}

std::size_t Clients::regions() const {
  std::size_t out = 0;
  for (const auto& [id, client] : clients_) out += client->regions.size();
  return out;
}

std::uint64_t Clients::regions_of(std::uint32_t user) const {
  std::uint64_t out = 0;
  for (const auto& [id, client] : clients_)
    if (client->user == user) out += client->regions.size();
  return out;
}

std::shared_ptr<Clients::Client> Clients::owner_of(const Id& id) const {
  for (const auto& [other, client] : clients_)
    if (std::any_of(client->regions.begin(), client->regions.end(),
                    [&](const auto& region) { return region->id() == id; }))
      return client;
  return nullptr;
}

bool Clients::is_held(const platform::MemoryFile& memory) const {
  return std::any_of(clients_.begin(), clients_.end(), [&](const auto& one) {
    return std::any_of(one.second->regions.begin(), one.second->regions.end(),
                       [&](const auto& region) { return memory_.same_memory(region->kept(), memory); });
  });
}

std::uint64_t Clients::counters_of(std::uint32_t user) const {
  std::uint64_t out = 0;
  for (const auto& [id, client] : clients_)
    if (client->user == user)
      for (const auto& region : client->regions) out += region->used();
  return out;
}

void Clients::drop_empty() {
  std::erase_if(clients_,
                [](const auto& one) { return one.second->connections == 0 && one.second->regions.empty(); });
}

std::vector<std::shared_ptr<Region>> Clients::unattended() const {
  std::vector<std::shared_ptr<Region>> out;
  for (const auto& [id, client] : clients_)
    if (client->connections == 0)
      for (const auto& region : client->regions)
        if (!region->is_unused()) out.push_back(region);
  return out;
}

void Clients::let_go(const std::shared_ptr<Region>& region) {
  region->mark_unused();
  for (const auto& [id, client] : clients_)
    std::erase_if(client->counters, [&](const auto& one) { return one.second.first == region; });
}

void Clients::harvest(ingest::Batcher& batcher, const platform::WallReading& now, bool last) {
  for (const auto& name : std::exchange(forgotten_, {})) batcher.forget_counter(name);
  Region::Reading reading{batcher,          gaps_,          memory_, now,     clock_.boot(),
                          clock_.boot_id(), rule_.rate_max, last,    nullptr, values_};
  holds_back_ = false;
  for (const auto& [id, client] : clients_)
    for (const auto& region : client->regions) {
      reading.permit = client->permit.get();
      region->harvest(reading);
      holds_back_ |= !region->is_all_counted();
      const bool ends = region->is_unused() && region->is_all_counted() &&
                        std::none_of(endings_.begin(), endings_.end(),
                                     [&](const auto& one) { return one->region == region; });
      if (ends) endings_.push_back(std::make_shared<Ending>(Ending{region, client}));
    }
  for (const auto& ending : endings_) end(*ending, batcher);
  std::erase_if(endings_, [](const auto& ending) { return !ending->region; });
  drop_empty();
}

// In this order: counted and committed, dropped, its cursors forgotten. Without its cursors a region that is
// found again would be counted again.
void Clients::end(Ending& ending, ingest::Batcher& batcher) {
  if (!ending.committed) {
    if (std::exchange(ending.asked, true)) return;
    const auto self =
        std::find_if(endings_.begin(), endings_.end(), [&](const auto& one) { return one.get() == &ending; });
    batcher.commit_soon([shared = *self](const Status& committed, const ingest::WindowOutcome&) {
      shared->committed = committed.ok();
      shared->asked = committed.ok();
    });
    return;
  }
  const auto region = ending.region;
  if (!region->mark_done() || !memory_.drop(region->kept())) return;  // tried again with the next window
  for (std::uint32_t page = 0; page < region->pages(); ++page)
    batcher.forget_counter(region->page_name(page));
  if (const auto client = ending.client.lock()) take_from(*client, region);
  ending.region.reset();
}

}  // namespace meterd::source
