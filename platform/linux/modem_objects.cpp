#include "platform/linux/modem_objects.hpp"

#include <string_view>

namespace meterd::platform::modem_manager {
namespace {

// Calls `visit(name)` at the value of each entry of an a{s...}; it returns false to pass the value over.
template <class Visit>
bool each_entry(sd_bus_message* message, char key, const char* contents, const char* value, Visit visit) {
  const std::string entry(contents);
  if (sd_bus_message_enter_container(message, 'a', ("{" + entry + "}").c_str()) <= 0) return false;
  while (sd_bus_message_enter_container(message, 'e', contents) > 0) {
    const char* name = nullptr;
    if (sd_bus_message_read_basic(message, key, &name) <= 0) return false;
    if (!visit(std::string_view(name)) && sd_bus_message_skip(message, value) < 0) return false;
    if (sd_bus_message_exit_container(message) < 0) return false;
  }
  return sd_bus_message_exit_container(message) >= 0;
}

// At a variant: true if it held that type, and was taken.
template <class Value>
bool take(sd_bus_message* message, const char* type, Value& into) {
  if (sd_bus_message_enter_container(message, 'v', type) <= 0) return false;
  return sd_bus_message_read_basic(message, type[0], &into) > 0 &&
         sd_bus_message_exit_container(message) >= 0;
}

bool take_text(sd_bus_message* message, std::string& into) {
  const char* text = nullptr;
  if (!take(message, "s", text)) return false;
  into = text;
  return true;
}

bool take_octets(sd_bus_message* message, std::string& into) {
  if (sd_bus_message_enter_container(message, 'v', "ay") <= 0) return false;
  const void* bytes = nullptr;
  std::size_t size = 0;
  if (sd_bus_message_read_array(message, 'y', &bytes, &size) < 0) return false;
  into.assign(static_cast<const char*>(bytes), size);
  return sd_bus_message_exit_container(message) >= 0;
}

bool take_modem_property(sd_bus_message* message, std::string_view name, ModemObject& modem) {
  if (name == "EquipmentIdentifier") return take_text(message, modem.equipment);
  if (name == "DeviceIdentifier") return take_text(message, modem.device);
  if (name != "State") return false;
  std::int32_t state = 0;
  if (!take(message, "i", state)) return false;
  modem.state = state;
  return true;
}

bool take_message_property(sd_bus_message* message, std::string_view name, ModemMessage& into) {
  if (name == "Number") return take_text(message, into.number);
  if (name == "Text") return take_text(message, into.text);
  if (name == "Timestamp") return take_text(message, into.timestamp);
  if (name == "Data") return take_octets(message, into.data);
  std::uint32_t number = 0;
  if (name == "State" && take(message, "u", number)) {
    into.state = static_cast<MessageState>(number);
    return true;
  }
  if (name == "PduType" && take(message, "u", number)) {
    into.type = static_cast<PduType>(number);
    return true;
  }
  return name == "Storage" && take(message, "u", into.storage);
}

}  // namespace

bool read_objects(sd_bus_message* reply, std::vector<ModemObject>& modems) {
  return each_entry(reply, 'o', "oa{sa{sv}}", "a{sa{sv}}", [&](std::string_view path) {
    ModemObject modem;
    modem.path = path;
    bool is_modem = false;
    const bool read = each_entry(reply, 's', "sa{sv}", "a{sv}", [&](std::string_view interface) {
      if (interface == kMessaging) modem.has_messaging = true;
      if (interface != kModem) return false;
      is_modem = true;
      return each_entry(reply, 's', "sv", "v",
                        [&](std::string_view name) { return take_modem_property(reply, name, modem); });
    });
    if (is_modem) modems.push_back(std::move(modem));
    return read;
  });
}

bool read_properties(sd_bus_message* message, ModemMessage& into) {
  return each_entry(message, 's', "sv", "v",
                    [&](std::string_view name) { return take_message_property(message, name, into); });
}

bool read_paths(sd_bus_message* reply, std::vector<std::string>& paths) {
  if (sd_bus_message_enter_container(reply, 'a', "o") <= 0) return false;
  const char* path = nullptr;
  while (sd_bus_message_read_basic(reply, 'o', &path) > 0) paths.emplace_back(path);
  return sd_bus_message_exit_container(reply) >= 0;
}

std::string read_string(sd_bus_message* message, char type) {
  const char* text = nullptr;
  return sd_bus_message_read_basic(message, type, &text) > 0 ? text : "";
}

}  // namespace meterd::platform::modem_manager
