// Everything that the core needs from outside of it: executors, clocks, the network. The daemon has the real
// ones, a test or the simulator others.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>
#include <string>

#include "agent/app/config.hpp"
#include "agent/base/log.hpp"
#include "agent/ingest/access.hpp"
#include "agent/source/source.hpp"
#include "agent/upstream/upstream.hpp"
#include "platform/clock.hpp"
#include "platform/links.hpp"
#include "platform/modem_messages.hpp"
#include "platform/nft_tables.hpp"
#include "platform/process.hpp"
#include "platform/random.hpp"
#include "platform/shared_memory.hpp"
#include "platform/sockets.hpp"

namespace meterd::app {

struct Surroundings {
  boost::asio::any_io_executor loop;
  boost::asio::any_io_executor journal;  // one thread; may be the loop's own
  boost::asio::any_io_executor reader;   // one thread; may be the loop's own
  platform::Clock& clock;
  platform::Random& random;
  platform::Links& links;
  Log& log;
  std::function<std::unique_ptr<upstream::HttpClient>(const UpstreamConfig&)> make_client;
  std::function<void(const Error&)> on_fatal;
  const platform::Process* process = nullptr;  // for the status; without one it says that it does not know
  // For a document at a place that an upstream names.
  std::function<std::unique_ptr<upstream::HttpClient>(const upstream::HttpClientOptions&)>
      make_download_client = {};
  platform::NftTables* nft_tables = nullptr;  // reader thread; without it a source that needs it says so
  std::function<source::DatagramSocket(const std::string& path)> take_datagram_socket = {};  // for sources
  platform::SharedMemory* memory = nullptr;  // without it no app counts in shared memory
  const ingest::Access* access = nullptr;    // for what sources listen on
  std::function<Result<platform::Socket>(const std::string& path)> listen_packets = {};
  platform::MakeModemMessages make_modem_messages = {};
};

}  // namespace meterd::app
