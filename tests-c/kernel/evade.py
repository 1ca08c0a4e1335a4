#!/usr/bin/env python3
"""Insertion and evasion: what the kernel's program read against what an
application of libmos was given, for every trick in tricks.py.

    evade.py play ATTACKER ROUTER HOST DIRECTORY      in the namespaces' names
    evade.py judge DIRECTORY DOCUMENT [--write]

`play` plays the tricks against the kernel and leaves tap1.pcap (at the
attacker), tap2.pcap (at the host) and kernel.json. Then `watch -d` is to make
tapN.rows with the overlap policy LINUX, and tapN.first.rows with the default.
`judge` compares, prints TAP lines, and checks that the table in the document
says the same; with --write it writes the table.
"""
import difflib
import json
import os
import platform
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import tricks                                                   # noqa: E402

# The kernel that the document is about. Another one may see things otherwise.
DOCUMENTED = "6.18"
BEGIN, END = "<!-- table: tests-c/kernel/evade.py -->\n", "<!-- end of table -->\n"
TAPS = (1, 2)


def play(attacker, router, host, directory):
    import lab as laboratory
    lab = laboratory.Lab(attacker, router, host, [f"{directory}/tap{n}.pcap" for n in TAPS])
    results, kept = [], []
    only = os.environ.get("TRICKS")
    for number, trick in enumerate(tricks.TRICKS):
        if only and trick["play"].__name__ not in only.split(",") and str(number) not in only.split(","):
            results.append(None)
            continue
        made = []

        def talk(**options):
            made.append(laboratory.Talk(lab, number, **options))
            return made[-1]
        try:
            trick["play"](talk)
            made[0].finish()
        except Exception as error:
            raise RuntimeError(f"trick {number}: {trick['group']}: {trick['title']}") from error
        results.append([(data.decode("latin-1"), end) for data, end in made[0].results])
        kept += made
    lab.close()
    with open(f"{directory}/kernel.json", "w") as file:
        json.dump(dict(release=platform.release(), results=results), file)
    # The sockets die with this process, and with them what they still send.


def monitor(path):
    """port of the host -> [(bytes, end)], in the order of the flows' ends"""
    flows = {}
    for line in open(path):
        w = line.split()
        if w[0] == "stats":
            continue
        ports = [int(address.rsplit(":", 1)[1]) for address in w[:2]]
        host_is_client = 7000 <= ports[0] < 8000
        number = (ports[0] if host_is_client else ports[1]) - 7000
        end, host_state, bytes_hex = w[8], w[10] if host_is_client else w[9], w[-1] if host_is_client else w[-2]
        data = b"" if bytes_hex == "-" else bytes.fromhex(bytes_hex)
        if host_state in ("LISTEN", "SYN_RCVD", "SYN_SENT"):
            verdict = "refused" if end == "reset" and host_state == "SYN_SENT" else "none"
        elif end == "reset":
            verdict = "closed, reset" if host_state in ("CLOSE_WAIT", "LAST_ACK", "CLOSING", "TIME_WAIT") else "reset"
        elif end == "fin" or host_state in ("CLOSE_WAIT", "LAST_ACK", "CLOSING", "TIME_WAIT", "CLOSED"):
            verdict = "closed"
        else:
            verdict = "open"
        flows.setdefault(number, []).append((data.decode("latin-1"), verdict))
    return flows


def squeeze(data):
    """Runs of a byte are counted, so that a cell stays short."""
    out, at = [], 0
    while at < len(data):
        run = 1
        while at + run < len(data) and data[at + run] == data[at]:
            run += 1
        out.append(f"{data[at]}×{run}" if run > 12 else data[at] * run)
        if run > 12 and at + run < len(data):
            out.append(" ")
        at += run
    return "".join(out)


WORDS = {"none": "no connection"}


def describe(result):
    parts = []
    for data, end in result:
        end = WORDS.get(end, end)
        parts.append(f"`{squeeze(data)}`, {end}" if data else end)
    return "; then ".join(parts)


def significant(result):
    """A flow that never became a connection counts only if it is all there is."""
    real = [(d, e) for d, e in result if e != "none" or d]
    return real or [("", "none")]


def documented(table):
    """(group, trick) -> what the kernel of the document does"""
    verdicts, group = {}, None
    for line in table.splitlines():
        if line.startswith("### "):
            group = line[4:]
        elif line.startswith("| "):
            cells = line.strip("| ").split(" | ")
            verdicts[group, cells[0]] = cells[1]
    return verdicts


