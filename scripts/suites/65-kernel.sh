#!/usr/bin/env bash
# What real kernels saw: conversations through a relay that loses and reorders, and insertion and evasion.
# Needs root and network namespaces. MOS_KERNEL_SEED, MOS_KERNEL_COUNT: the relay's seed, conversations for each loss rate.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"
# shellcheck source=../lib/netns.sh
. "$top/scripts/lib/netns.sh"

if ! why=$(netns_possible); then
    skip "conversations of real kernels" "$why"
    skip "insertion and evasion" "$why"
    finish
fi
need_install
strict=(-Wall -Wextra -Werror)
read -ra cflags <<<"$(pkg-config --cflags mos)"
read -ra libs <<<"$(pkg-config --libs mos)"

mkdir -p "$work/bin"
for program in talk relay; do
    check "$program builds" gcc -std=gnu11 -O2 -g "${strict[@]}" -o "$work/bin/$program" "tests-c/kernel/$program.c"
done
check "watch builds" gcc -std=gnu11 -O2 -g "${strict[@]}" "${cflags[@]}" -pthread -o "$work/bin/watch" tests-c/kernel/watch.c "${libs[@]}"
check "watch compiles as C++" g++ -x c++ -std=gnu++17 "${strict[@]}" "${cflags[@]}" -fsyntax-only tests-c/kernel/watch.c
[ $failures = 0 ] || finish

# counted NAME COMMAND…: a program whose lines that begin with # say what it counted.
counted() {
    run_program "$@"
    grep -a '^# ' "$work/$(tr -c 'A-Za-z0-9._\n-' _ <<<"$1").out" | sed 's/^# /          /'
}
counted "conversations of real kernels" tests-c/kernel/lossy.sh "$work/bin" "$work/lossy" "${MOS_KERNEL_COUNT:-160}" "${MOS_KERNEL_SEED:-1}"
counted "insertion and evasion" tests-c/kernel/evasion.sh "$work/bin" "$work/evasion"

finish
