#!/usr/bin/env python3
"""Compares the streams that the program `streams` prints with the truth. TAP.

    check.py STREAMS web TRACE.pcap TRUTH.json    what the programs at the ends
                   wrote and read, with several bursts and contexts
    check.py STREAMS rows DIR      each complete row of DIR/expected.json (SYN
                   seen, no hole, no conflict); others are in differences.txt
    check.py STREAMS same DIR      every trace below DIR: the same streams,
                   however large the bursts, from one context or two
    check.py STREAMS kernel DIR    DIR/kernel_*.pcap against a reading of the
                   capture by this file"""
import hashlib
import json
import pathlib
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
WAYS = ("c2s", "s2c")
NOT_READABLE = ("is not supported;", "unknown file format")


class Tap:
    def __init__(self):
        self.count = self.bad = 0

    def report(self, passed, what, details=()):
        self.count += 1
        self.bad += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {what}")
        for line in details if not passed else ():
            print(f"  {line}")


def run(streams, trace, *options):
    """(the connections, what it complained of)"""
    try:
        p = subprocess.run([streams, *options, str(trace)], capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return [], "took longer than 120 s"
    complaint = p.stderr.strip()
    if p.returncode and not complaint:
        complaint = f"status {p.returncode}"
    return [json.loads(line) for line in p.stdout.splitlines() if line.startswith("{")], complaint


def key(connection):
    return connection["client"], connection["server"]


def brief(connection):
    return ", ".join(f"{way} {connection[way]['bytes']} bytes {connection[way]['sha256'][:12]}" for way in WAYS)


def equal(a, b):
    return all(a[way][field] == b[way][field] for way in WAYS for field in ("bytes", "sha256"))


def whole(connection):
    return not any(connection[way][field] for way in WAYS for field in ("gaps", "gap_bytes", "left"))


def web(tap, streams, trace, truth):
    truth = json.loads(pathlib.Path(truth).read_text())
    for options in ([], ["-k"], ["-b", "1"], ["-b", "64"], ["-c", "2"], ["-b", "64", "-c", "2"]):
        got, complaint = run(streams, trace, *options)
        name = "web.pcap" + (f" ({' '.join(options)})" if options else "")
        tap.report(len(got) == len(truth) and not complaint, f"{name}: {len(truth)} connections",
                   [f"{len(got)}; {complaint}"])
        for want in truth:
            found = [g for g in got if key(g) == key(want)]
            tap.report(len(found) == 1 and equal(found[0], want) and whole(found[0]), f"{name}: {want['name']}",
                       [f"want: {brief(want)}"] + [f"got:  {brief(g)}" for g in found])


def load_differences():
    table = {}
    for number, line in enumerate((HERE / "differences.txt").read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 4 or not all(parts) or tuple(parts[:3]) in table:
            sys.exit(f"differences.txt:{number}: not `file | client | server | cause`, or twice")
        table[tuple(parts[:3])] = parts[3]
    return table


def rows(tap, streams, directory):
    expected = json.loads((directory / "expected.json").read_text())
    differences = load_differences()
    matching = complete = listed = 0
    for file, wanted in expected.items():
        wanted = [r for r in wanted if r["syn"] and not any(r[w]["hole"] or r[w]["conflict"] for w in WAYS)]
        if not wanted:
            continue
        got, complaint = run(streams, directory / file)
        for row in wanted:
            complete += 1
            name = f"{file} {row['client']} {row['server']}"
            found = [g for g in got if key(g) == key(row)]
            fits = len(found) == 1 and equal(found[0], row)
            matching += fits
            cause = differences.pop((file, *key(row)), None)
            listed += cause is not None and not fits
            details = [f"want: {brief(row)}"] + [f"got:  {brief(g)}" for g in found] + ([complaint] if complaint else [])
            if fits:
                tap.report(cause is None, name + (": matches although differences.txt lists it" if cause else ""))
            else:
                tap.report(cause is not None, name + (": differs, as listed" if cause else ""), details)
    for entry in differences:
        tap.report(False, f"differences.txt lists {' '.join(entry)}, which is no complete row")
    print(f"# {matching} of {complete} complete rows of expected.json match; {listed} differ and are listed with their cause")


def same(tap, streams, directory):
    for trace in sorted(directory.rglob("*.pcap*")):
        name = str(trace.relative_to(directory))
        usual, complaint = run(streams, trace)
        if any(text in complaint for text in NOT_READABLE):
            tap.report(not usual, f"{name}: not readable, and says so")
            continue
        lost = [g for g in usual if any(g[way]["left"] for way in WAYS)]
        tap.report(not lost, f"{name}: nothing left unread", map(brief, lost))
        for options in (["-b", "1"], ["-b", "7"], ["-b", "64"], ["-c", "2"]):
            got, complaint = run(streams, trace, *options)
            if "is not an Ethernet trace" in complaint:
                continue
            ordered = lambda connections: sorted(json.dumps(c, sort_keys=True) for c in connections)
            tap.report(ordered(got) == ordered(usual), f"{name}: the same with {' '.join(options)}",
                       [f"{len(got)} connections instead of {len(usual)}" if len(got) != len(usual) else
                        "other streams", complaint])


def read_capture(path):
    """The streams of the one connection of an Ethernet/IPv4 capture: the first
    copy of each byte, from the SYN to the first hole."""
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at, client, first, pieces = 24, None, {}, {}
    while at + 16 <= len(data):
        size = struct.unpack(order + "I", data[at + 8:at + 12])[0]
        frame = data[at + 16:at + 16 + size]
        at += 16 + size
        if frame[12:14] != b"\x08\0" or frame[23] != 6:
            continue
        ip = frame[14:14 + struct.unpack(">H", frame[16:18])[0]]
        tcp = ip[(ip[0] & 15) * 4:]
        source, number, flags = (ip[12:16], tcp[0:2]), struct.unpack(">I", tcp[4:8])[0], tcp[13]
        if flags & 2:
            client = client or source
            first.setdefault(source, (number + 1) & 0xFFFFFFFF)
            number += 1
        stream = pieces.setdefault(source, {})
        for i, byte in enumerate(tcp[(tcp[12] >> 4) * 4:], (number - first.get(source, number)) & 0xFFFFFFFF):
            stream.setdefault(i, byte)
    result = {}
    for source, stream in pieces.items():
        end = next(i for i in range(len(stream) + 1) if i not in stream)
        taken = bytes(stream[i] for i in range(end))
        result["c2s" if source == client else "s2c"] = {
            "bytes": end, "sha256": hashlib.sha256(taken).hexdigest(), "hole": end != len(stream)}
    return result


def kernel(tap, streams, directory):
    for trace in sorted(directory.glob("kernel_*.pcap")):
        want = read_capture(trace)
        got, complaint = run(streams, trace, "-k")
        tap.report(len(got) == 1 and not complaint and equal(got[0], want) and whole(got[0]) and
                   not any(want[way]["hole"] for way in WAYS), f"{trace.name}: {brief(want)}",
                   [f"got:  {brief(g)}" for g in got] + [complaint])


def main():
    tap = Tap()
    match sys.argv[1:]:
        case [streams, "web", trace, truth]:
            web(tap, streams, trace, truth)
        case [streams, "rows", directory]:
            rows(tap, streams, pathlib.Path(directory))
        case [streams, "same", directory]:
            same(tap, streams, pathlib.Path(directory))
        case [streams, "kernel", directory]:
            kernel(tap, streams, pathlib.Path(directory))
        case _:
            sys.exit(__doc__)
    print(f"1..{tap.count}")
    sys.exit(tap.bad > 0)


main()
