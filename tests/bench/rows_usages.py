"""The device's own Usages API over the unix socket: creates beside bare commits, and reads from a large journal."""

import contextlib
import time

import measure
import programs
from frames_load import HOT_KEYS
from table import Figure, Row
from usages_load import CONNECTIONS, Caller, encoded, quick_directory

SUBSCRIPTIONS = 300  # each may have 5,000 usages, the default
FEW, FEW_SUBSCRIPTIONS = 100, 4
CHUNK = 50_000
CREATES_A_SECOND, ANSWERS_A_SECOND = 10_000, 20_000
CREATE_ALLOWANCE_US = 1_000  # a create may take 3 bare commits and this
BY_SUBSCRIPTION, BY_DATE = "subscription_id[is]={}", "&sort_by[asc]=usage_date"


def rows(bench):
    with contextlib.ExitStack() as stack:
        caller = Caller(bench, stack, "usages", HOT_KEYS)
        yield from _creates(bench, caller)
        yield _create_alone(bench, caller)
        caller = Caller(bench, stack, "usages-places", SUBSCRIPTIONS)
        yield from _creates(bench, caller, judged=False)
    with contextlib.ExitStack() as stack:
        directory = quick_directory(bench, stack)
        many = Caller(bench, stack, "usages-many", SUBSCRIPTIONS, directory)
        few = Caller(bench, stack, "usages-few", FEW_SUBSCRIPTIONS, directory)
        yield from _large(bench, many, few)


def _bare(bench, commits):
    directory = bench.directory / "usages-commits"
    directory.mkdir(exist_ok=True)
    return programs.run(bench, "bare_commit", directory=directory, keys=1, commits=commits)


