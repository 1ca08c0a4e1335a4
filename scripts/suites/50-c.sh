#!/usr/bin/env bash
# C programs against the installed library: tests-c/*.c and the folders that have no suite of their own.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

need_install
strict=(-Wall -Wextra -Werror)
read -ra cflags <<<"$(pkg-config --cflags mos)"
read -ra libs <<<"$(pkg-config --libs mos)"

is_program() { grep -qE '^(int[[:space:]]+)?main[[:space:]]*\(' "$1"; }

# The trace generator is a library for all of them.
mkdir -p "$work/objects"
for source in tests-c/gen/*.c; do
    is_program "$source" && continue
    name=$(basename "$source" .c)
    check "gen/$name builds" gcc -std=gnu11 -O2 -g "${strict[@]}" "${cflags[@]}" -c "$source" -o "$work/objects/$name.o"
done
ar rcs "$work/libgen.a" "$work"/objects/*.o

# program SOURCE HELPER…
program() {
    local source=$1 name=${1#tests-c/}
    shift
    name=${name%.c}
    mkdir -p "$(dirname "$work/bin/$name")"
    check "$name compiles as C++" g++ -x c++ -std=gnu++17 "${strict[@]}" "${cflags[@]}" -Itests-c -fsyntax-only "$source"
    if gcc -std=gnu11 -O2 -g "${strict[@]}" "${cflags[@]}" -Itests-c -pthread -o "$work/bin/$name" "$source" "$@" \
        "$work/libgen.a" "${libs[@]}" -lpcap -lm >"$work/compile.out" 2>&1; then
        run_program "$name" "$work/bin/$name"
    else
        fail "$name builds" "$work/compile.out"
    fi
}

for source in tests-c/*.c; do
    [ -e "$source" ] && program "$source"
done
for folder in tests-c/*/; do
    folder=${folder%/}
    case ${folder#tests-c/} in abi | install | gen | traces | parity | streams | kernel) continue ;; esac
    if [ -x "$folder/test.sh" ]; then
        run_program "${folder#tests-c/}" "$folder/test.sh"
        continue
    fi
    helpers=()
    for source in "$folder"/*.c; do
        [ -e "$source" ] && ! is_program "$source" && helpers+=("$source")
    done
    for source in "$folder"/*.c; do
        [ -e "$source" ] && is_program "$source" && program "$source" "${helpers[@]+"${helpers[@]}"}"
    done
done

finish
