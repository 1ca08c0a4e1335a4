#!/usr/bin/env bash
# The Swift tests under the address sanitizer, which ends a test at its first report.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

# shellcheck source=../lib/swift-tests.sh
. "$top/scripts/lib/swift-tests.sh"

export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1
export SWIFT_BACKTRACE=enable=no

# A program with the fault that the sanitizer is for must not get through.
cat >"$work/fault.swift" <<'SWIFT'
let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 8)
bytes.initialize(repeating: 1, count: 8)
bytes.deallocate()
print(bytes[Int.random(in: 0..<8)])
SWIFT
find_swift
if "${swift}c" -sanitize=address -Onone "$work/fault.swift" -o "$work/fault" >"$work/fault.log" 2>&1; then
    check_not "it sees a fault made on purpose" "$work/fault"
else
    fail "a sanitized program builds" "$work/fault.log"
fi
swift_tests "$build_dir/asan" --sanitize=address
finish
