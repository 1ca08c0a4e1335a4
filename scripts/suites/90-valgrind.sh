#!/usr/bin/env bash
# The installed library under valgrind: midstat on the bundled trace, no error, nothing lost.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

need_install
if ! command -v valgrind >/dev/null 2>&1; then
    skip "valgrind" "it is not installed"
    finish
fi
check "midstat builds" gcc -std=gnu11 -O1 -g $(pkg-config --cflags mos) -pthread -o "$work/midstat" ports/midstat/midstat.c $(pkg-config --libs mos)
[ $failures = 0 ] || finish
sed 's/max_concurrency = .*/max_concurrency = 1000/' ports/midstat/config/mos.conf >"$work/mos.conf"
export MOS_NETDEV="dpdk0=pcap:$top/tests-c/traces/web.pcap"
check "midstat on web.pcap" valgrind --quiet --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
    "$work/midstat" -f "$work/mos.conf" -1

# A fault made on purpose must not get through.
printf '#include <stdlib.h>\nint main(void) { char *volatile p = malloc(4); return p[4] == 1; }\n' >"$work/fault.c"
gcc -O0 -o "$work/fault" "$work/fault.c" && check_not "it sees a fault made on purpose" valgrind --quiet --error-exitcode=99 "$work/fault"

finish
