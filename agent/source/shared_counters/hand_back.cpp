// Memory that an app gives back to a meterd that lost its hold on it, and what counts in it.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/source/shared_counters/answers.hpp"

namespace meterd::source {

// Memory that an app has and we know nothing of any more, or not what is in it.
Clients::Answer Clients::take_back(Peer& peer, const Id& id, platform::MemoryFile memory) {
  if (const auto owner = owner_of(id)) return take_over(peer, owner, id, memory);
  if (is_held(memory)) return refusal(EACCES, "this memory has another name");
  auto cursors = unclaimed_.extract(id);
  auto answer = take_unclaimed(peer, id, std::move(memory), cursors ? cursors.mapped() : Region::Cursors{});
  if (cursors && answer.packet.kind == METERD_REFUSED) unclaimed_.insert(std::move(cursors));
  return answer;
}

// Of a process that shares it with the one that has it now, or had it before.
Clients::Answer Clients::take_over(Peer& peer, const std::shared_ptr<Client>& owner, const Id& id,
                                   const platform::MemoryFile& memory) {
  const auto region = *std::find_if(owner->regions.begin(), owner->regions.end(),
                                    [&](const auto& one) { return one->id() == id; });
  if (owner->user != peer.user || !memory_.same_memory(region->kept(), memory))
    return refusal(EACCES, "this memory is somebody else's");
  if (owner != peer.client && owner->connections > 0) {  // they are one client
    leave(peer);
    ++owner->connections;
    peer.client = owner;
  } else if (owner != peer.client) {
    take_from(*owner, region);
    peer.client->regions.push_back(region);
    drop_empty();
  }
  peer.given.insert(id);
  return welcome(peer.client->id);
}

Clients::Answer Clients::take_unclaimed(Peer& peer, const Id& id, platform::MemoryFile memory,
                                        const Region::Cursors& cursors) {
  if (auto s = may_have_another(peer.user); !s) return refusal(ENOSPC, s.error().message);
  if (!cursors.empty() && cursors.begin()->second.shared().user() != peer.user)
    return refusal(EACCES, "this memory is somebody else's");
  auto kept = memory_.take_back(id, std::move(memory), kSizes);
  if (!kept) return refusal(EPERM, kept.error().message);
  const RegionHead head{peer.user, peer.client->id, batcher_.lineage(), clock_.boot(), false};
  if (auto s = kept->names.write_at(0, head_record(kept->id, head)); !s)
    return refusal(EIO, s.error().message);
  peer.client->regions.push_back(std::make_shared<Region>(std::move(*kept), head, std::vector<CounterName>{},
                                                          cursors, clock_.boot(), false));
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
