#include "agent/source/shared_counters/clients.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/base/limits.hpp"
#include "agent/base/text.hpp"

namespace meterd::source {
namespace {

using platform::SharedMemory;

constexpr std::size_t kRegionsMax = 128;  // two descriptors each
constexpr SharedMemory::Sizes kSizes{METERD_REGION_BYTES, kNamesBytes};
constexpr std::string_view kPrefix = "shared/";

std::string text_in(const char* bytes, std::size_t size) { return {bytes, strnlen(bytes, size)}; }

Clients::Answer answer_of(meterd_packet_kind kind) {
  Clients::Answer out;
  out.packet.magic = METERD_PACKET_MAGIC;
  out.packet.version = METERD_PACKET_VERSION;
  out.packet.kind = kind;
  return out;
}

Clients::Answer refusal(int code, const std::string& text) {
  auto out = answer_of(METERD_REFUSED);
  out.packet.code = static_cast<std::uint32_t>(code);
  text.copy(out.packet.text, sizeof out.packet.text - 1);
  return out;
}

Clients::Answer welcome(const SharedMemory::Id& id) {
  auto out = answer_of(METERD_WELCOME);
  std::copy(id.begin(), id.end(), out.packet.client);
  return out;
}

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

int errno_of(meter::Refusal refusal) {
  return refusal == meter::Refusal::missing_subscription ? EINVAL : ENOENT;
}

}  // namespace

Clients::Clients(SharedCountersRule rule, const Dependencies& dependencies, SharedMemory& memory,
                 Stored stored)
    : rule_(std::move(rule)),
      memory_(memory),
      batcher_(dependencies.batcher),
      clock_(dependencies.clock),
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
  auto region = std::make_shared<Region>(std::move(kept), head, std::move(names.slots), cursors,
                                         clock_.boot(), of_this_journal);
  for (std::uint32_t slot = 0; slot < region->used(); ++slot)
    if (!region->name_of(slot).event.empty()) client->counters[region->name_of(slot)] = {region, slot};
  client->regions.push_back(std::move(region));
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

std::uint64_t Clients::counters_of(std::uint32_t user) const {
  std::uint64_t out = 0;
  for (const auto& [id, client] : clients_)
    if (client->user == user)
      for (const auto& region : client->regions) out += region->used();
  return out;
}

Clients::Answer Clients::answer(Peer& peer, const meterd_packet& request, platform::MemoryFile passed) {
  if (request.magic != METERD_PACKET_MAGIC || request.version != METERD_PACKET_VERSION)
    return refusal(EPROTO, "this meterd speaks another version: install the libmeter that came with it");
  Id client{};
  std::copy_n(request.client, client.size(), client.begin());
  if (request.kind == METERD_HELLO) return hello(peer, client);
  if (!peer.client) return refusal(EPROTO, "a connection begins with HELLO");
  Id region{};
  std::copy_n(request.region, region.size(), region.begin());
  CounterName name{text_in(request.event, sizeof request.event),
                   text_in(request.subscription, sizeof request.subscription)};
  switch (request.kind) {
    case METERD_WANT:
      return want(peer, std::move(name));
    case METERD_HAND_BACK:
      return take_back(peer, region, std::move(passed));
    case METERD_NAME:
      return name_slot(peer, request, std::move(name));
    default:
      return refusal(EPROTO, "this request is not known: install the libmeter that came with this meterd");
  }
}

Clients::Answer Clients::hello(Peer& peer, const Id& id) {
  leave(peer);
  std::shared_ptr<Client> client;
  if (id != Id{}) {
    const auto found = clients_.find(id);
    if (found != clients_.end() && found->second->user == peer.user) client = found->second;
    const bool readable = client && std::none_of(client->regions.begin(), client->regions.end(),
                                                 [](const auto& region) { return region->has_nameless(); });
    if (!readable) return refusal(ESTALE, "this client is not known any more: begin anew");
  } else {
    client = new_client(peer.user);
    if (!client)
      return refusal(
          ENOSPC,
          "this user has as many clients as it may: end some, or raise [ingest] counter_clients_per_user");
  }
  ++client->connections;
  client->permit = peer.permit;
  peer.client = client;
  peer.given.clear();
  return welcome(client->id);
}

std::shared_ptr<Clients::Client> Clients::new_client(std::uint32_t user) {
  const auto count = std::count_if(clients_.begin(), clients_.end(),
                                   [&](const auto& one) { return one.second->user == user; });
  if (static_cast<std::uint64_t>(count) >= rule_.clients_per_user) return nullptr;
  return client_of(memory_.random_id(), user);
}

void Clients::leave(Peer& peer) {
  if (!peer.client) return;
  --peer.client->connections;
  peer.client.reset();
  drop_empty();
}

void Clients::drop_empty() {
  std::erase_if(clients_,
                [](const auto& one) { return one.second->connections == 0 && one.second->regions.empty(); });
}

std::optional<Clients::Answer> Clients::refuse_name(const Peer& peer, const CounterName& name) const {
  const auto fits = [](const std::string& text) { return is_clean_text(text, METERD_COUNTER_NAME_MAX); };
  if (!fits(name.event) || (!name.subscription.empty() && !fits(name.subscription)))
    return refusal(EINVAL, "event and subscription are clean UTF-8 of at most 100 bytes");
  if (!peer.permit || !peer.permit->allows(name.event, name.subscription))
    return refusal(EACCES, "this user may not count that: allow it in [access] of meterd.toml");
  if (const auto refused = batcher_.would_refuse(name.event, name.subscription))
    return refusal(errno_of(*refused),
                   std::string(meter::name_of(*refused)) + ": " + std::string(meter::advice_for(*refused)));
  return std::nullopt;
}

Clients::Answer Clients::want(Peer& peer, CounterName name) {
  auto& client = *peer.client;
  if (auto refused = refuse_name(peer, name)) return std::move(*refused);
  if (const auto known = client.counters.find(name);
      known != client.counters.end() && !known->second.first->is_asked())
    return slot_answer(peer, *known->second.first, known->second.second);
  if (counters_of(peer.user) >= rule_.counters_per_user)
    return refusal(
        ENOSPC, "this user has as many counters as it may: end an app, or raise [ingest] counters_per_user");
  auto region = room(client);
  if (!region) return refusal(region.error().code == Code::full ? ENOSPC : EIO, region.error().message);
  const auto slot = (*region)->add(name);
  if (!slot) return refusal(slot.error().code == Code::full ? ENOSPC : EIO, slot.error().message);
  client.counters.insert_or_assign(std::move(name), std::pair{*region, *slot});
  return slot_answer(peer, **region, *slot);
}

Result<std::shared_ptr<Region>> Clients::room(Client& client) {
  for (const auto& region : client.regions)
    if (region->has_room()) return region;
  if (regions() >= kRegionsMax)
    return Error{Code::full,
                 "meterd has as much memory for counters as it takes: end an app that has counters"};
  auto kept = memory_.make(kSizes);
  if (!kept) return kept.error();
  const RegionHead head{client.user, client.id, batcher_.lineage(), clock_.boot(), false};
  if (auto s = kept->names.write_at(0, head_record(kept->id, head)); !s) return s.error();
  auto region = std::make_shared<Region>(std::move(*kept), head, std::vector<CounterName>{},
                                         Region::Cursors{}, clock_.boot(), true);
  client.regions.push_back(region);
  return region;
}

Clients::Answer Clients::slot_answer(Peer& peer, const Region& region, std::uint32_t slot) {
  auto out = answer_of(METERD_SLOT);
  std::copy(region.id().begin(), region.id().end(), out.packet.region);
  out.packet.slot = slot;
  if (peer.given.contains(region.id())) return out;
  auto shared = memory_.share(region.kept());
  if (!shared) return refusal(EMFILE, shared.error().message);
  out.passed = std::move(*shared);
  peer.given.insert(region.id());
  return out;
}

// Memory that an app has and we know nothing of any more, or not what is in it.
Clients::Answer Clients::take_back(Peer& peer, const Id& id, platform::MemoryFile memory) {
  for (const auto& [other, client] : clients_) {
    const auto found = std::find_if(client->regions.begin(), client->regions.end(),
                                    [&](const auto& region) { return region->id() == id; });
    if (found == client->regions.end()) continue;
    if (client->user != peer.user || !memory_.same_memory((*found)->kept(), memory))
      return refusal(EACCES, "this memory is somebody else's");
    const auto region = *found;
    if (client != peer.client &&
        client->connections > 0) {  // of a process that shares it: they are one client
      const auto whole = client;
      leave(peer);
      ++whole->connections;
      peer.client = whole;
    } else if (client != peer.client) {
      const auto before = client;  // it may go with its last region
      take_from(*before, region);
      peer.client->regions.push_back(region);
      drop_empty();
    }
    peer.given.insert(id);
    return welcome(peer.client->id);
  }
  if (regions() >= kRegionsMax) return refusal(ENOSPC, "meterd has as much memory for counters as it takes");
  auto cursors = unclaimed_.extract(id);
  if (cursors && cursors.mapped().begin()->second.shared().user() != peer.user) {
    unclaimed_.insert(std::move(cursors));
    return refusal(EACCES, "this memory is somebody else's");
  }
  auto kept = memory_.take_back(id, std::move(memory), kSizes);
  if (!kept) {
    if (cursors) unclaimed_.insert(std::move(cursors));
    return refusal(EPERM, kept.error().message);
  }
  const RegionHead head{peer.user, peer.client->id, batcher_.lineage(), clock_.boot(), false};
  if (auto s = kept->names.write_at(0, head_record(kept->id, head)); !s)
    return refusal(EIO, s.error().message);
  peer.client->regions.push_back(std::make_shared<Region>(std::move(*kept), head, std::vector<CounterName>{},
                                                          cursors ? cursors.mapped() : Region::Cursors{},
                                                          clock_.boot(), false));
  peer.given.insert(id);
  log_.info("counters_taken_back", {{"user", peer.user}});
  return welcome(peer.client->id);
}

void Clients::take_from(Client& before, const std::shared_ptr<Region>& region) {
  std::erase(before.regions, region);
  std::erase_if(before.counters, [&](const auto& one) { return one.second.first == region; });
}

Clients::Answer Clients::name_slot(Peer& peer, const meterd_packet& request, CounterName name) {
  if (auto refused = refuse_name(peer, name)) return std::move(*refused);
  for (const auto& region : peer.client->regions) {
    if (!std::equal(region->id().begin(), region->id().end(), request.region)) continue;
    const bool is_new = request.slot >= region->used();
    if (is_new && counters_of(peer.user) >= rule_.counters_per_user + METERD_REGION_SLOTS)
      return refusal(ENOSPC, "this user has as many counters as it may");
    if (auto s = region->put(request.slot, name); !s)
      return refusal(s.error().code == Code::io ? EIO : EINVAL, s.error().message);
    peer.client->counters.try_emplace(std::move(name), region, request.slot);
    return slot_answer(peer, *region, request.slot);
  }
  return refusal(EINVAL, "this client has no such memory");
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
  Region::Reading reading{batcher,        gaps_, now,     clock_.boot(), clock_.boot_id(),
                          rule_.rate_max, last,  nullptr, buffer_};
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
