# shellcheck shell=bash
# What every suite starts with:
#
#   top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
#   . "$top/scripts/lib/suite.sh"
#   …
#   finish
#
# A suite reports each of its tests once, by pass, fail or skip. It says nothing
# of tests that it never came to, so it has to reach `finish`: a suite that ends
# otherwise counts as failed, as does one that ran no test at all.

# shellcheck source=common.sh
. "$top/scripts/lib/common.sh"

suite=$(basename "$0" .sh)
suite=${suite#[0-9]*-}
# Started by itself: through the driver, which counts.
[ -n "${MOS_RESULTS:-}" ] || exec "$top/scripts/test" "$suite"

cd "$top" || exit 1
tests_dir=$build_dir/tests
work=$tests_dir/$suite
rm -rf "$work"
mkdir -p "$work" || exit 1
failures=0
prefix=$tests_dir/prefix

record() { printf '%s\t%s\n' "$1" "$2" >>"$MOS_RESULTS"; }
pass() { record pass "$*"; echo "  ok      $*"; }
# fail NAME [FILE]: the end of FILE is shown.
fail() {
    failures=$((failures + 1))
    record fail "$1"
    echo "  FAILED  $1"
    [ -z "${2:-}" ] || [ ! -s "$2" ] || tail -n 20 "$2" | sed 's/^/          | /'
}
# skip NAME REASON
skip() { record skip "$1: $2"; echo "  skipped $1: $2"; }

# check NAME COMMAND…: passes if the command does; its output is shown if not.
check() {
    local name=$1 output=$work/output.txt
    shift
    if "$@" >"$output" 2>&1 </dev/null; then pass "$name"; else fail "$name" "$output"; fi
}

# check_not NAME COMMAND…: passes if the command runs and fails.
check_not() {
    local name=$1 output=$work/output.txt status
    shift
    "$@" >"$output" 2>&1 </dev/null
    status=$?
    case $status in
    0) fail "$name" "$output" ;;
    126 | 127) fail "$name: the command is not there" "$output" ;;
    *) pass "$name" ;;
    esac
}

# run_program NAME COMMAND…: a test program. Lines "ok N - what" and "not ok N - what"
# (TAP) are tests of their own, else it is one; status 77 skips, its last line says why.
run_program() {
    local name=$1 output status line count=0 bad=0
    shift
    output=$work/$(tr -c 'A-Za-z0-9._\n-' _ <<<"$name").out
    timeout -k 5 "${MOS_PROGRAM_TIMEOUT:-300}" "$@" >"$output" 2>&1 </dev/null
    status=$?
    if [ $status = 77 ]; then
        skip "$name" "$(tail -n 1 "$output")"
        return
    fi
    while IFS= read -r line; do
        count=$((count + 1))
        case $line in
        ok*) record pass "$name: $line" ;;
        *)
            bad=$((bad + 1))
            failures=$((failures + 1))
            record fail "$name: $line"
            echo "  FAILED  $name: $line"
            ;;
        esac
    done < <(grep -aE '^(not )?ok [0-9]+' "$output")
    if [ $status != 0 ] && [ $bad = 0 ]; then
        [ $status = 124 ] && echo "          | (took too long)"
        fail "$name: status $status" "$output"
    elif [ $status = 0 ] && [ $count = 0 ]; then
        pass "$name"
    elif [ $bad = 0 ]; then
        echo "  ok      $name: $count tests"
    else
        grep -avE '^(not )?ok [0-9]+|^1\.\.[0-9]+' "$output" | tail -n 20 | sed 's/^/          | /'
    fi
}

# need_install: builds and installs into $prefix, once in a run of the driver, and
# lets the compiler, pkg-config and the run-time linker find it. Where that fails
# the suite ends there, as failed.
need_install() {
    local state=$tests_dir/install-state log=$tests_dir/install.log
    if [ "$(cat "$state" 2>/dev/null)" != "${MOS_RUN:-}" ]; then
        if ! { scripts/build library tool && rm -rf "$prefix" && PREFIX=$prefix DESTDIR='' LIBDIR=lib scripts/install; } >"$log" 2>&1 </dev/null; then
            fail "the library builds and installs" "$log"
            finish
        fi
        printf '%s\n' "${MOS_RUN:-}" >"$state"
    fi
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib PATH=$prefix/bin:$PATH
    export MOS_PREFIX=$prefix MOS_TRACES=$top/tests-c/traces
}

finish() {
    [ $failures = 0 ]
    exit
}
