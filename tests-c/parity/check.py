#!/usr/bin/env python3
"""Compares what the program `parity` prints with what it has to print. TAP.

    check.py PARITY own             cases/*.packets with cases/*.expected
    check.py PARITY shared DIR      the captures of DIR (…/shared/parity) with
                                    expected/*.txt, with both of the original's
                                    logs, and with differences.txt

    --write (last): writes the expected files anew instead. Each line of what
    changed then has to be read against the specification, by a person.

A case passes if it prints exactly the expected lines and stands to the
original's two logs as differences.txt says: a case that is not listed there
must be as one of them, a listed one must differ from both."""
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LINE = re.compile(r"^([SFRPA]* *) seq=(\d+) ack=(\d+) len=(\d+)((?: (?:off|flow)=\d+)*) *(.*)$")
TOKEN = re.compile(r"\[[^\]]*\]|[A-Z]+@\w+(?:\{[^}]*\})?")
EMPTY_READ = re.compile(r"ND@N.\{CLI=none@\d+ SVR=none@\d+\}$")
ORDINARY = re.compile(r"\[\S+\] PI@S[cs] PI@R[cs]( ND@N[cs]\{CLI=\S+ SVR=\S+\})?$")


def run(parity, trace):
    """The program's output; None and why if it failed."""
    try:
        p = subprocess.run([parity, trace], capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return None, "took longer than 60 s"
    if p.returncode or p.stderr:
        return None, f"status {p.returncode}: {p.stderr.strip()}"
    return p.stdout, None


def digest(text):
    """A long log, without the packets of which nothing is to be said but that
    they came, and with the sum of what was read."""
    kept, ordinary, reads, total = [], 0, 0, {"CLI": 0, "SVR": 0}
    for line in text.splitlines():
        for read in re.findall(r"ND@N.\{([^}]*)\}", line):
            reads += 1
            for side, what in (part.split("=") for part in read.split()):
                total[side] += sum(int(n) for n in re.findall(r"(?:^|\+)(\d+)@", what))
        if ORDINARY.search(line):
            ordinary += 1
        else:
            kept.append(line)
    kept.append(f"and {ordinary} packets with nothing but PKT_IN and NEW_DATA; "
                f"{reads} NEW_DATA in all: CLI {total['CLI']} bytes, SVR {total['SVR']}")
    return "\n".join(kept) + "\n"


def events(text):
    """[(packet, [(states, event)])]. Neighbouring lines of equal packets are
    one: the original's logs do not tell them apart. Without offsets, flow
    numbers and mtcp_ppeek() results, which are ours."""
    packets = []
    for line in text.splitlines():
        if not line:
            continue
        match = LINE.match(line)
        if not match:
            raise ValueError(f"not a line of the log: {line!r}")
        packet = (match[1].strip(), match[2], match[3], match[4])
        if not packets or packets[-1][0] != packet:
            packets.append((packet, []))
        states = ""
        for token in TOKEN.findall(re.sub(r"\{pp[^}]*\}", "", match[6])):
            if token[0] == "[":
                states = token
            else:
                packets[-1][1].append((states, token))
    return packets


def common_rules(packets):
    """The original's log with the differences that stand in every case, the
    lines with * of differences.txt."""
    result = []
    for packet, before in packets:
        after, at = [], 0
        while at < len(before):
            states, event = before[at]
            if EMPTY_READ.match(event):                                    # fin-new-data
                at += 1
            elif [e[:2] for _, e in before[at:at + 8]] == ["TS", "CE"] * 4:  # end
                after += [("[CLOSED/CLOSED]", e) for _, e in before[at:at + 8]]
                at += 8
            else:
                after.append((states.replace("[SYN_SENT/ERR]", "[SYN_SENT/LISTEN]"), event))  # listen
                at += 1
        result.append((packet, after))
    return result


def load_logs(path):
    logs = {}
    for block in path.read_text().split("== ")[1:]:
        name, _, text = block.partition("\n")
        logs[name.strip()] = common_rules(events(text))
    return logs


def load_differences():
    table = {}
    for number, line in enumerate((HERE / "differences.txt").read_text().splitlines(), 1):
        if not line or line[0] in "#*":
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 3 or not all(parts) or not re.match(r"02-monitor §\d", parts[1]) or parts[0] in table:
            sys.exit(f"differences.txt:{number}: not `case | 02-monitor §… | why`, or twice")
        table[parts[0]] = parts[1]
    return table


class Tap:
    def __init__(self):
        self.count = self.bad = 0

    def report(self, passed, what, details=()):
        self.count += 1
        self.bad += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {what}")
        for line in list(details)[:8]:
            print(f"  {line}")


def compare(tap, name, text, why, path, write, say):
    """The golden file; `say` is called if that fits."""
    if text is None:
        tap.report(False, name, [why])
        return
    if write:
        path.write_text(text)
    expected = path.read_text() if path.exists() else ""
    if text == expected:
        tap.report(*say())
        return
    ours, theirs = text.splitlines(), expected.splitlines()
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    tap.report(False, f"{name}: line {at + 1} is not as expected/{path.name} has it",
               ["got:  " + "".join(ours[at:at + 1]), "want: " + "".join(theirs[at:at + 1])])


def own(parity, write):
    tap = Tap()
    with tempfile.TemporaryDirectory() as work:
        for packets in sorted((HERE / "cases").glob("*.packets")):
            trace = f"{work}/{packets.stem}.pcap"
            subprocess.run([sys.executable, HERE / "make_trace.py", packets, trace], check=True)
            text, why = run(parity, trace)
            compare(tap, packets.stem, text, why, packets.with_suffix(".expected"), write,
                    lambda: (True, packets.stem))
    return tap


def shared(parity, directory, write):
    tap = Tap()
    differences = load_differences()
    resilient, strict = (load_logs(directory / f"original-{build}.txt") for build in ("resilient", "strict"))
    counts = dict.fromkeys(("both", "resilient", "strict", "neither", "no log"), 0)
    captures = sorted((directory / "captures").glob("*.pcap"))
    for capture in captures:
        name = capture.stem
        text, why = run(parity, str(capture))
        if text is not None and text.count("\n") > 300:
            text = digest(text)

        def say(name=name, text=text):
            listed = differences.pop(name, None)
            if name not in resilient:
                counts["no log"] += 1
                return listed is None, f"{name}: as expected; the original's log does not have it"
            ours = events(text)
            as_resilient, as_strict = ours == resilient[name], ours == strict[name]
            kind = "both" if as_resilient and as_strict else "resilient" if as_resilient else \
                "strict" if as_strict else "neither"
            counts[kind] += 1
            if kind == "neither":
                return listed is not None, f"{name}: differs from both builds, " + (
                    f"as {listed} asks" if listed else "and differences.txt does not say why")
            what = "both builds" if kind == "both" else f"the original's {kind} build"
            return listed is None, f"{name}: as {what}" + (" although differences.txt lists it" if listed else "")

        compare(tap, name, text, why, HERE / "expected" / f"{name}.txt", write, say)
    for name in list(differences):
        tap.report((directory / "captures" / f"{name}.pcap").exists(), f"{name}: listed, and did not pass"
                   if (directory / "captures" / f"{name}.pcap").exists() else f"{name}: listed, but no such capture")
    unknown = {p.stem for p in (HERE / "expected").glob("*.txt")} - {p.stem for p in captures}
    tap.report(not unknown, "every expected file has its capture", sorted(unknown))
    print(f"# {len(captures)} captures: {counts['both']} as both builds of the original, "
          f"{counts['resilient']} as the resilient one, {counts['strict']} as the strict one, "
          f"{counts['neither']} differ from both and are listed with their clause, {counts['no log']} without a log")
    return tap


def main():
    arguments = sys.argv[1:]
    write = arguments[-1:] == ["--write"]
    if write:
        arguments.pop()
    if len(arguments) == 2 and arguments[1] == "own":
        tap = own(arguments[0], write)
    elif len(arguments) == 3 and arguments[1] == "shared":
        tap = shared(arguments[0], pathlib.Path(arguments[2]), write)
    else:
        sys.exit(__doc__)
    print(f"1..{tap.count}")
    sys.exit(tap.bad > 0)


main()
