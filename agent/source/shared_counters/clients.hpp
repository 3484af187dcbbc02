// Who counts in shared memory: clients (a meter_t each), their regions and what is asked of us, answered
// without waiting. What is kept through a restart is kept by platform::SharedMemory. Loop thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/libmeter/protocol.h"
#include "agent/meter/permit.hpp"
#include "agent/source/shared_counters/region.hpp"
#include "agent/source/shared_counters/rule.hpp"
#include "agent/source/source.hpp"

namespace meterd::source {

class Clients {
 public:
  using Id = platform::SharedMemory::Id;
  struct Client {
    ingest::PermitPtr permit;  // of who connected last; null: not since our start, and not known
    Id id{};
    std::uint32_t user = 0;
    std::size_t connections = 0;
    std::vector<std::shared_ptr<Region>> regions;
    std::map<CounterName, std::pair<std::shared_ptr<Region>, std::uint32_t>> counters;
  };
  // The other end of a connection.
  struct Peer {
    std::uint32_t user = 0;
    ingest::PermitPtr permit;
    std::shared_ptr<Client> client;  // null: it has not said HELLO
    std::set<Id> given;              // regions whose memory it has got
  };
  struct Answer {
    meterd_packet packet{};
    std::optional<platform::MemoryFile> passed;
  };

  // Finds what an earlier process left.
  Clients(SharedCountersRule rule, const Dependencies& dependencies, platform::SharedMemory& memory,
          Stored stored);

  Answer answer(Peer& peer, const meterd_packet& request, platform::MemoryFile passed);
  void leave(Peer& peer);

  // `last`: the process ends.
  void harvest(ingest::Batcher& batcher, const platform::WallReading& now, bool last);

  // Regions of clients that have no connection: to be asked whether anybody still writes them.
  std::vector<std::shared_ptr<Region>> unattended() const;
  void let_go(const std::shared_ptr<Region>& region);  // nobody does

  std::size_t clients() const { return clients_.size(); }
  std::size_t regions() const;
  bool holds_back() const { return holds_back_; }  // something waits for its meter
  const journal::SourceGaps& gaps() const { return gaps_.totals(); }
  Stored stored() const;

 private:
  // A region that is counted to its end, until that is committed.
  struct Ending {
    std::shared_ptr<Region> region;
    std::weak_ptr<Client> client;
    bool asked = false, committed = false;
  };
  void find(Region::Cursors& cursors, platform::SharedMemory::Kept kept);
  void forget(const std::string& region, const Region::Cursors& cursors);
  Answer hello(Peer& peer, const Id& id);
  Answer want(Peer& peer, CounterName name);
  Answer take_back(Peer& peer, const Id& id, platform::MemoryFile memory);
  Answer take_over(Peer& peer, const std::shared_ptr<Client>& owner, const Id& id,
                   const platform::MemoryFile& memory);
  Answer take_unclaimed(Peer& peer, const Id& id, platform::MemoryFile memory,
                        const Region::Cursors& cursors);
  static Answer taken_back(Peer& peer, const Region& region);
  Answer refuse_back(const Peer& peer, int code, const std::string& text);
  void show_refused(const Peer& peer, const Id& id, const platform::MemoryFile& memory,
                    const Region::Cursors& cursors);
  Answer name_slot(Peer& peer, const meterd_packet& request, CounterName name);
  Answer slot_answer(Peer& peer, const Region& region, std::uint32_t slot);
  std::optional<Answer> refuse_name(const Peer& peer, const CounterName& name) const;
  std::optional<Answer> refuse_without_meter(const CounterName& name) const;
  Result<std::shared_ptr<Region>> room(Client& client);
  Status may_have_another(std::uint32_t user) const;
  ingest::PermitPtr permit_until_it_comes(std::uint32_t user) const;
  std::shared_ptr<Client> client_of(const Id& id, std::uint32_t user);
  std::shared_ptr<Client> new_client(std::uint32_t user);
  std::shared_ptr<Client> owner_of(const Id& region) const;
  bool is_held(const platform::MemoryFile& memory) const;
  static void give_to(Client& client, const std::shared_ptr<Region>& region);
  static void take_from(Client& before, const std::shared_ptr<Region>& region);
  std::uint64_t counters_of(std::uint32_t user) const;
  std::uint64_t regions_of(std::uint32_t user) const;
  void drop_empty();
  void end(Ending& ending, ingest::Batcher& batcher);

  SharedCountersRule rule_;
  platform::SharedMemory& memory_;
  ingest::Batcher& batcher_;
  platform::Clock& clock_;
  const ingest::Access* access_;  // null: everybody may count everything
  Log& log_;
  Gaps gaps_;
  std::map<Id, std::shared_ptr<Client>> clients_;
  std::map<Id, Region::Cursors> unclaimed_;        // of memory that only its app has, since this boot
  std::map<std::uint32_t, std::set<Id>> refused_;  // by user: what was not taken back, and shown
  std::vector<std::string> forgotten_;             // cursors of earlier boots, until the first harvest
  std::vector<std::shared_ptr<Ending>> endings_;
  SlotValues values_;
  bool holds_back_ = false;
};

}  // namespace meterd::source
