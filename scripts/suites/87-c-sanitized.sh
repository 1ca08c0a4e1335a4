#!/usr/bin/env bash
# The C programs again, against the ordinary Swift build under the address and the thread sanitizer.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

find_swift
clang=$(dirname "$(readlink -f "$(command -v "$swift")")")/clang
runtime=$(dirname "$(readlink -f "$clang")")/../lib/swift/linux
export TSAN_OPTIONS=halt_on_error=1:exitcode=66
# Memory of the Swift runtime that lives as long as the process is no leak.
export ASAN_OPTIONS=detect_leaks=0
export SWIFT_BACKTRACE=enable=no
export MOS_TRACES=$top/tests-c/traces

is_program() { grep -qE '^(int[[:space:]]+)?main[[:space:]]*\(' "$1"; }

for kind in address thread; do
    scratch=$build_dir/${kind:0:1}san
    [ "$kind" = address ] && scratch=$build_dir/asan
    [ "$kind" = thread ] && scratch=$build_dir/tsan
    if ! "$swift" build --sanitize=$kind --product mos-checked --scratch-path "$scratch" </dev/null >"$work/build-$kind.log" 2>&1; then
        fail "the library builds under the $kind sanitizer" "$work/build-$kind.log"
        continue
    fi
    libs=$("$swift" build --sanitize=$kind --scratch-path "$scratch" --show-bin-path 2>/dev/null)
    mkdir -p "$work/$kind"
    for folder in tests-c/api tests-c/events tests-c/review; do
        helpers=()
        for source in "$folder"/*.c tests-c/gen/*.c; do
            [ -e "$source" ] && ! is_program "$source" && helpers+=("$source")
        done
        for source in "$folder"/*.c; do
            { [ -e "$source" ] && is_program "$source"; } || continue
            grep -q 'not under a sanitizer' "$source" && continue
            # A shorter run: "Under a sanitizer: NUMBER…"
            read -ra arguments < <(sed -n 's/.*Under a sanitizer: \([0-9 ]*[0-9]\).*/\1/p' "$source")
            name=$kind/$(basename "$folder")-$(basename "$source" .c)
            if "$clang" -fsanitize=$kind -g -O1 -std=gnu11 -Iinclude -Itests-c -pthread -o "$work/$name" "$source" \
                "${helpers[@]+"${helpers[@]}"}" -L"$libs" -lmos-checked -Wl,-rpath,"$libs" -L"$runtime" -ldispatch \
                -lBlocksRuntime -Wl,-rpath,"$runtime" -lpcap -lm >"$work/compile.out" 2>&1; then
                run_program "$name" "$work/$name" "${arguments[@]+"${arguments[@]}"}"
            else
                fail "$name builds" "$work/compile.out"
            fi
        done
    done
done
finish
