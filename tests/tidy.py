#!/usr/bin/env python3
"""The project's own rules, checked on the text: layers, sizes, names, and traps of this compiler.

Each complaint says what to do instead. Exit 1 if there is any. `--self-test` proves that each rule can fail.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOP_LEVEL = {"CMakeLists.txt", "agent", "proto", "platform", "toolchains", "tests", "systemd", "README.md", "LICENSE"}
FILE_LINES_MAX = 400

# What each layer may include, besides itself. CMake's link lines are the first lock, this is the second.
LAYERS = {
    "agent/libmeter": [],
    "agent/base": [],
    "agent/meter": ["agent/base"],
    "agent/journal": ["agent/base", "agent/meter", "platform"],
    "agent/ingest": ["agent/base", "agent/meter", "agent/journal", "platform"],
    "agent/source": ["agent/libmeter", "agent/base", "agent/meter", "agent/journal", "agent/ingest", "platform"],
    "agent/upstream": ["agent/base", "agent/meter", "platform"],
    "agent/flush": ["agent/base", "agent/meter", "agent/journal", "agent/upstream", "platform"],
    "agent/usages": ["agent/base", "agent/meter", "agent/journal", "agent/upstream", "agent/flush", "platform"],
    "agent/statement": ["agent/base"],
    "agent/api": ["agent/base", "agent/meter", "agent/journal", "agent/ingest", "agent/source", "agent/upstream", "agent/flush",
                  "agent/usages", "agent/statement", "platform"],
    "agent/ctl": ["agent/base", "agent/ctl/offline"],
    "agent/ctl/offline": ["agent/base", "agent/ctl", "agent/journal", "platform", "platform/linux"],
    "agent/app": ["agent/base", "agent/meter", "agent/journal", "agent/ingest", "agent/source", "agent/upstream", "agent/flush",
                  "agent/usages", "agent/statement", "agent/api", "platform", "platform/linux"],
    "platform": ["agent/base", "platform"],
}
# Headers that only these files may include.
ONLY_IN = {
    "<lmdb.h>": ["agent/journal/lmdb.cpp"],
    "<boost/beast": ["agent/upstream/http_client.cpp", "agent/upstream/dialer.cpp", "agent/upstream/dialer.hpp",
                     "agent/api/request_reader.cpp", "agent/ctl/client.cpp", "platform/asio.cpp"],
    "<hpdf": ["agent/statement/document.cpp"],
    "<toml++": ["agent/app/config_toml.cpp"],
    "<CLI/": ["agent/app/main.cpp", "agent/ctl/"],
    "<sys/timex.h>": ["platform/linux/"],
    "<systemd/sd-bus.h>": ["platform/linux/"],
}
FORBIDDEN = [
    (re.compile(r"\b(TODO|FIXME|XXX|HACK)\b"), "finish it, or say it in DESIGN.md", r"\.(cpp|hpp|py|proto)$"),
    (re.compile(r"\busing namespace (?!std::string_literals|std::chrono_literals)"), "write the name out", r"\.(cpp|hpp)$"),
    (re.compile(r"GTEST_SKIP|DISABLED_|sleep_for|\busleep\("), "wait for the condition, with a deadline", r"^tests/.*\.(cpp|hpp)$"),
    (re.compile(r"std::chrono::system_clock::now|std::time\(|gettimeofday"), "take the time from platform::Clock", r"^agent/"),
    (re.compile(r"\b(X509_cmp_\w*time|X509_time_adj\w*|X509_VERIFY_PARAM_set_time|ASN1_TIME_(set|adj)|gmtime\w*|localtime\w*|mktime|timegm)\("),
     "a library's time_t may have 32 bits: count in Seconds", r"^(agent|platform)/"),
    (re.compile(r"\b(double|float)\b"), "quantities and money are exact decimals", r"^agent/.*\.(cpp|hpp)$"),
]


def tracked():
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split("\n")
    return [name for name in names if name and (ROOT / name).is_file()]


def layer_of(name):
    if name.startswith("platform/"):
        return "platform"
    if name.startswith("agent/ctl/offline/"):
        return "agent/ctl/offline"
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] == "agent" and len(parts) > 2 else None


def without_comments(line):
    return line.split("//", 1)[0]


def check_includes(name, text):
    layer = layer_of(name)
    for number, line in enumerate(text.split("\n"), 1):
        found = re.match(r'#include ([<"][^>"]+[>"])', line)
        if not found:
            continue
        header = found.group(1)
        for prefix, places in ONLY_IN.items():
            if header.startswith(prefix) and not name.startswith("tests/") and not any(name.startswith(p) for p in places):
                yield f"{name}:{number}: {header} belongs in {', '.join(places)} only"
        if layer is None or not header.startswith('"'):
            continue
        path = header.strip('"')
        target = "platform/linux" if path.startswith("platform/linux/") else layer_of(path)
        if target is None or target == layer or target in LAYERS[layer]:
            continue
        if target == "platform/linux" and layer == "platform":
            continue
        yield f"{name}:{number}: {layer} may not include {target} (see LAYERS in tests/tidy.py and agent/DESIGN.md)"


def check_closures_in_co_await(name, text):
    """g++ 12 copies such a closure bit by bit and destroys it twice."""
    for start in re.finditer(r"\bco_await\b", text):
        depth, end = 0, start.end()
        while end < len(text) and not (text[end] == ";" and depth <= 0):
            depth += text[end] in "({["
            depth -= text[end] in ")}]"
            end += 1
        if re.search(r"[(,]\s*\[[^\]]*\]\s*[({]", text[start.start():end]):
            yield f"{name}:{text[:start.start()].count(chr(10)) + 1}: name the lambda before the co_await"


def check_co_await_in_a_choice(name, text):
    """g++ 12 destroys what such an expression gives twice."""
    for found in re.finditer(r"[^?:;{}]\?[^?:;{}]*\bco_await\b[^;]*?:|\?[^;{}:]*[^:]:\s*co_await\b", text):
        yield f"{name}:{text[:found.end()].count(chr(10)) + 1}: write if and else instead of a co_await between ? and :"


def check_logging(name, text):
    """What an operator reads: an error says what to do, and no line holds what may be secret or personal."""
    for call in re.finditer(r"\blog_?\.(error|warning|info)\(", text):
        depth, end = 1, call.end()
        while end < len(text) and depth:
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
        arguments, line = text[call.end():end], text[:call.start()].count("\n") + 1
        if call.group(1) == "error" and '{"do",' not in arguments:
            yield f'{name}:{line}: an error needs an operator: say what to do in a field "do", or make it a warning'
        found = re.search(r'\{"(subscription\w*|event_id|url|key|token|body|payload)",', arguments)
        if found:
            yield f"{name}:{line}: {found.group(1)} does not belong in the log (agent/base/log.hpp)"


def check_text(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        for pattern, advice, where in FORBIDDEN:
            if re.search(where, name) and name != "tests/tidy.py" and pattern.search(without_comments(line)
                                                                                  if "TODO" not in pattern.pattern else line):
                yield f"{name}:{number}: {pattern.search(line).group(0)!r}: {advice}"


def check_file(name, text):
    if name.split("/")[0] not in TOP_LEVEL and not name.startswith("."):
        yield f"{name}: not one of the agreed top-level entries {sorted(TOP_LEVEL)}"
    if re.search(r"\.(cpp|hpp|py|sh)$", name):
        lines = text.count("\n")
        if lines > FILE_LINES_MAX:
            yield f"{name}: {lines} lines; split it at a seam (at most {FILE_LINES_MAX})"
        yield from check_text(name, text)
    if re.search(r"\.(cpp|hpp)$", name):
        yield from check_includes(name, text)
        yield from check_closures_in_co_await(name, text)
        yield from check_co_await_in_a_choice(name, text)
    if re.search(r"^(agent|platform)/.*\.(cpp|hpp)$", name):
        yield from check_logging(name, text)


def check_tests_are_built(names):
    cmake = "".join((ROOT / name).read_text() for name in names if name.endswith("CMakeLists.txt"))
    for name in names:
        base = name.rsplit("/", 1)[-1]
        if base.endswith("_test.cpp") and base not in cmake:
            yield f"{name}: no CMakeLists.txt builds it"


def complaints():
    names = tracked()
    for name in names:
        try:
            text = (ROOT / name).read_text()
        except UnicodeDecodeError:
            continue
        yield from check_file(name, text)
    yield from check_tests_are_built(names)


def self_test():
    bad = {
        "agent/meter/x.cpp": '#include "agent/journal/journal.hpp"\n',
        "agent/ingest/x.cpp": "#include <lmdb.h>\n",
        "agent/flush/x.cpp": "void f() { co_await run_on(e, [a] { return 1; }); }\n",
        "agent/flush/z.cpp": "auto r = wanted ? co_await fetch(a, b) : Result<T>(error);\n",
        "agent/flush/y.cpp": 'log_.error("sealing (all) failed", {{"error", text("do")}});\n',
        "agent/api/y.cpp": 'deps.log.info("counted", {{"subscription", id}});\n',
        "agent/base/x.hpp": "double quantity;\n",
        "agent/base/y.cpp": "// TODO\n",
        "agent/upstream/x.cpp": "X509_cmp_time(until, nullptr);\n",
        "tests/base/x_test.cpp": "std::this_thread::sleep_for(1s);\n",
        "scripts/x.sh": "echo\n",
        "agent/api/long.cpp": "\n" * (FILE_LINES_MAX + 1),
    }
    silent = [name for name, text in bad.items() if not list(check_file(name, text))]
    for name in silent:
        print(f"tidy's own test: nothing was said of {name}")
    return not silent


def main():
    if not self_test():
        return 1
    found = list(complaints())
    print("\n".join(found) if found else "tidy: nothing to complain about")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
