"""The device's own Usages API over the unix socket: creates beside bare commits, reads from a large journal.

Every usage is a call of its own, with an id in no order and a usage_date of its own; the upstream cannot be reached,
so all of them wait."""

import contextlib
import time
from urllib.parse import quote

import measure
import programs
from table import Figure, Row

CONNECTIONS = 64
SUBSCRIPTIONS = 300  # with the default lifetime_limit of 5,000 they may have 1,500,000 usages
FEW, FEW_SUBSCRIPTIONS = 100, 4
FIRST_DATE = 1_700_000_000  # usage n has this and n seconds, as load_usages has it
CHUNK = 50_000
CREATES_A_SECOND, ANSWERS_A_SECOND = 10_000, 20_000
CREATE_ALLOWANCE_US = 1_000  # a create may take 3 bare commits and this
MAX_SIZE = "2GiB"


def rows(bench):
    with contextlib.ExitStack() as stack:
        many = _Device(bench, stack, "usages-many", SUBSCRIPTIONS)
        few = _Device(bench, stack, "usages-few", FEW_SUBSCRIPTIONS)
        few.create(requests=FEW)
        few.load("list", query="limit=10", requests=1_000)  # as warm as the other
        yield from _creates(bench, many)
        yield _create_alone(bench, many)
        begun_mb, begun = measure.rss_anon_mb(many.pid), many.created
        began = time.monotonic()
        many.fill(bench.pick(quick=20_000, full=1_000_000))
        note = f"{many.created - begun:,} created in {time.monotonic() - began:.0f} s"
        yield from _creates(bench, many, judged=False)
        yield from _reads(bench, many)
        for what, query, middle in (
            ("subscription_id[is]", "subscription_id[is]={}", False),
            ("subscription_id[is], by date", "subscription_id[is]={}&sort_by[asc]=usage_date", False),
            ("subscription_id[is], middle", "subscription_id[is]=sub_00001", True),
            ("subscription_id[is], by date, middle", "subscription_id[is]=sub_00001&sort_by[asc]=usage_date", True),
            ("no filter", "", False),
            ("no filter, middle", "", True),
        ):
            yield _page(bench, many, few, what, query, middle)
        # One usage a series at least is looked at: this costs what there are series, not usages.
        yield _page(bench, many, few, "no filter, by date", "sort_by[asc]=usage_date", False, limit=None)
        end_mb = measure.rss_anon_mb(many.pid)
        name = f"RssAnon, {many.created:,} usages and all this (growth since {begun:,})"
        yield Row(name, "MB", Figure(end_mb - begun_mb), judged="meterd", limit=3.0, note=f"{end_mb:.1f} MB; {note}")


class _Device:
    """A meterd whose upstream cannot be reached, and how many usages it was given."""

    def __init__(self, bench, stack, name, subscriptions):
        self._bench = bench
        self.meterd = programs.Meterd(bench, name, upstream=programs.UNREACHABLE, max_size=MAX_SIZE)
        self.meterd.start()
        stack.callback(self.meterd.stop)
        self.subscriptions = subscriptions
        self.created = 0

    @property
    def pid(self):
        return self.meterd.pid

    def load(self, mode, **options):
        """(processor seconds of meterd, what the load told)."""
        options |= {"socket": self.meterd.api, "subscriptions": self.subscriptions, "mode": mode}
        cpu, told = programs.cpu_of(self.meterd, lambda: programs.run(self._bench, "load_usages", **options))
        if told["refused"] or not told["ok"]:
            raise programs.Failed(f"calls were refused: {told}")
        return cpu, told

    def create(self, **options):
        """The same, and how many commits there were."""
        before = self.meterd.commits()
        cpu, told = self.load("create", first=self.created, **options)
        self.created += told["ok"]
        waiting = self.meterd.status()["upstreams"][0]["waiting"]
        if waiting != self.created:
            raise programs.Failed(f"{self.created:,} usages were created, but meterd says that {waiting:,} wait")
        return cpu, told, self.meterd.commits() - before

    def fill(self, usages):
        while self.created < usages:
            self.create(requests=min(CHUNK, usages - self.created))

    def middle_offset(self, query):
        """The offset of the page that begins in the middle: where a search for the later half stops first."""
        search = f"{query}&usage_date[after]={FIRST_DATE + self.created // 2}&limit=1"
        offset = None
        while True:
            answer = self.meterd.get("/api/v2/usages?" + _encoded(search, offset))
            offset = answer["next_offset"]
            if answer["list"]:
                return offset


