// Short messages as the modem's manager has them, told as they appear, change and go. What is told may
// repeat, and a listing follows each time the manager or the connection to it was lost, so that no signal
// need be relied upon. Real: ModemManager over the system bus (platform/linux/modem_messages.cpp). Loop
// thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace meterd::platform {

// The values are ModemManager's (ModemManager-enums.h: MMSmsState, MMSmsPduType, MMSmsStorage).
enum class MessageState : std::uint32_t {
  unknown = 0,    // made here, neither stored nor sent so far
  stored = 1,     // neither received nor yet sent
  receiving = 2,  // not all parts are there
  received = 3,
  sending = 4,
  sent = 5,
};
enum class PduType : std::uint32_t {
  unknown = 0,
  deliver = 1,  // 3GPP, to us
  submit = 2,   // 3GPP, from us
  status_report = 3,
  cdma_deliver = 32,
  cdma_submit = 33,  // beyond: acknowledgements and cancellations of CDMA
};
inline constexpr std::uint32_t kNotStored = 0;  // MM_SMS_STORAGE_UNKNOWN: in the manager's memory only

struct ModemMessage {
  std::string path;   // of the object: its name within one run of the manager
  std::string modem;  // identity of the modem that has it
  MessageState state = MessageState::unknown;
  PduType type = PduType::unknown;
  std::uint32_t storage = kNotStored;
  std::string number, timestamp;
  std::string text, data;  // one of them; UTF-8, octets
};

struct Modem {
  std::string identity;
  bool ready = false;  // it is enabled: what it has stored has been shown
};

class ModemWatcher {
 public:
  virtual ~ModemWatcher() = default;
  // Before anything of that run is told. `run`: the same only within one run of the manager in one boot. The
  // same run begins again after a lost connection.
  virtual void run_began(const std::string& run) = 0;
  // A listing: all messages that there are now, by path. Those that were not seen so far are told next.
  virtual void listing(const std::vector<std::string>& paths) = 0;
  virtual void seen(const ModemMessage& message) = 0;
  // After every message of the listing was told.
  virtual void listed(const std::vector<Modem>& modems) = 0;
  virtual void deleted(const std::string& path) = 0;
  // It was announced and is gone, and could never be read.
  virtual void missed(bool received) = 0;
  virtual void no_bus(const std::string& error) = 0;
  virtual void no_manager() = 0;
};

class ModemMessages {
 public:
  virtual ~ModemMessages() = default;
  // Until stop(). `watcher` must outlive it. Never fails: it goes on trying.
  virtual boost::asio::awaitable<void> watch(ModemWatcher& watcher) = 0;
  virtual void list_again() = 0;  // soon; harmless at any time
  virtual void stop() = 0;
};

// `only`: of the modem of that identity; empty: of all.
using MakeModemMessages = std::function<std::unique_ptr<ModemMessages>(const std::string& only)>;

}  // namespace meterd::platform