def judge(directory, document, write):
    with open(f"{directory}/kernel.json") as file:
        kernel = json.load(file)
    seen = {n: monitor(f"{directory}/tap{n}.rows") for n in TAPS}
    first = {n: monitor(f"{directory}/tap{n}.first.rows") for n in TAPS}
    with open(document) as file:
        text = file.read()
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    release = ".".join(kernel["release"].split(".")[:2])
    known = documented(old) if release != DOCUMENTED else {}
    lines, tests, failures, differing = [], 0, 0, 0
    group = None
    for number, (trick, result) in enumerate(zip(tricks.TRICKS, kernel["results"])):
        if result is None:
            continue
        truth = significant([tuple(r) for r in result])
        ours = {n: significant(seen[n].get(number, [])) for n in TAPS}
        ours_first = {n: significant(first[n].get(number, [])) for n in TAPS}
        overlaps = trick["group"] == tricks.OVERLAP
        bad = []
        name = f"{trick['group']}: {trick['title']}"
        if known and known.get((trick["group"], trick["title"])) != describe(truth):
            tests += 1
            print(f"ok {tests} - {name} # SKIP not what {DOCUMENTED} does: {describe(truth)}")
            continue
        for n in TAPS:
            if (ours[n] != truth) != (n in trick["differs"]):
                bad.append(f"tap {n}: {describe(ours[n])}"
                           + (" (known to differ, but does not)" if n in trick["differs"] else ""))
            if not overlaps and ours_first[n] != ours[n]:
                bad.append(f"tap {n}, the other overlap policy: {describe(ours_first[n])}")
        if ours_first[1] != ours_first[2]:
            bad += [f"tap {n}, FIRST: {describe(ours_first[n])}" for n in TAPS if overlaps]
        tests += 1
        failures += bool(bad)
        print(f"{'not ok' if bad else 'ok'} {tests} - {name}")
        if bad:
            print(f"#   {trick['play'].__name__} ({number}): kernel: {describe(truth)}")
            for line in bad:
                print(f"#   {line}")
        if trick["group"] != group:
            group = trick["group"]
            lines.append(f"\n### {group}\n\n")
            if overlaps:
                lines.append("| trick | Linux: the program read | libmos, `…_LINUX` | libmos, `…_FIRST` | clause |\n"
                             "| --- | --- | --- | --- | --- |\n")
            else:
                lines.append("| trick | Linux: the program read | libmos | clause |\n| --- | --- | --- | --- |\n")
        differing += any(ours[n] != truth for n in TAPS)
        cells = [compared(ours, truth, trick)]
        if overlaps:
            cells.append("the same" if ours_first[1] == truth else describe(ours_first[1]))
        lines.append(f"| {trick['title']} | {describe(truth)} | {' | '.join(cells)} | {trick['clause'] or '–'} |\n")
    table = "".join(lines).lstrip("\n")
    if write:
        with open(document, "w") as file:
            file.write(head + BEGIN + "\n" + table + "\n" + END + tail)
    elif not known:
        tests += 1
        same = old.strip() == table.strip()
        print(f"{'ok' if same else 'not ok'} {tests} - {os.path.basename(document)} says what happened")
        failures += not same
        if not same:
            for line in list(difflib.unified_diff(old.strip().splitlines(), table.strip().splitlines(), "document",
                                                  "now", lineterm="", n=0))[:20]:
                print(f"#   {line}")
    print(f"# kernel {kernel['release']}: {len(tricks.TRICKS)} tricks, {differing} known differences")
    print(f"1..{tests}")
    return failures == 0


PLACES = {1: "at the attacker", 2: "at the host"}


def compared(ours, truth, trick):
    """The cell that says how what libmos delivered compares."""
    cells = {n: f"**{describe(ours[n])}**: {trick['differs'].get(n, '?')}" for n in TAPS if ours[n] != truth}
    if not cells:
        return "the same"
    if len(cells) == 1:
        (n, cell), = cells.items()
        return f"{PLACES[n]} {cell}; {PLACES[3 - n]} the same"
    if ours[1] == ours[2]:
        return cells[1]
    return "; ".join(f"{PLACES[n]} {cell}" for n, cell in cells.items())


if __name__ == "__main__":
    if sys.argv[1] == "play":
        play(*sys.argv[2:6])
    else:
        sys.exit(0 if judge(sys.argv[2], sys.argv[3], "--write" in sys.argv) else 1)
