// ModemManager over the system bus. Modems are found by GetManagedObjects, their messages by Messaging.List
// and the signals Added and Deleted; a message is read once as a whole, and then followed by
// PropertiesChanged, which holds what changed: so a message that is deleted as soon as it is sent is still
// known. The order of what one peer sends is kept by the bus. Only what ModemManager itself sends is heard.
#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "platform/linux/bus.hpp"
#include "platform/linux/linux.hpp"
#include "platform/linux/modem_objects.hpp"

namespace meterd::platform {

namespace asio = boost::asio;
namespace mm = modem_manager;

namespace {

constexpr std::size_t kReadsMax = 32;  // at once: the system bus allows 128 pending replies
constexpr Milliseconds kListEvery{600'000};
constexpr Milliseconds kListSoon{10'000};  // after a failure, or a signal of a message that is not known
constexpr Milliseconds kPauseMin{1'000}, kPauseMax{60'000};
constexpr std::int32_t kEnabled = 6;  // MM_MODEM_STATE_ENABLED; beyond: searching, registered, connected

bool is_final(const ModemMessage& message) {
  return message.state == MessageState::received || message.state == MessageState::sent;
}

struct ByNumber {
  bool operator()(const std::string& a, const std::string& b) const {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  }
};

class ModemManagerMessages final : public ModemMessages {
 public:
  ModemManagerMessages(asio::any_io_executor loop, Clock& clock, std::string only)
      : clock_(clock), only_(std::move(only)), bus_(std::move(loop), clock), pause_(clock.make_alarm()) {}

  asio::awaitable<void> watch(ModemWatcher& watcher) override;
  void stop() override {
    stopping_ = true;
    bus_.stop();
    pause_->notify();
  }
  void list_again() override { want_listing(Milliseconds(0)); }

 private:
  struct Object {
    ModemMessage message;
    bool is_asked = false;  // its reply will come
    bool is_read = false;
    bool is_settled = false;  // told in its last state; its content is not kept
    bool announced = false, received = false;
  };

  Status connect();
  Milliseconds tick();
  void forget();
  void begin(const std::string& owner);
  void want_listing(Milliseconds in);
  template <class Function>
  void ask(const mm::ModemObject& object, const char* interface, const char* member, Function done);
  void start_listing();
  void take_objects(sd_bus_message* reply);
  void end_lists();
  void end_listing();
  void has_not_shown(const std::string& modem);
  void read(const std::string& path, Object object);
  void read_more();
  void take_message(const std::string& path, sd_bus_message* reply);
  void tell(Object& object);
  void take_owner_change(sd_bus_message* signal);
  void take_signal(sd_bus_message* signal);
  void take_messaging_signal(sd_bus_message* signal, std::string_view member);
  void take_change(sd_bus_message* signal);

  Clock& clock_;
  std::string only_;
  Bus bus_;
  std::unique_ptr<Alarm> pause_;
  ModemWatcher* watcher_ = nullptr;
  bool stopping_ = false;
  Milliseconds pause_for_ = kPauseMin;

  std::string owner_;
  std::uint64_t run_ = 0;                      // replies to an earlier one are passed over
  std::map<std::string, std::string> modems_;  // identity by path, of those with messages
  std::map<std::string, Object> objects_;
  std::deque<std::string> to_read_;
  std::size_t reading_ = 0;

  BootTime list_at_;
  bool is_listing_ = false;
  bool list_once_more_ = false;
  std::size_t lists_left_ = 0;
  std::vector<Modem> listed_modems_;
  std::set<std::string, ByNumber> listed_;
  std::set<std::string> listed_unread_;
};

asio::awaitable<void> ModemManagerMessages::watch(ModemWatcher& watcher) {
  watcher_ = &watcher;
  const std::function<Milliseconds()> next = [this] { return tick(); };
  while (!stopping_) {
    std::string error;
    if (auto connected = connect(); connected)
      error = co_await bus_.serve(next);
    else
      error = connected.error().message;
    forget();
    bus_.close();
    if (stopping_) break;
    watcher.no_bus(error);
    co_await pause_->wait_for(pause_for_);
    pause_for_ = std::min(pause_for_ * 2, kPauseMax);
  }
}

Status ModemManagerMessages::connect() {
  if (auto opened = bus_.open(); !opened) return opened;
  auto heard =
      bus_.match(std::string("type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                             "member='NameOwnerChanged',arg0='") +
                     mm::kName + "'",
                 [this](sd_bus_message* signal) { take_owner_change(signal); });
  if (!heard) return heard;
  heard = bus_.match(std::string("type='signal',path_namespace='") + mm::kRoot + "'",
                     [this](sd_bus_message* signal) { take_signal(signal); });
  if (!heard) return heard;
  const BusPlace driver{"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                        "GetNameOwner"};
  return bus_.call(driver, {mm::kName}, [this](sd_bus_message* reply) {
    pause_for_ = kPauseMin;
    if (sd_bus_message_is_method_error(reply, nullptr) == 0)
      begin(mm::read_string(reply, 's'));
    else if (owner_.empty())
      watcher_->no_manager();
  });
}

Milliseconds ModemManagerMessages::tick() {
  if (owner_.empty()) return kListEvery;
  if (!is_listing_ && clock_.boot() >= list_at_) start_listing();
  return std::clamp(list_at_ - clock_.boot(), Milliseconds(1), kListEvery);
}

void ModemManagerMessages::forget() {
  ++run_;
  owner_.clear();
  modems_.clear();
  objects_.clear();
  to_read_.clear();
  reading_ = 0;
  is_listing_ = list_once_more_ = false;
  listed_unread_.clear();
}

void ModemManagerMessages::begin(const std::string& owner) {
  if (owner == owner_ || owner.empty()) return;
  forget();
  owner_ = owner;
  watcher_->run_began(clock_.boot_id() + "/" + bus_.id() + "/" + owner);
  list_at_ = clock_.boot();
}

void ModemManagerMessages::want_listing(Milliseconds in) {
  if (is_listing_ && in == Milliseconds(0)) list_once_more_ = true;
  list_at_ = std::min(list_at_, clock_.boot() + in);
}

// Refused here: the connection is about to end, and the next one begins with a listing.
template <class Function>
void ModemManagerMessages::ask(const mm::ModemObject& object, const char* interface, const char* member,
                               Function done) {
  const BusPlace place{owner_, object.path, interface, member};
  const auto guarded = [this, run = run_, done](sd_bus_message* reply) {
    if (run == run_) done(reply);
  };
  if (std::string_view(member) == "GetAll")
    (void)bus_.call(place, {mm::kSms}, guarded);
  else
    (void)bus_.call(place, {}, guarded);
}

void ModemManagerMessages::start_listing() {
  is_listing_ = true;
  list_once_more_ = false;
  list_at_ = clock_.boot() + kListEvery;
  listed_.clear();
  listed_modems_.clear();
  ask({mm::kRoot, {}, {}, {}, false}, mm::kObjectManager, "GetManagedObjects",
      [this](sd_bus_message* reply) { take_objects(reply); });
}

void ModemManagerMessages::take_objects(sd_bus_message* reply) {
  std::vector<mm::ModemObject> found;
  if (sd_bus_message_is_method_error(reply, nullptr) != 0 || !mm::read_objects(reply, found)) {
    is_listing_ = false;
    return want_listing(kListSoon);
  }
  if (!only_.empty())
    std::erase_if(found, [this](const mm::ModemObject& modem) { return modem.equipment != only_; });
  modems_.clear();
  lists_left_ = 1;
  for (const auto& modem : found) {
    const auto identity = modem.equipment.empty() ? modem.device : modem.equipment;
    listed_modems_.push_back({identity, modem.has_messaging && modem.state.value_or(kEnabled) >= kEnabled});
    if (!modem.has_messaging) continue;
    modems_[modem.path] = identity;
    ++lists_left_;
    ask(modem, mm::kMessaging, "List", [this, path = modem.path](sd_bus_message* list) {
      std::vector<std::string> paths;
      // A modem that is not enabled may refuse.
      if (sd_bus_message_is_method_error(list, nullptr) != 0 || !mm::read_paths(list, paths))
        has_not_shown(modems_[path]);
      for (auto& one : paths) {
        objects_[one].message.modem = modems_[path];
        listed_.insert(std::move(one));
      }
      end_lists();
    });
  }
  end_lists();
}

void ModemManagerMessages::end_lists() {
  if (--lists_left_ > 0) return;
  std::erase_if(objects_, [this](const auto& one) {
    if (listed_.contains(one.first)) return false;
    if (!one.second.is_read && one.second.announced) watcher_->missed(one.second.received);
    return true;
  });
  watcher_->listing({listed_.begin(), listed_.end()});
  for (const auto& path : listed_) {
    const auto& object = objects_[path];
    if (object.is_read) continue;
    listed_unread_.insert(path);
    if (!object.is_asked) read(path, object);
  }
  if (listed_unread_.empty()) end_listing();
}

void ModemManagerMessages::end_listing() {
  is_listing_ = false;
  watcher_->listed(listed_modems_);
  if (list_once_more_) list_at_ = clock_.boot();
}

void ModemManagerMessages::read(const std::string& path, Object object) {
  object.message.path = path;
  object.is_asked = true;
  objects_[path] = std::move(object);
  to_read_.push_back(path);
  read_more();
}

void ModemManagerMessages::read_more() {
  while (reading_ < kReadsMax && !to_read_.empty()) {
    const auto path = to_read_.front();
    to_read_.pop_front();
    ++reading_;
    ask({path, {}, {}, {}, false}, mm::kProperties, "GetAll", [this, path](sd_bus_message* reply) {
      --reading_;
      take_message(path, reply);
      if (listed_unread_.erase(path) > 0 && listed_unread_.empty()) end_listing();
      read_more();
    });
  }
}

void ModemManagerMessages::take_message(const std::string& path, sd_bus_message* reply) {
  const auto found = objects_.find(path);
  if (found == objects_.end()) return;
  auto& object = found->second;
  object.is_asked = false;
  if (sd_bus_message_is_method_error(reply, nullptr) == 0 && mm::read_properties(reply, object.message)) {
    object.is_read = true;
    return tell(object);
  }
  has_not_shown(object.message.modem);
  want_listing(kListSoon);  // which reads it, or shows that it is gone
}

// In the listing at hand: what it shows later may be older than the listing.
void ModemManagerMessages::has_not_shown(const std::string& modem) {
  for (auto& one : listed_modems_) one.ready = one.ready && one.identity != modem;
}

void ModemManagerMessages::tell(Object& object) {
  if (object.is_settled) return;
  watcher_->seen(object.message);
  if (!is_final(object.message)) return;
  object.is_settled = true;
  for (auto* content : {&object.message.number, &object.message.text, &object.message.data}) content->clear();
}

void ModemManagerMessages::take_owner_change(sd_bus_message* signal) {
  (void)mm::read_string(signal, 's');  // the name and its owner before
  (void)mm::read_string(signal, 's');
  const auto owner = mm::read_string(signal, 's');
  if (!owner.empty()) return begin(owner);
  forget();
  watcher_->no_manager();
}

void ModemManagerMessages::take_signal(sd_bus_message* signal) {
  const char* sender = sd_bus_message_get_sender(signal);
  const char* interface = sd_bus_message_get_interface(signal);
  const char* member = sd_bus_message_get_member(signal);
  if (owner_.empty() || sender == nullptr || owner_ != sender || interface == nullptr || member == nullptr)
    return;
  const std::string_view from(interface);
  if (from == mm::kMessaging) return take_messaging_signal(signal, member);
  if (from == mm::kProperties) return take_change(signal);
  // A modem that comes, goes, is enabled or disabled: what it has changes as a whole.
  if (from == mm::kObjectManager || (from == mm::kModem && std::string_view(member) == "StateChanged"))
    want_listing(Milliseconds(0));
}

void ModemManagerMessages::take_messaging_signal(sd_bus_message* signal, std::string_view member) {
  const auto path = mm::read_string(signal, 'o');
  const auto known = objects_.find(path);
  if (member == "Deleted") {
    listed_.erase(path);
    if (known != objects_.end()) {
      const auto gone = std::move(known->second);
      objects_.erase(known);
      if (!gone.is_read && gone.announced) watcher_->missed(gone.received);
    }
    return watcher_->deleted(path);
  }
  if (member != "Added" || path.empty()) return;
  int received = 0;
  sd_bus_message_read_basic(signal, 'b', &received);
  const auto modem = modems_.find(sd_bus_message_get_path(signal));
  if (modem == modems_.end()) return want_listing(is_listing_ || only_.empty() ? Milliseconds(0) : kListSoon);
  if (is_listing_) listed_.insert(path);
  if (known != objects_.end()) return;
  Object object;
  object.message.modem = modem->second;
  object.announced = true;
  object.received = received != 0;
  read(path, std::move(object));
}

void ModemManagerMessages::take_change(sd_bus_message* signal) {
  if (mm::read_string(signal, 's') != mm::kSms) return;
  const auto known = objects_.find(sd_bus_message_get_path(signal));
  if (known == objects_.end()) return want_listing(kListSoon);
  // One that is being read has it in the reply, which comes later than this.
  auto& object = known->second;
  const auto storage = object.message.storage;
  if (!object.is_read || !mm::read_properties(signal, object.message)) return;
  if (!object.is_settled)
    tell(object);
  else if (object.message.storage != storage)
    watcher_->seen(object.message);  // known by its path
}

}  // namespace

std::unique_ptr<ModemMessages> make_modem_messages(asio::any_io_executor loop, Clock& clock,
                                                   std::string only) {
  return std::make_unique<ModemManagerMessages>(std::move(loop), clock, std::move(only));
}

}  // namespace meterd::platform
