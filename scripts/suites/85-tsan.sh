#!/usr/bin/env bash
# The Swift tests under the thread sanitizer, which ends a test at its first report.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

# shellcheck source=../lib/swift-tests.sh
. "$top/scripts/lib/swift-tests.sh"

export TSAN_OPTIONS=halt_on_error=1:exitcode=66
export SWIFT_BACKTRACE=enable=no

# A program with the fault that the sanitizer is for must not get through.
cat >"$work/fault.swift" <<'SWIFT'
import Glibc
let number = UnsafeMutablePointer<Int>.allocate(capacity: 1)
number.initialize(to: 0)
nonisolated(unsafe) let shared = number
// Both threads live at once: with one after the other there is nothing to see.
let start = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)
pthread_barrier_init(start, nil, 2)
nonisolated(unsafe) let barrier = start
let add: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { _ in
    pthread_barrier_wait(barrier)
    for turn in 0..<100_000 {
        shared.pointee &+= 1
        if turn % 100 == 0 { sched_yield() }
    }
    return nil
}
var threads = [pthread_t](repeating: 0, count: 2)
for i in threads.indices { pthread_create(&threads[i], nil, add, nil) }
for thread in threads { pthread_join(thread, nil) }
print(number.pointee)
SWIFT
find_swift
if "${swift}c" -sanitize=thread -Onone "$work/fault.swift" -o "$work/fault" >"$work/fault.log" 2>&1; then
    check_not "it sees a fault made on purpose" "$work/fault"
else
    fail "a sanitized program builds" "$work/fault.log"
fi
swift_tests "$build_dir/tsan" --sanitize=thread
finish
