#!/usr/bin/env bash
# No reference is counted and nothing is allocated on the packet path: read from the disassembly.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

need_install
library=$build_dir/embedded/release/libmos.so # not stripped
path=(python3 scripts/lib/packet_path.py "$library")

# What a burst goes through, and what its handlers call.
run_program "packet path" "${path[@]}" 7ContextC7processy \
    mtcp_get_uctx mtcp_set_uctx mtcp_peek mtcp_ppeek mos_peek_iov mos_peek_advance mtcp_getlastpkt mtcp_setlastpkt \
    mtcp_getsockopt mtcp_getpeername mtcp_cb_get_ts mtcp_raise_event mos_flow_info

# It would notice.
check_not "a call that allocates is seen" "${path[@]}" mtcp_create_context
check_not "a function that is not there is missed" "${path[@]}" mtcp_no_such_call
check "reference counting is in the library, to be seen" sh -c "nm '$library' | grep -q ' swift_retain$'"

finish
