#!/usr/bin/env bash
# Every port builds against the installed library without a warning, as C and as C++, and its own test passes.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

need_install
read -ra cflags <<<"$(pkg-config --cflags mos)"
read -ra libs <<<"$(pkg-config --libs mos)"

found=0
for folder in ports/*/; do
    folder=${folder%/}
    name=${folder#ports/}
    ls "$folder"/*.c >/dev/null 2>&1 || continue
    found=$((found + 1))
    check "$name as gnu11" gcc -std=gnu11 -O2 -Wall -Wextra -Werror "${cflags[@]}" -pthread -o "$work/$name" "$folder"/*.c "${libs[@]}"
    check "$name as C++" g++ -x c++ -std=gnu++17 -Wall -Wextra -Werror "${cflags[@]}" -fsyntax-only "$folder"/*.c
    check_not "$name includes public headers only" grep -nE '#include "(\.\./|.*(Sources|CSys|csys|cpcap))' "$folder"/*.c
    check "$name has a README" test -s "$folder/README.md"
    if [ -x "$folder/test.sh" ]; then
        run_program "$name: test.sh" "$folder/test.sh"
    else
        fail "$name has an executable test.sh"
    fi
done
[ $found -gt 0 ] || fail "there are ports"

finish
