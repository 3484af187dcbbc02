// Memory that an app gives back to a meterd that lost its hold on it, and what counts in it.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/source/shared_counters/answers.hpp"

namespace meterd::source {

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

}  // namespace meterd::source
