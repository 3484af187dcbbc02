"""A service with systemd-timedated's shape on the bus of DBUS_SYSTEM_BUS_ADDRESS. A line on standard input, "yes" or "no", is
what it says from then on; each question prints what it was answered."""

import os
import sys

import dbus
import dbus.bus
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

NAME = "org.freedesktop.timedate1"


class Timedated(dbus.service.Object):
    synchronised = False

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        if (interface, name) != (NAME, "NTPSynchronized"):
            raise dbus.exceptions.DBusException("no such property", name="org.freedesktop.DBus.Error.UnknownProperty")
        print("yes" if self.synchronised else "no", flush=True)
        return dbus.Boolean(self.synchronised)


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    connection = dbus.bus.BusConnection(os.environ["DBUS_SYSTEM_BUS_ADDRESS"])
    service = Timedated(connection, "/org/freedesktop/timedate1")
    connection.request_name(NAME)
    loop = GLib.MainLoop()

    def told(source, _condition):
        line = source.readline()
        if not line:
            loop.quit()
            return False
        service.synchronised = line == "yes\n"
        print("told", flush=True)
        return True

    GLib.io_add_watch(sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, told)
    print("ready", flush=True)
    loop.run()


main()
