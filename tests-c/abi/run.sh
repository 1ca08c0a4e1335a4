#!/bin/sh
# Builds the tests of this folder, as C and as C++, with every compiler there
# is, and runs them against a library.
#
# usage: run.sh directory-of-libmos.so [include directory]
set -u
here=$(cd "$(dirname "$0")" && pwd)
libraries=$(cd "${1:?usage: run.sh directory-of-libmos.so [include directory]}" && pwd) || exit 2
include=${2:-$here/../../include}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

# A build directory has no link with the SONAME yet.
ln -s "$libraries/libmos.so" "$scratch/libmos.so.0"

for compiler in ${CC_LIST:-gcc clang}; do
    command -v "$compiler" >/dev/null || continue
    for language in "c -std=gnu11" "c++ -std=gnu++17"; do
        for test in layout use_everything enosys xxh rss util; do
            echo "# $test ($compiler, $language)"
            if "$compiler" -x $language -Wall -Wextra -Werror -O1 -I"$include" "$here/$test.c" \
                -o "$scratch/$test" -L"$libraries" -lmos &&
                LD_LIBRARY_PATH=$scratch:$libraries "$scratch/$test" >"$scratch/out" 2>"$scratch/errors"; then
                tail -n 1 "$scratch/out"
            else
                failed=$((failed + 1))
                echo "not ok - $test ($compiler, $language)"
                [ ! -f "$scratch/out" ] || grep '^not ok' "$scratch/out"
                [ ! -f "$scratch/errors" ] || sed 's/^/# /' "$scratch/errors"
            fi
            rm -f "$scratch/out" "$scratch/errors"
        done
    done
done

for script in "headers.sh $include" "exports.sh $libraries/libmos.so"; do
    echo "# $script"
    "$here"/$script >"$scratch/out" || failed=$((failed + 1))
    grep '^not ok\|^#' "$scratch/out"
    tail -n 1 "$scratch/out"
done
[ $failed = 0 ]
