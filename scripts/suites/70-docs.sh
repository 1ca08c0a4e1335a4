#!/usr/bin/env bash
# Manual pages, links and commands in the documentation.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

pages=$(find -L docs/man ports -type f -name '*.[1-9]' 2>/dev/null | LC_ALL=C sort)
while IFS= read -r page; do
    [ -n "$page" ] || continue
    check_not "$(basename "$page") is clean" sh -c 'mandoc -T lint -W warning "$1" 2>&1 | grep -vE "STYLE:|referenced manual not found|missing section argument|\.so is fragile"' - "$page"
done <<<"$pages"

sed 's/#.*//' tests-c/abi/exports.txt | awk 'NF { print $1 }' | LC_ALL=C sort >"$work/functions"
while IFS= read -r function; do
    check "$function has a page" sh -c 'printf "%s\n" "$2" | grep -q "/$1\.3$"' - "$function" "$pages"
done <"$work/functions"
while IFS= read -r page; do
    name=$(basename "$page" .3)
    [ "$name" = libmos ] && continue      # the overview
    check "$name.3 is about an exported function" grep -qx "$name" "$work/functions"
done < <(grep '\.3$' <<<"$pages")

# Every suite is in the table of docs/building.md, and nothing else.
scripts/test --list | LC_ALL=C sort >"$work/suites"
sed -n '/^| suite /,/^$/p' docs/building.md | sed -n 's/^| \(`[^|]*`\) |.*/\1/p' | grep -o '[a-z-]*' | LC_ALL=C sort >"$work/suites.told"
check "docs/building.md tells of every suite" diff -u "$work/suites" "$work/suites.told"

# What the documents tell a reader to type has to be there. `make …` and
# `scripts/…` as they stand in code, links relative to their document. A
# document that says `cd FOLDER` means that folder's Makefile as well.
targets_of() {
    local folder
    {
        cat Makefile
        sed -nE 's/^(    |\$ )?cd ([A-Za-z0-9_/.-]+)$/\2/p' "$1" | while IFS= read -r folder; do
            [ -f "$folder/Makefile" ] && cat "$folder/Makefile"
        done
    } | sed -n 's/^\([a-z][a-z -]*\):.*/\1/p' | tr '\n' ' '
}
while IFS= read -r document; do
    targets=" $(targets_of "$document") "
    while IFS= read -r target; do
        check "$document: make $target" test "${targets/ $target / }" != "$targets"
    done < <(grep -oE '(^|[`$] ?|^    )make [a-z]+' "$document" | sed 's/.*make //' | sort -u)
    while IFS= read -r script; do
        check "$document: $script" test -x "$script"
    done < <(grep -oE '(^|[^/A-Za-z0-9_.-])scripts/[a-z][a-z-]*' "$document" | grep -oE 'scripts/[a-z-]+' | grep -vE '^scripts/(suites|lib)$' | sort -u)
    while IFS= read -r suite; do
        check "$document: suite $suite" sh -c 'scripts/test --list | grep -qx -- "$1"' - "$suite"
    done < <(grep -oE 'scripts/test( [a-z]+)+' "$document" | sed 's/scripts\/test//' | tr -s ' ' '\n' | grep . | sort -u)
    while IFS= read -r link; do
        check "$document: link $link" test -e "$(dirname "$document")/${link%%#*}"
    done < <(grep -oE '\]\([^)# ]+[^) ]*\)' "$document" | sed 's/^](//; s/)$//' | grep -vE '^[a-z]+:' | sort -u)
done < <(find README.md docs ports tests-c Fuzz Benchmarks -name '*.md' 2>/dev/null | LC_ALL=C sort)

finish
