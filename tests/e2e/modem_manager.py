"""A service with ModemManager's shape on the bus of DBUS_SYSTEM_BUS_ADDRESS: one modem, and messages that a test makes.

Commands are JSON lines on standard input, each answered by one on standard output:
  {"op": "make", "to_us": bool, "stored": bool, "number": S, "time": S, "text": S, "signals": N} -> its handle
  {"op": "state", "handle": H, "state": N, "text": S or null, "signals": N}
  {"op": "delete", "handle": H}
  {"op": "restart"}: another unique name, paths from 0, and of the messages what the modem has stored
  {"op": "disable"}: the message objects go without a signal, and others come with Added, in the same run
`signals`: how often each is sent; 0 loses it. `--other-times`: stored messages come back with another time.
"""

import json
import os
import sys

import dbus
import dbus.bus
import dbus.lowlevel
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME, ROOT = "org.freedesktop.ModemManager1", "/org/freedesktop/ModemManager1"
MODEM = ROOT + "/Modem/0"
SMS, MESSAGING = NAME + ".Sms", NAME + ".Modem.Messaging"
PROPERTIES = "org.freedesktop.DBus.Properties"
DELIVER, SUBMIT = 1, 2
UNKNOWN, STORED, RECEIVING, RECEIVED, SENDING, SENT = range(6)


class Manager:
    def __init__(self, other_times):
        self.other_times = other_times
        self.next_handle = 0
        self.messages = {}  # handle -> properties, oldest first
        self.connection = None
        self.connect()

    def connect(self):
        self.connection = dbus.bus.BusConnection(os.environ["DBUS_SYSTEM_BUS_ADDRESS"])
        self.connection.set_exit_on_disconnect(False)
        self.next_path = 0
        for message in self.messages.values():
            self.put(message)
        self.objects = Objects(self.connection, self)
        self.connection.request_name(NAME, dbus.bus.NAME_FLAG_DO_NOT_QUEUE)

    def put(self, message):
        message["path"] = f"{ROOT}/SMS/{self.next_path}"
        self.next_path += 1

    def at(self, path):
        return next((one for one in self.messages.values() if one["path"] == path), None)

    def emit(self, path, interface, member, signature, *arguments):
        signal = dbus.lowlevel.SignalMessage(path, interface, member)
        signal.append(*arguments, signature=signature)
        self.connection.send_message(signal)

    def added(self, message):
        self.emit(MODEM, MESSAGING, "Added", "ob", message["path"], message["PduType"] == DELIVER)

    def make(self, to_us, stored, number, time, text, signals):
        handle, self.next_handle = self.next_handle, self.next_handle + 1
        message = {"State": RECEIVING if to_us else UNKNOWN, "PduType": DELIVER if to_us else SUBMIT, "Number": number,
                   "Timestamp": time, "Text": text, "Storage": 1 if stored else 0}
        self.messages[handle] = message
        self.put(message)
        for _ in range(signals):
            self.added(message)
        return handle

    def state(self, handle, state, text, signals):
        message = self.messages[handle]
        message["State"] = state
        changed = dbus.Dictionary({"State": dbus.UInt32(state)}, signature="sv")
        if text is not None:
            message["Text"] = changed["Text"] = text
        for _ in range(signals):
            self.emit(message["path"], PROPERTIES, "PropertiesChanged", "sa{sv}as", SMS, changed,
                      dbus.Array([], signature="s"))

    def delete(self, handle):
        message = self.messages.pop(handle)
        self.emit(MODEM, MESSAGING, "Deleted", "o", message["path"])

    def lose_what_is_not_stored(self):
        self.messages = {handle: one for handle, one in self.messages.items()
                         if one["Storage"] and one["State"] in (RECEIVED, SENT)}
        if self.other_times:
            for message in self.messages.values():
                message["Timestamp"] += "+"

    def restart(self):
        self.connection.close()
        self.lose_what_is_not_stored()
        self.connect()

    def disable(self):
        self.lose_what_is_not_stored()
        for message in self.messages.values():
            self.put(message)
        for message in self.messages.values():
            self.added(message)
        self.emit(MODEM, NAME + ".Modem", "StateChanged", "iiu", 3, 8, 1)


class Objects(dbus.service.FallbackObject):
    def __init__(self, connection, manager):
        super().__init__(connection, ROOT)
        self.manager = manager

    @dbus.service.method("org.freedesktop.DBus.ObjectManager", out_signature="a{oa{sa{sv}}}")
    def GetManagedObjects(self):
        modem = {"EquipmentIdentifier": "490154203237518", "DeviceIdentifier": "0011", "State": dbus.Int32(8),
                 "OwnNumbers": dbus.Array(["+15550199"], signature="s"),
                 "SignalQuality": dbus.Struct((dbus.UInt32(60), True), signature="ub")}
        messaging = {"Messages": dbus.Array([], signature="o"), "DefaultStorage": dbus.UInt32(2)}
        return {dbus.ObjectPath(MODEM): {NAME + ".Modem": modem, MESSAGING: messaging}}

    @dbus.service.method(MESSAGING, out_signature="ao")
    def List(self):
        return [one["path"] for one in reversed(self.manager.messages.values())]

    @dbus.service.method(PROPERTIES, in_signature="s", out_signature="a{sv}", path_keyword="path")
    def GetAll(self, interface, path):
        message = self.manager.at(path) if path.startswith(ROOT + "/SMS/") else None
        if message is None or interface != SMS:
            raise dbus.exceptions.DBusException("no such object", name="org.freedesktop.DBus.Error.UnknownObject")
        numbers = {name: dbus.UInt32(message[name]) for name in ("State", "PduType", "Storage")}
        texts = {name: message[name] for name in ("Number", "Timestamp", "Text")}
        other = {"Data": dbus.ByteArray(b""), "Class": dbus.Int32(-1), "SMSC": "", "MessageReference": dbus.UInt32(0),
                 "Validity": dbus.Struct((dbus.UInt32(0), dbus.UInt32(0)), signature="uv")}
        return {**other, **numbers, **texts}


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    manager = Manager("--other-times" in sys.argv)
    loop = GLib.MainLoop()

    def command(source, _condition):
        line = source.readline()
        if not line:
            loop.quit()
            return False
        arguments = json.loads(line)
        answer = getattr(manager, arguments.pop("op"))(**arguments)
        manager.connection.flush()
        print(json.dumps(answer), flush=True)
        return True

    GLib.io_add_watch(sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, command)
    print("ready", flush=True)
    loop.run()


main()
