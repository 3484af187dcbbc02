"""Reading the mdoc source of a page: its sections, lists, options, keys and examples."""

import re


def section(text, title):
    """The lines below `.Sh title`, up to the next section."""
    found = re.search(rf"^\.Sh {re.escape(title)}\n(.*?)(?=^\.Sh |\Z)", text, re.MULTILINE | re.DOTALL)
    return found.group(1).split("\n") if found else []


def items(lines):
    """(depth, words after `.It`, body) of each list item, in order; what stands in an inner list is not in the body."""
    out, open_items, depth = [], {}, 0
    for line in lines:
        if line.startswith(".Bl"):
            depth += 1
        elif line.startswith(".El"):
            open_items.pop(depth, None)
            depth -= 1
        elif line.startswith(".It"):
            open_items[depth] = [depth, line.split()[1:], ""]
            out.append(open_items[depth])
        elif depth in open_items:
            open_items[depth][2] += line + "\n"
    return out


def options_of(words):
    """The option names in a macro line: `Fl h , Fl -help` is h and help."""
    return {after.lstrip("-") for macro, after in zip(words, words[1:]) if macro == "Fl"}


def all_options(text):
    """Every option that any macro line of the page names, `Fl -help | -version` included."""
    out = set()
    for line in text.split("\n"):
        if line.startswith("."):
            words = line[1:].split()
            out |= options_of(words)
            out |= {after.lstrip("-") for bar, after in zip(words, words[1:]) if bar == "|" and after.startswith("-")}
    return out


def literal_blocks(text, title):
    """The literal blocks of a section, as they are rendered."""
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed", "\n".join(section(text, title)), re.MULTILINE | re.DOTALL)
    return [block.replace("\\e", "\\") for block in blocks]


def command_lines(text, program):
    """The words of every command line of `program` in a page: in literal blocks and quoted in prose."""
    text = text.replace("\\e\n", " ")
    line = rf"^(?:until |text=\$\(|\.[QD]l )?({program} [-a-z][^\n|&>)]*)"
    return [found.split() for found in re.findall(line, text, re.MULTILINE)]


def value_of(words):
    """`\\(dq64MiB\\(dq` as "64MiB", `Bo ... , ... Bc` as an array."""
    text = " ".join(words).replace("\\(dq", '"')
    return text.replace("Bo ", "[").replace(" Bc", "]").replace(" ,", ",")


def config_keys(text):
    """{(table, key): (value, body)} of the items `.It Cm key No = value` below `.Ss [table]` and `.Ss [[table]]`; below
    `.Ss [[table]] of kind "KIND"` the table is `table KIND`."""
    out = {}
    for part in re.split(r"^\.Ss ", "\n".join(section(text, "TABLES AND KEYS")), flags=re.MULTILINE)[1:]:
        heading, _, rest = part.partition("\n")
        heading = heading.replace("]] of kind ", " ").replace("\\(dq", "")
        for _, words, body in items(rest.split("\n")):
            if words[:1] == ["Cm"] and words[2:4] == ["No", "="]:
                out[heading.strip("[]"), words[1]] = (value_of(words[4:]), body)
    return out
