"""Compares what the sources import with the table of rooms in docs/architecture.md.

    layering.py DOCUMENT SOURCES PACKAGE_JSON…

The table is the one whose first two columns are headed `room` and `uses`; names
stand in backquotes. A room may use only rooms of rows above its own, so that
arrows point downwards (the table is read from the ground up). Checked:

 - every folder of Sources is a row and every row a folder
 - no row uses a room that comes after it in the table
 - Package.swift gives each target exactly the dependencies of its row
   (PACKAGE_JSON: output of `swift package describe --type json`); what a row uses
   that is no room (`ArgumentParser`) is a product, or a system module in (brackets)
 - no source imports, and no C source includes a header of, what its row does not use

Prints "ok"/"FAILED" lines; the exit status is 1 if anything failed.
"""
import json
import os
import re
import sys

# Part of the language or of its toolchain: no room.
TOOLCHAIN = {"Swift", "Synchronization", "_Concurrency"}

failed = False
system = {}     # what a row names in brackets: modules of the system, which Package.swift does not list


def report(good, what, details=()):
    global failed
    print(("ok\t" if good else "FAILED\t") + what)
    for detail in details:
        print("\t" + detail)
    failed = failed or not good


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rooms_of(document):
    """The rows of the table, in order: name → the set of what it uses."""
    rooms, inside = {}, False
    for line in open(document, encoding="utf-8"):
        if not line.lstrip().startswith("|"):
            inside = False
            continue
        row = cells(line)
        if [cell.lower() for cell in row[:2]] == ["room", "uses"]:
            inside = True
        elif inside and not re.fullmatch(r"[-:| ]+", line.strip()):
            name = re.findall(r"`([^`]+)`", row[0])
            if len(name) != 1:
                sys.exit("layering: a row needs one `name`: " + line.strip())
            bracketed = "".join(re.findall(r"\(([^)]*)\)", row[1]))
            system[name[0]] = set(re.findall(r"`([^`]+)`", bracketed))
            rooms[name[0]] = set(re.findall(r"`([^`]+)`", row[1])) - system[name[0]]
    if not rooms:
        sys.exit("layering: %s has no table with the columns 'room' and 'uses'" % document)
    return rooms


def imports_of(path):
    text = open(path, encoding="utf-8", errors="replace").read()
    if path.endswith(".swift"):
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
        pattern = r"^\s*(?:@[\w()]+\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)"
    else:
        pattern = r'^\s*#\s*(?:include|import)\s*["<]([^">]+)[">]'
    return set(re.findall(pattern, text, flags=re.M))


def main():
    document, sources, packages = sys.argv[1], sys.argv[2], sys.argv[3:]
    rooms = rooms_of(document)
    folders = {d for d in os.listdir(sources) if os.path.isdir(os.path.join(sources, d))}
    report(folders == set(rooms), "every room has a row and every row a room",
           ["no row for " + name for name in sorted(folders - set(rooms))]
           + ["no folder for " + name for name in sorted(set(rooms) - folders)])

    above, wrong = set(), []
    for name, uses in rooms.items():
        for used in sorted(uses):
            if used in rooms and used not in above:
                wrong.append("%s uses %s, which is not above it in the table" % (name, used))
        above.add(name)
    report(not wrong, "arrows point one way", wrong)

    declared = {}
    for path in packages:
        for target in json.load(open(path, encoding="utf-8"))["targets"]:
            if target["type"] == "test":
                continue
            declared.setdefault(target["name"], set()).update(
                target.get("target_dependencies", []) + target.get("product_dependencies", []))
    if packages:
        wrong = ["%s: in the table %s, in Package.swift %s" % (name, sorted(rooms[name]), sorted(declared[name]))
                 for name in rooms if name in declared and rooms[name] != declared[name]]
        wrong += ["%s is no target" % name for name in rooms if name not in declared]
        wrong += ["%s is not in the table" % name for name in declared if name not in rooms]
        report(not wrong, "Package.swift says the same", wrong)

    headers = {}
    for name in folders:
        include = os.path.join(sources, name, "include")
        if os.path.isdir(include):
            for header in os.listdir(include):
                if header.endswith(".h"):
                    headers[header] = name

    for name in rooms:
        if name not in folders:
            continue
        wrong, count = [], 0
        for folder, _, files in os.walk(os.path.join(sources, name)):
            for file in sorted(files):
                path = os.path.join(folder, file)
                if not file.endswith((".swift", ".c", ".h")):
                    continue
                count += 1
                for imported in sorted(imports_of(path)):
                    if not file.endswith(".swift"):
                        imported = headers.get(os.path.basename(imported), name)
                    if imported == name or imported in rooms[name] | system[name] | TOOLCHAIN:
                        continue
                    wrong.append("%s imports %s" % (os.path.relpath(path, sources), imported))
        report(not wrong and count > 0, "%s imports only what is below it" % name, wrong or ([] if count else ["no source"]))
    sys.exit(1 if failed else 0)


main()
