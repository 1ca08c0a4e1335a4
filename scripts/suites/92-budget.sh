#!/usr/bin/env bash
# Instructions per packet by callgrind, within 5 % of Benchmarks/budget.txt; no run of the benchmark is wrong.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

need_install
if ! command -v valgrind >/dev/null 2>&1; then
    skip "instructions per packet" "valgrind is not installed"
    finish
fi
if [ "$(uname -m)" != x86_64 ]; then
    skip "instructions per packet" "the budget is for x86-64"
    finish
fi
bench=$work/bench/bench
check "the benchmark builds" make -C Benchmarks OUT="$work/bench" WITH_MOS=1 WITH_NIDS=0 WITH_TINS=0
[ $failures = 0 ] || finish

# Every packet and byte is counted (bench says so by its exit status).
check "a short benchmark counts every packet and byte" "$bench" --scenario callgrind-64B,callgrind-1500B --runs 1 --cpu -1

output=$work/budget.out
WHO=mos Benchmarks/callgrind.sh check "$bench" Benchmarks/budget.txt >"$output" 2>&1
status=$?
rows=0
while read -r verdict rest; do
    case $verdict in
    ok) pass "$rest" ;;
    FAIL | BETTER) fail "$verdict $rest" ;;
    *) continue ;;
    esac
    rows=$((rows + 1))
done <"$output"
[ $rows = 8 ] || fail "there are 8 figures, not $rows (status $status)" "$output"

# A budget that is passed is seen, and one that has become too wide.
sed -n 's/^\(mos count callgrind-64B 0\) .*/\1 100.0/p' Benchmarks/budget.txt >"$work/small.txt"
check_not "more than the budget fails" env WHO=mos Benchmarks/callgrind.sh check "$bench" "$work/small.txt"

finish
