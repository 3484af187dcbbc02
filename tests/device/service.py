"""The service on a booted system, as its systemd sees it; `run` is the system's own way to run a command in it."""


class Service:
    def run(self, *command, check=True):
        raise NotImplementedError

    def tail(self, lines=60):
        return self.run("journalctl", "--unit", "meterd", "--no-pager", "--lines", str(lines), check=False).stdout

    def show(self, what, unit="meterd.service"):
        return self.run("systemctl", "show", "--property", what, "--value", unit).stdout.strip()

    def restarts(self):
        return int(self.show("NRestarts"))

    def ready_ms(self):
        """From the start of the program to READY=1, as systemd saw it."""
        return (int(self.show("ActiveEnterTimestampMonotonic")) - int(self.show("ExecMainStartTimestampMonotonic"))) / 1000

    def log(self, event):
        """The daemon's lines of an event, of this boot."""
        text = self.run("journalctl", "--boot", "--unit", "meterd", "--output", "cat", "--no-pager").stdout
        return [line for line in text.splitlines() if line.startswith(f"event={event} ")]
