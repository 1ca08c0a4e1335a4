# shellcheck shell=bash
# swift_tests SCRATCH ARG…: runs `swift test`, each XCTest as a test of the suite.

swift_tests() {
    local scratch=$1 report=$work/report.xml status file verdict name cases=0
    shift
    find_swift
    # Built first, so that a build that fails is said as that.
    if ! "$swift" build --build-tests --scratch-path "$scratch" "$@" </dev/null >"$work/build.log" 2>&1; then
        grep -E 'error:' "$work/build.log" | sort -u | head -n 20 | sed 's/^/          | /'
        fail "the tests build" "$work/build.log"
        return
    fi
    "$swift" test --skip-build --parallel --xunit-output "$report" --scratch-path "$scratch" "$@" </dev/null >"$work/test.log" 2>&1
    status=$?
    for file in "$report" "${report%.xml}-swift-testing.xml"; do
        [ -f "$file" ] || continue
        python3 - "$file" >"$work/rows" <<'PY' || { fail "$(basename "$file") can be read"; continue; }
import sys, xml.etree.ElementTree as tree
for case in tree.parse(sys.argv[1]).iter("testcase"):
    bad = case.find("failure") is not None or case.find("error") is not None
    skipped = case.find("skipped") is not None
    print("%s\t%s.%s" % ("fail" if bad else "skip" if skipped else "pass", case.get("classname"), case.get("name")))
PY
        while IFS=$'\t' read -r verdict name; do
            cases=$((cases + 1))
            case $verdict in
            pass) record pass "$name" ;;
            skip) skip "$name" "it skips itself" ;;
            fail)
                fail "$name"
                grep -aF "${name##*.}" "$work/test.log" | grep -aE 'error|Fatal|ERROR' | head -n 5 | sed 's/^/          | /'
                ;;
            esac
        done <"$work/rows"
    done
    [ $cases != 0 ] || fail "there are tests" "$work/test.log"
    if [ $status != 0 ] && [ $failures = 0 ]; then
        fail "swift test: status $status" "$work/test.log"
    fi
    grep -a 'SUMMARY: .*Sanitizer' "$work/test.log" | sort | uniq -c | head -n 10 | sed 's/^/          | /'
    echo "  $cases XCTest cases, whole output: $work/test.log"
}