def _creates(bench, caller, judged=True):
    """So many at once as there are connections: each commit could hold as many."""
    usages, commits = bench.pick(quick=4_000, full=10_000), bench.pick(quick=100, full=200)
    caller.create(usages // 2)
    ours, theirs = programs.alternate(
        bench.pick(quick=3, full=7), lambda: caller.create(usages, seconds=2), lambda: _bare(bench, commits)
    )
    rates = Figure([told["ok"] / told["seconds"] for _, told, _ in ours])
    bare = Figure([CONNECTIONS * told["commits"] / told["seconds"] for told in theirs])
    together = Figure([told["ok"] / commits for _, told, commits in ours])
    p50 = Figure([told["p50_us"] for _, told, _ in ours])
    name = f"POST usages, {CONNECTIONS} connections, {caller.subscriptions} subscriptions"
    note = f"creates a commit {together}; answers p50 {p50} us"
    row = Row(name, "creates/s", rates, bare, f"{CONNECTIONS} a bare commit", at_least=True, note=note)
    if judged:  # either will do
        fast = rates.median >= CREATES_A_SECOND
        row.judged, row.limit = ("meterd", CREATES_A_SECOND) if fast else ("ratio", 0.5)
    yield row
    yield Row(name, "CPU us", Figure([cpu / told["ok"] * 1e6 for cpu, told, _ in ours]))


def _create_alone(bench, caller):
    commits = bench.pick(quick=200, full=300)
    _bare(bench, commits)  # the file has the size that it keeps
    ours, theirs = programs.alternate(
        bench.pick(quick=2, full=5), lambda: caller.create(commits, connections=1), lambda: _bare(bench, commits)
    )
    p50, p99 = (Figure([told[which] for _, told, _ in ours]) for which in ("p50_us", "p99_us"))
    bare = Figure([told["p50_us"] for told in theirs])
    bare_p99 = Figure([told["p99_us"] for told in theirs])
    allowed = 3 * bare.median + CREATE_ALLOWANCE_US
    note = f"p50 {p50} us; bare p99 {bare_p99} us; allowed: 3 bare commits and 1 ms"
    name = "POST usages, one at a time: p99"
    return Row(name, "us", p99, bare, "bare commit's p50", judged="meterd", limit=allowed, note=note)


def _large(bench, many, few):
    few.create(FEW)
    for caller in (many, few):  # one is as warm as the other
        if caller is many:
            first_cost = _create_cost(many, bench.pick(quick=4_000, full=CHUNK))
        caller.load("list", query="limit=10", requests=2_000)
    begun, begun_mb = many.created, measure.rss_anon_mb(many.pid)
    yield from _fill(bench, many, first_cost)
    yield from _reads(bench, many)
    for caller in (many, few):  # see Traps in README.md
        caller.stay_on_one_processor()
    for what, query, from_middle, limit in (
        ("subscription_id[is]", BY_SUBSCRIPTION, False, 1.3),
        ("subscription_id[is], by date", BY_SUBSCRIPTION + BY_DATE, False, 1.3),
        ("subscription_id[is], middle", "subscription_id[is]=sub_00001", True, 1.3),
        ("subscription_id[is], by date, middle", "subscription_id[is]=sub_00001" + BY_DATE, True, 1.3),
        ("no filter", "", False, 1.3),
        ("no filter, middle", "", True, 1.3),
        ("no filter, by date", BY_DATE, False, None),  # looks at each series, however few usages that has
    ):
        yield _page(bench, many, few, what, query, from_middle, limit)
    end_mb = measure.rss_anon_mb(many.pid)
    name = f"RssAnon, {many.created:,} usages (growth since {begun:,})"
    yield Row(name, "MB", Figure(end_mb - begun_mb), judged="meterd", limit=3.0, note=f"{end_mb:.1f} MB")


def _create_cost(caller, usages):
    cpu, told, _ = caller.create(usages)
    return cpu / told["ok"] * 1e6


def _fill(bench, caller, first_cost):
    usages, first = bench.pick(quick=20_000, full=1_000_000), caller.created
    began = time.monotonic()
    while caller.created < usages:
        last_cost = _create_cost(caller, min(first, usages - caller.created))
    note = f"all made in {time.monotonic() - began:.0f} s; journal {(_file_mb(caller)):.0f} MB"
    name = f"POST usages, the last {first:,} of {usages:,}"
    yield Row(name, "CPU us", Figure(last_cost), Figure(first_cost), f"the first {first:,}", note=note)


def _file_mb(caller):
    return (caller.meterd.journal / "data.mdb").stat().st_blocks * 512 / 2**20


def _reads(bench, caller):
    """Beside the rate what one costs: at half of the machine's two processors it is the rate that is due."""
    limit = "&limit=10"
    for what, mode, options in (
        ("GET a usage", "retrieve", {"stored": caller.created}),
        ("GET usages, 10 of a subscription", "list", {"query": encoded(BY_SUBSCRIPTION + limit)}),
        ("GET usages, 10 of a subscription, by date", "list", {"query": encoded(BY_SUBSCRIPTION + BY_DATE + limit)}),
    ):
        caller.load(mode, requests=10_000, **options)  # the pages that are read are in its map
        seconds = bench.pick(quick=1, full=3)
        told = [caller.load(mode, seconds=seconds, **options) for _ in range(bench.pick(quick=3, full=5))]
        rates = Figure([one["ok"] / one["seconds"] for _, one in told])
        costs = Figure([cpu / one["ok"] * 1e6 for cpu, one in told])
        note = f"p50 {Figure([one['p50_us'] for _, one in told])} us; {CONNECTIONS} connections"
        name = f"{what}, of {caller.created:,}"
        yield Row(name, "answers/s", rates, judged="meterd", limit=ANSWERS_A_SECOND, at_least=True, note=note)
        yield Row(name, "CPU us", costs, judged="meterd", limit=1e6 / ANSWERS_A_SECOND)


def _page(bench, many, few, what, query, from_middle, limit):
    pages = bench.pick(quick=5_000, full=10_000) if limit else 500

    def page_of(caller):
        asked = encoded(f"{query}&limit=10", caller.middle_of(query) if from_middle else None)

        def cost():
            cpu, told = caller.load("list", query=asked, requests=pages)
            if told["usages"] != 10 * told["ok"]:
                raise programs.Failed(f"not every page had 10 usages: {told}")
            return cpu / told["ok"] * 1e6

        cost()
        return cost

    ours, theirs = programs.alternate(bench.pick(quick=3, full=7), page_of(many), page_of(few))
    name = f"a page, {what}, of {many.created:,}"
    return Row(name, "CPU us", Figure(ours), Figure(theirs), f"of {FEW}", limit=limit)
