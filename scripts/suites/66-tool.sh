#!/usr/bin/env bash
# The installed mos: rows against what is true of a trace, traces from everywhere, mistakes, terminals.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

need_install
export TMPDIR=$work
check "it needs no Swift library" sh -c 'test "$(ldd "$1" | grep -ciE "swift|foundation")" = 0' - "$prefix/bin/mos"
run_program "mos" python3 scripts/lib/tool_tests.py "$prefix/bin/mos" "$top"

finish
