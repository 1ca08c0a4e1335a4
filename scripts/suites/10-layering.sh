#!/usr/bin/env bash
# Rooms import only what docs/architecture.md lets them, and Package.swift says the same.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

find_swift
described=()
for embedded in 0 1; do
    json=$work/package-$embedded.json
    if MOS_EMBEDDED=$embedded "$swift" package --scratch-path "$build_dir/$([ $embedded = 1 ] && echo embedded || echo host)" \
        describe --type json >"$json" 2>"$work/describe.err" </dev/null; then
        described+=("$json")
    else
        fail "swift package describe (MOS_EMBEDDED=$embedded)" "$work/describe.err"
    fi
done
[ $failures = 0 ] || finish

layering() { python3 scripts/lib/layering.py "$@"; }

layering docs/architecture.md Sources "${described[@]}" >"$work/report" 2>&1
status=$?
while IFS=$'\t' read -r verdict what; do
    case $verdict in
    ok) pass "$what" ;;
    FAILED) fail "$what" ;;
    *) echo "          | $verdict$what" ;;
    esac
done <"$work/report"
[ $status = 0 ] || [ $failures != 0 ] || fail "the table can be read" "$work/report"

# It can fail: each of these is one fault in a copy, and it is named.
spoil() {
    rm -rf "$work/copy"
    cp -rL Sources "$work/copy"
    cp docs/architecture.md "$work/copy.md"
}
# seen NAME LINE: the report on the copy has a line that says LINE.
seen() {
    layering "$work/copy.md" "$work/copy" "${described[@]}" >"$work/spoiled" 2>&1
    check "$1 is seen" grep -qF -- "$2" "$work/spoiled"
}
spoil
echo 'import MOSStack' >"$work/copy/MOSWire/Spoiled.swift"
seen "an upward import" "MOSWire/Spoiled.swift imports MOSStack"
spoil
mkdir "$work/copy/MOSNew" && echo 'import CSys' >"$work/copy/MOSNew/New.swift"
seen "a room without a row" "no row for MOSNew"
spoil
sed -i '/^| *`MOSWire`/d' "$work/copy.md"
seen "a missing row" "MOSWire is not in the table"
spoil
echo '#include "mos_api.h"' >>"$work/copy/CSys/csys.c"
seen "an upward include" "CSys/csys.c imports CMOS"
spoil
sed -i 's/^\(| *`MOSTCP` *| *\)/\1`CMOS`, /' "$work/copy.md"
seen "a table that differs from Package.swift" "MOSTCP: in the table"
spoil
sed -i 's/^\(| *`CSys` *| *\)/\1`MOSWire`, /' "$work/copy.md"
seen "an arrow upwards" "CSys uses MOSWire, which is not above it"

finish
