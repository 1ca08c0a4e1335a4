"""What the packet path calls: packet_path.py LIBRARY ROOT…

Disassembles an unstripped libmos.so, follows direct calls and jumps between its
functions from those whose symbols contain a ROOT (a whole C name, or a part of a
mangled Swift one), and reports each call to reference counting or to a memory
allocator on the way. Where the way may end is said in COLD.

Prints "ok"/"not ok" lines; the exit status is 1 if anything is wrong.
"""
import bisect
import re
import subprocess
import sys
from collections import deque

FORBIDDEN = re.compile(
    r"swift_(retain|release|bridgeObject|alloc|dealloc|slow|isUniquely|once|beginAccess)\w*"
    r"|(malloc|calloc|realloc|posix_memalign|aligned_alloc|free)(@plt)?$")

# What is reached from the packet path, but not for a packet: name → why.
COLD = {
    "codeForStranger": "the error of a thread that may not make the call",
    "settleClosed": "filters of sockets that were closed",
    "emptyLimbo": "event sets that registrations have replaced",
    "makeRoom": "room for raised events grows to the most that there were at once",
    "csys_log_line": "a line of the log",
}


def symbols(library):
    """Start, end and name of each function; where two names are one, the shorter."""
    found = {}
    out = subprocess.run(["nm", "-S", library], check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        row = line.split()
        if len(row) == 4 and row[2] in "tT":
            start, size = int(row[0], 16), int(row[1], 16)
            if start not in found or len(row[3]) < len(found[start][2]):
                found[start] = (start, start + size, row[3].split("@")[0])
    return [found[start] for start in sorted(found)]


def disassemble(library):
    """Name of each function → what it calls or jumps to.

    Code without a symbol, behind one that has ended, is a function of its own."""
    table = symbols(library)
    starts = [row[0] for row in table]

    def owner(address):
        at = bisect.bisect_right(starts, address) - 1
        if at < 0:
            return None
        start, end, name = table[at]
        return name if address < end else "behind %s" % name

    functions = {}
    out = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], check=True, capture_output=True, text=True)
    line_form = re.compile(r"^ *([0-9a-f]+):\t(\S+)\s*(?:([0-9a-f]+) <([^>+]+)(\+0x[0-9a-f]+)?>)?")
    for line in out.stdout.splitlines():
        found = line_form.match(line)
        if not found:
            continue
        here = owner(int(found.group(1), 16))
        if here is None:
            continue
        calls = functions.setdefault(here, set())
        if found.group(3) and re.match("call|j", found.group(2)):
            name = found.group(4)
            target = name if name.endswith("@plt") else owner(int(found.group(3), 16))
            if target and target != here:
                calls.add(target)
    return functions


def short(name):
    """A mangled Swift name's readable words."""
    if not name.startswith("$e"):
        return name
    name = re.sub(r"33_[0-9A-F]{32}LL", "", name)
    words, at = [], 2
    while at < len(name) and len(words) < 4:
        number = re.match(r"[A-Za-z_]*?(\d+)", name[at:])
        if not number:
            break
        start = at + number.end()
        words.append(name[start:start + int(number.group(1))])
        at = start + int(number.group(1))
    return ".".join(words) or name


def main():
    library, roots = sys.argv[1], sys.argv[2:]
    functions = disassemble(library)
    starts = {}
    bad = False
    for root in roots:
        found = [n for n in functions if n == root or (n.startswith("$e") and root in n)]
        if not found:
            print("not ok - %s is in the library" % root)
            bad = True
        starts.update((n, None) for n in found)
    came_from, queue, hits, passed = dict(starts), deque(starts), [], set()
    while queue:
        name = queue.popleft()
        for called in sorted(functions.get(name, ())):
            if FORBIDDEN.match(called):
                hits.append((name, called))
                continue
            cold = [c for c in COLD if c in called]
            if cold:
                passed.update(cold)
                continue
            if called in functions and called not in came_from:
                came_from[called] = name
                queue.append(called)
    for name, called in hits:
        way, at = [], name
        while at:
            way.append(short(at))
            at = came_from[at]
        print("not ok - %s, by %s" % (called, " < ".join(way)))
    if not hits and not bad:
        print("ok - %d functions are reached from %d, none counts references or allocates"
              % (len(came_from), len(starts)))
    sys.exit(1 if hits or bad else 0)


main()
