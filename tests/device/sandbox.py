"""The unit's sandbox, in force: what the daemon's process has, and what a process with the unit's settings, as the unit's
user, is not let do. Each attempt succeeds for the same user without those settings (the control)."""

import re

from harness import Failed

# name, what it does in Perl; system calls by their numbers on x86_64. Its end: 0 it was let.
ATTEMPTS = {
    "write outside": 'open(my $f, ">", "/srv/open/file") or exit 1;',
    "write below /home": 'open(my $f, ">", "/home/open/file") or exit 1;',
    "see another's /tmp": '-e "/tmp/somebodys" or exit 1;',
    "a new user name space": 'syscall(272, 0x10000000) == 0 or exit 1;',
    "a netlink socket": 'socket(my $s, 16, 3, 0) or exit 1;',
    "memory to write and execute": 'syscall(9, 0, 4096, 7, 0x22, -1, 0) != -1 or exit 1;',
    "another personality": 'syscall(135, 8) != -1 or exit 1;',
    "to trace": 'syscall(101, 0, 0, 0, 0) == 0 or exit 1;',
    "another priority": 'setpriority(0, 0, 19) or exit 1;',
    "a setuid file": 'open(my $f, ">", "$ENV{HOLD}/s") or exit 9; chmod(04755, "$ENV{HOLD}/s") or exit 1;',
}
# What it must be able to do, or "refused" means nothing.
ALLOWED = {"write to its journal": 'open(my $f, ">", "/var/lib/meterd/attempt") or exit 1; unlink "/var/lib/meterd/attempt";'}
PLAIN = "[Service]\nType=oneshot\nUser=meterd\nGroup=meterd\n"


def as_attempt(unit):
    """The unit's own settings, for another program that ends."""
    kept = re.sub(r"^(Type|NotifyAccess|ExecStartPre|ExecStart|ExecReload|Restart\w*|WatchdogSec|FileDescriptorStoreMax|"
                  r"Requires|After|Also|WantedBy)=.*\n", "", unit, flags=re.MULTILINE)
    return kept.replace("[Service]\n", "[Service]\nType=oneshot\n", 1)


def attempt(machine, name, unit, script):
    """The exit code of the script as a service with that unit's settings."""
    (machine.root / "usr/local/share/attempt.pl").write_text(script)
    text = unit.replace("[Service]\n", "[Service]\nEnvironment=HOLD=/var/lib/meterd\nExecStart=/usr/bin/perl /usr/local/share/attempt.pl\n", 1)
    (machine.root / f"run-{name}.service").write_text(text)
    machine.run("mkdir", "--parents", "/run/systemd/system")
    machine.run("mv", f"/run-{name}.service", f"/run/systemd/system/{name}.service")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", f"{name}.service", check=False)
    code = machine.show("ExecMainStatus", f"{name}.service")
    result = machine.show("Result", f"{name}.service")
    machine.run("systemctl", "reset-failed", f"{name}.service", check=False)
    if result not in ("success", "exit-code"):
        raise Failed(f"the attempt {script!r} ended with {result}")
    return int(code)


def of_the_process(machine):
    """What the kernel says of the daemon itself."""
    process = machine.main_process()
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    wanted = {"Seccomp": "2", "NoNewPrivs": "1", "CapEff": "0" * 16, "CapBnd": "0" * 16}
    wrong = {key: status[key] for key, value in wanted.items() if status[key] != value}
    if status["Uid"].split()[0] == "0":
        wrong["Uid"] = status["Uid"]
    with open(f"/proc/{process}/mountinfo", encoding="utf-8") as file:
        mounts = {line.split()[4]: line.split()[5].split(",") for line in file}
    if "ro" not in mounts["/"] or "rw" not in mounts["/var/lib/meterd"]:
        wrong["mounts"] = mounts["/"]
    if wrong:
        raise Failed(f"of the daemon's process: {wrong}")


def check(machine):
    of_the_process(machine)
    machine.run("mkdir", "--mode=1777", "--parents", "/srv/open", "/home/open")
    machine.run("touch", "/tmp/somebodys")
    unit = as_attempt(machine.run("cat", "/lib/systemd/system/meterd.service").stdout)
    machine.run("systemctl", "stop", "meterd.socket", "meterd.service")
    wrong = []
    for name, script in {**ATTEMPTS, **ALLOWED}.items():
        if attempt(machine, "meterd-attempt", PLAIN, script) != 0:
            wrong.append(f"{name}: refused without the sandbox too")
        if (attempt(machine, "meterd-attempt", unit, script) == 0) != (name in ALLOWED):
            wrong.append(f"{name}: {'refused' if name in ALLOWED else 'let'}")
    machine.run("systemctl", "start", "meterd.socket", "meterd.service")
    if wrong:
        raise Failed("; ".join(wrong))
    return f"{len(ATTEMPTS)} attempts refused, each let without it; the process has seccomp and no capability"
