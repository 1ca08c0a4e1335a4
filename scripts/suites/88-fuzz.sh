#!/usr/bin/env bash
# Fuzz targets: what was found once does not come back, and a short search from the seeds finds nothing.
# MOS_FUZZ_SECONDS: how long each searches (30).
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

if ! scripts/fuzz build >"$work/build.out" 2>&1; then
    fail "the targets build" "$work/build.out"
    finish
fi
pass "the targets build"
names=$(scripts/fuzz list)
check "there are targets" test -n "$names"
for name in $names; do
    findings=(Fuzz/findings/"$name"/*)
    [ -e "${findings[0]}" ] || continue
    for finding in "${findings[@]}"; do
        check "$name: $(basename "$finding")" scripts/fuzz replay "$name" "$finding"
    done
done
for name in $names; do
    log=$work/$name.log
    if scripts/fuzz run "$name" "${MOS_FUZZ_SECONDS:-30}" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "          | $name: ${runs:-no} inputs"
        check "$name: a search" test "${runs:-0}" -gt 100
    else
        # What is of use stands before libFuzzer's statistics.
        grep -aE '^Fuzz/|ERROR|SUMMARY|Fatal error|Test unit written' "$log" >"$work/$name.short"
        fail "$name: a search" "$work/$name.short"
    fi
done

# A target that dies must not get through.
printf '%s\n' '#include <stddef.h>' '#include <stdint.h>' '#include <stdlib.h>' \
    'int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)' \
    '{ volatile char *byte = malloc(size + 1); (void)data; free((void *)byte); return byte[size] == 1 ? -1 : 0; }' >"$work/fault.c"
find_swift
clang=$(dirname "$(readlink -f "$swift")")/clang
check "a target with a fault builds" "$clang" -fsanitize=address,fuzzer -fuse-ld=lld -o "$work/fault" "$work/fault.c"
check_not "it sees a fault made on purpose" "$work/fault" -runs=10

finish
