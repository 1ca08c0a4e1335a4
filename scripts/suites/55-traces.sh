#!/usr/bin/env bash
# What an application is told about traces: tests-c/parity (events) and
# tests-c/streams (bytes). The captures beside the project are used where they
# are: MOS_SHARED, or ../shared from the top of the checkout.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

need_install
shared=${MOS_SHARED:-$top/../shared}
strict=(-Wall -Wextra -Werror)
read -ra cflags <<<"$(pkg-config --cflags mos)"
read -ra libs <<<"$(pkg-config --libs mos)"

# build PROGRAM SOURCE…
build() {
    local program=$1 source
    shift
    for source in "$@"; do
        check "$source compiles as C++" g++ -x c++ -std=gnu++17 "${strict[@]}" "${cflags[@]}" -Itests-c -fsyntax-only "tests-c/$source"
    done
    check "$program builds" gcc -std=gnu11 -O2 -g "${strict[@]}" "${cflags[@]}" -Itests-c -pthread \
        -o "$work/$program" "${@/#/tests-c/}" "${libs[@]}" -lpcap
    [ -x "$work/$program" ]
}

# counted NAME COMMAND…: a program whose lines that begin with # say what it counted.
counted() {
    run_program "$@"
    grep -a '^# ' "$work/$(tr -c 'A-Za-z0-9._\n-' _ <<<"$1").out" | sed 's/^# /          /'
}

if build parity parity/parity.c parity/one_io.c; then
    run_program "events of the cases in tests-c/parity/cases" python3 tests-c/parity/check.py "$work/parity" own
    if [ -d "$shared/parity/captures" ]; then
        counted "events of the shared captures" python3 tests-c/parity/check.py "$work/parity" shared "$shared/parity"
    else
        skip "events of the shared captures" "there is no $shared/parity; MOS_SHARED names the directory that has it"
    fi
fi
if build streams streams/streams.c streams/sha256.c parity/one_io.c; then
    run_program "streams of the bundled trace" python3 tests-c/streams/check.py "$work/streams" web \
        "$MOS_TRACES/web.pcap" "$MOS_TRACES/web.json"
    if [ -f "$shared/traces/expected.json" ]; then
        counted "streams of the shared traces" python3 tests-c/streams/check.py "$work/streams" rows "$shared/traces"
        run_program "streams whatever the bursts" python3 tests-c/streams/check.py "$work/streams" same "$shared/traces"
    else
        skip "streams of the shared traces" "there is no $shared/traces; MOS_SHARED names the directory that has it"
    fi
    if [ -d "$shared/parity/captures" ]; then
        run_program "streams of recorded kernels" python3 tests-c/streams/check.py "$work/streams" kernel "$shared/parity/captures"
    else
        skip "streams of recorded kernels" "there is no $shared/parity; MOS_SHARED names the directory that has it"
    fi
fi

finish
