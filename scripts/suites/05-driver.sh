#!/usr/bin/env bash
# The driver itself: a suite that fails, dies, hangs or runs nothing is counted. And the scripts.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

fake=$work/suites
mkdir -p "$fake"
make_suite() {
    printf '#!/usr/bin/env bash\nset -u\ntop=%q\n. "$top/scripts/lib/suite.sh"\n%s\n' "$top" "$2" >"$fake/$1.sh"
    chmod +x "$fake/$1.sh"
}
make_suite 10-good 'pass one; pass two; skip three "no reason"; finish'
make_suite 20-bad 'pass one; fail two; finish'
make_suite 30-dies 'pass one; exit 3'
make_suite 40-hangs 'sleep 60; finish'
make_suite 50-empty 'finish'
make_suite 60-tap 'run_program tap sh -c "echo ok 1 - a; echo not ok 2 - b; exit 1"; finish'
make_suite 70-crash 'run_program crash sh -c "kill -SEGV \$\$"; finish'
make_suite 75-absent 'check_not absent no-such-command; finish'
make_suite 80-skips 'run_program skips sh -c "echo no tap device; exit 77"; pass four; finish'

drive() {
    env -u MOS_RESULTS MOS_SUITES="$fake" MOS_SUITE_TIMEOUT=2 MOS_BUILD_DIR="$work/build" scripts/test "$@" >"$work/out" 2>&1
    printf '%s|%s' $? "$(tail -n 1 "$work/out")"
}
expect() {
    local name=$1 wanted=$2 got
    shift 2
    got=$(drive "$@")
    if [ "$got" = "$wanted" ]; then pass "$name"; else fail "$name: $got, not $wanted" "$work/out"; fi
}
expect "tests that pass" "0|2 passed, 0 failed" good
expect "a test that fails" "1|1 passed, 1 failed" bad
expect "a suite that dies" "1|1 passed, 1 failed" dies
expect "a suite that hangs" "1|0 passed, 1 failed" hangs
expect "a suite without a test" "1|0 passed, 1 failed" empty
expect "single tests of a program" "1|1 passed, 1 failed" tap
expect "a program that crashes" "1|0 passed, 1 failed" crash
expect "a command that is not there is no failure to be glad of" "1|0 passed, 1 failed" absent
expect "a program that cannot run here" "0|1 passed, 0 failed" skips
expect "all go on to the end" "1|6 passed, 7 failed"
expect "a suite that is not there" "1|test: no suite 'x'; there are: good bad dies hangs empty tap crash absent skips " x
check "it names the logs" grep -q 'suite bad failed, log: ' <(drive bad >/dev/null; cat "$work/out")

for script in scripts/* scripts/lib/*.sh scripts/suites/*.sh .ci/run; do
    [ -f "$script" ] && check "$script can be read by bash" bash -n "$script"
done

finish
