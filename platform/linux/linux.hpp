// The real implementations of the platform's interfaces. Only agent/app includes this.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <optional>
#include <string>

#include "agent/base/log.hpp"
#include "platform/clock.hpp"
#include "platform/disk.hpp"
#include "platform/links.hpp"
#include "platform/modem_messages.hpp"
#include "platform/nft_tables.hpp"
#include "platform/notify.hpp"
#include "platform/process.hpp"
#include "platform/random.hpp"

namespace meterd::platform {

struct ClockRule {
  std::optional<Milliseconds> trusted_offset;  // of this boot, from the journal: see trust.hpp
  bool always_trusted = false;                 // [clock] trust = "always"
  WallTime not_before;  // the build date or the last trusted time of the journal, whichever is later
};

class DeviceClock : public Clock {
 public:
  // Where a sandbox refuses to ask the kernel (ProtectClock=), asks systemd-timedated while the clock is not
  // trusted. Else it ends at once.
  virtual boost::asio::awaitable<void> watch(Log& log) = 0;
  virtual void stop() = 0;
};

// Trusted when the kernel says that the clock is synchronised, or when the system started from a real-time
// clock, and the time is not before `not_before`; and from then on until it is stepped.
// Alarms run on `loop`.
std::unique_ptr<DeviceClock> make_clock(boost::asio::any_io_executor loop, const ClockRule& rule);
std::string read_boot_id();
WallTime read_wall();
BootTime read_boot();
WallTime build_date();
std::string read_machine_id();  // empty if there is none
// The same, but empty also where it may change with the next boot, which is where it is kept in memory.
std::string read_lasting_machine_id();

std::unique_ptr<Random> make_random();
std::unique_ptr<Disk> make_disk();
std::unique_ptr<Links> make_links();
// ModemManager's. `only`: of the modem with that EquipmentIdentifier; empty: of all.
std::unique_ptr<ModemMessages> make_modem_messages(boost::asio::any_io_executor loop, Clock& clock,
                                                   std::string only);
std::unique_ptr<NftTables> make_nft_tables();
std::unique_ptr<Notify> make_notify();
std::unique_ptr<Process> make_process();

}  // namespace meterd::platform
