#!/bin/sh
# What libmos.so shows to the world: the functions of exports.txt under the
# version MOS_0.3, and nothing else; the version script names the same ones.
#
# usage: exports.sh libmos.so
set -u
here=$(cd "$(dirname "$0")" && pwd)
library=${1:?usage: exports.sh libmos.so}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
number=0
failed=0

same() { # file, file, description
    number=$((number + 1))
    if diff "$1" "$2" >"$scratch/difference"; then
        echo "ok $number - $3"
    else
        failed=$((failed + 1))
        echo "not ok $number - $3"
        sed 's/^/# /' "$scratch/difference"
    fi
}

LC_ALL=C sort -u "$here/exports.txt" >"$scratch/sorted"
same "$here/exports.txt" "$scratch/sorted" "exports.txt is sorted and names nothing twice"

LC_ALL=C comm -13 "$here/exports.txt" "$here/not-yet.txt" >"$scratch/strangers"
same /dev/null "$scratch/strangers" "everything in not-yet.txt is in exports.txt"

map=$here/../../Sources/MOSExport/libmos.map
if [ -f "$map" ]; then
    sed -n 's/^ *\([A-Za-z_][A-Za-z_0-9]*\);$/\1/p' "$map" | LC_ALL=C sort >"$scratch/map"
    same "$here/exports.txt" "$scratch/map" "libmos.map names the same functions"
fi

nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | LC_ALL=C sort >"$scratch/defined"
sed 's/$/@@MOS_0.3/' "$here/exports.txt" | LC_ALL=C sort >"$scratch/wanted"
same "$scratch/wanted" "$scratch/defined" "the library exports exactly those, in MOS_0.3"

echo "1..$number"
[ $failed = 0 ]
