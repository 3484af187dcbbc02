// Where events come from that nobody reports: counters that are read, logs that are listened to. A kind of
// source is one folder here; DESIGN.md says how to add one, tests/source/contract.hpp what each must keep.
// Loop thread.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/base/log.hpp"
#include "agent/ingest/access.hpp"
#include "agent/ingest/batcher.hpp"
#include "agent/ingest/datagram_input.hpp"
#include "platform/clock.hpp"
#include "platform/links.hpp"
#include "platform/modem_messages.hpp"
#include "platform/nft_tables.hpp"
#include "platform/shared_memory.hpp"
#include "platform/sockets.hpp"

namespace meterd::source {

// For the status, the doctor and the metrics.
struct Report {
  std::string name, kind, event;
  std::string trouble, advice;           // why nothing is counted at the moment, and what to do; empty: it is
  std::vector<std::string> blind_spots;  // what passes uncounted, as far as the device tells
  journal::SourceGaps gaps;
};

// By name: a source's own name, or that, "/" and a part of it.
using Cursors = std::map<std::string, journal::CounterCursor>;

// What the journal has of one source.
struct Stored {
  Cursors cursors;
  journal::SourceGaps gaps;
  bool of_a_copy = false;  // somebody else may have counted what there are no cursors of
};

// Bound, or without a descriptor; and who may send there.
struct DatagramSocket {
  platform::Socket socket;
  ingest::DatagramAccess access;
  bool closed = false;  // its file's mode keeps out some of those
};

// Seams that only some kinds need may be null: what needs one that is missing says so in its report.
struct Dependencies {
  boost::asio::any_io_executor loop;
  boost::asio::any_io_executor reader;  // for reads that take their time
  ingest::Batcher& batcher;
  platform::Clock& clock;
  Log& log;
  platform::Links& links;
  platform::NftTables* nft_tables = nullptr;                                         // reader thread
  std::function<DatagramSocket(const std::string& path)> take_datagram_socket = {};  // once for each path
  platform::SharedMemory* memory = nullptr;
  const ingest::Access* access = nullptr;
  std::function<Result<platform::Socket>(const std::string& path)> listen_packets = {};
  platform::MakeModemMessages make_modem_messages = {};
};

class Source : public ingest::Harvested {
 public:
  // Under which the journal keeps its cursors and gaps: the same as long as it counts the same, unique.
  virtual std::string name() const = 0;
  // Counts what is new and notes the cursor with it: both are in one transaction, so it counts once through
  // any crash. What is refused is not passed: it is counted once it can be. Never blocks.
  void harvest(ingest::Batcher& batcher, const platform::WallReading& now) override = 0;
  // What must be waited for: sockets, timers. Ends soon after stop().
  virtual boost::asio::awaitable<void> run() { co_return; }
  virtual void stop() {}
  virtual Report report() const = 0;
  // What nobody uses need not be shown.
  virtual bool is_shown() const { return true; }
  // As of the last harvest, which may not be committed yet: where another one of this name goes on.
  virtual Stored stored() const = 0;
};

}  // namespace meterd::source