def _encoded(query, offset=None):
    text = query.strip("&").replace("[", "%5B").replace("]", "%5D")
    return text + (f"&offset={quote(offset, safe='')}" if offset else "")


def _bare(bench, commits):
    directory = bench.directory / "usages-commits"
    directory.mkdir(exist_ok=True)
    return programs.run(bench, "bare_commit", directory=directory, keys=1, commits=commits)


def _creates(bench, device, judged=True):
    """So many at once as connections: one bare commit could hold them all."""
    stored = device.created
    ours, theirs = programs.alternate(
        bench.pick(quick=3, full=5),
        lambda: device.create(connections=CONNECTIONS, seconds=bench.pick(quick=1, full=3)),
        lambda: _bare(bench, 300),
    )
    rates = Figure([told["ok"] / told["seconds"] for _, told, _ in ours])
    bare = Figure([CONNECTIONS * told["commits"] / told["seconds"] for told in theirs])
    together = Figure([told["ok"] / commits for _, told, commits in ours])
    p50 = Figure([told["p50_us"] for _, told, _ in ours])
    name = f"POST usages, {CONNECTIONS} connections" + (f", {stored:,} stored" if stored else "")
    note = f"creates a commit {together}; answers p50 {p50} us"
    row = Row(name, "creates/s", rates, bare, f"{CONNECTIONS} a bare commit", note=note)
    if judged:  # either will do
        fast = rates.median >= CREATES_A_SECOND
        row.judged, row.limit, row.at_least = ("meterd", CREATES_A_SECOND, True) if fast else ("ratio", 0.5, True)
    yield row
    yield Row(name, "CPU us", Figure([cpu / told["ok"] * 1e6 for cpu, told, _ in ours]))


def _create_alone(bench, device):
    commits = bench.pick(quick=300, full=1_000)
    _bare(bench, commits)  # the file has the size that it keeps
    ours, theirs = programs.alternate(
        bench.pick(quick=3, full=7),
        lambda: device.create(connections=1, requests=commits),
        lambda: _bare(bench, commits),
    )
    p50, p99 = (Figure([told[which] for _, told, _ in ours]) for which in ("p50_us", "p99_us"))
    bare = Figure([told["p50_us"] for told in theirs])
    bare_p99 = Figure([told["p99_us"] for told in theirs])
    note = f"p50 {p50} us; bare p99 {bare_p99} us; allowed: 3 bare commits and 1 ms"
    allowed = 3 * bare.median + CREATE_ALLOWANCE_US
    return Row("POST usages, one at a time: p99", "us", p99, bare, "bare commit", judged="meterd", limit=allowed, note=note)


def _reads(bench, device):
    by_subscription = "subscription_id[is]={}&limit=10"
    for name, mode, options in (
        ("GET a usage", "retrieve", {"stored": device.created}),
        ("GET usages, 10 of a subscription", "list", {"query": _encoded(by_subscription)}),
        ("the same by usage_date", "list", {"query": _encoded(by_subscription + "&sort_by[asc]=usage_date")}),
    ):
        seconds = bench.pick(quick=1, full=3)
        told = [device.load(mode, seconds=seconds, **options) for _ in range(bench.pick(quick=3, full=5))]
        rates = Figure([one["ok"] / one["seconds"] for _, one in told])
        costs = Figure([cpu / one["ok"] * 1e6 for cpu, one in told])
        note = f"CPU {costs} us each; p50 {Figure([one['p50_us'] for _, one in told])} us"
        name = f"{name}, {device.created:,} stored"
        yield Row(name, "answers/s", rates, judged="meterd", limit=ANSWERS_A_SECOND, at_least=True, note=note)


def _page(bench, many, few, what, query, from_middle, limit=1.3):
    def of(device):
        text = f"{query}&limit=10"
        asked = _encoded(text, device.middle_offset(query) if from_middle else None)

        def run():
            cpu, told = device.load("list", query=asked, requests=bench.pick(quick=3_000, full=10_000))
            if told["usages"] != 10 * told["ok"]:
                raise programs.Failed(f"not every page had 10 usages: {told}")
            return cpu / told["ok"] * 1e6

        return run

    ours, theirs = programs.alternate(bench.pick(quick=3, full=5), of(many), of(few))
    name = f"a page, {what}, of {many.created:,}"
    return Row(name, "CPU us", Figure(ours), Figure(theirs), f"of {FEW}", limit=limit)
