// What ModemManager's replies and signals hold, taken out of D-Bus messages. Interfaces and types: the D-Bus
// introspection files of ModemManager 1.20 (package modemmanager-dev), which its reference manual documents.
#pragma once

#include <systemd/sd-bus.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "platform/modem_messages.hpp"

namespace meterd::platform::modem_manager {

inline constexpr const char* kName = "org.freedesktop.ModemManager1";
inline constexpr const char* kRoot = "/org/freedesktop/ModemManager1";
inline constexpr const char* kModem = "org.freedesktop.ModemManager1.Modem";
inline constexpr const char* kMessaging = "org.freedesktop.ModemManager1.Modem.Messaging";
inline constexpr const char* kSms = "org.freedesktop.ModemManager1.Sms";
inline constexpr const char* kProperties = "org.freedesktop.DBus.Properties";
inline constexpr const char* kObjectManager = "org.freedesktop.DBus.ObjectManager";

struct ModemObject {
  std::string path;
  std::string equipment, device;  // EquipmentIdentifier (the IMEI), DeviceIdentifier
  std::optional<std::int32_t> state;
  bool has_messaging = false;
};

// The reply of GetManagedObjects. False: it is not one.
bool read_objects(sd_bus_message* reply, std::vector<ModemObject>& modems);
// At an a{sv} of an Sms: sets what is there, leaves the rest. The cursor stands behind it afterwards.
bool read_properties(sd_bus_message* message, ModemMessage& into);
bool read_paths(sd_bus_message* reply, std::vector<std::string>& paths);  // ao
std::string read_string(sd_bus_message* message, char type);              // 's' or 'o'; empty: none

}  // namespace meterd::platform::modem_manager
