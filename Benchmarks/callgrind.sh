#!/bin/sh
# Instructions per packet, by callgrind, against a budget.
#
#   callgrind.sh check|write BENCH BUDGET
#   callgrind.sh show BENCH
#
# A trace is played once and three times; the difference, divided by the
# packets of two passes, is free of start-up, of the making of the trace and of
# the first touch of memory. check: fails if a figure is more than 5 % over its
# budget, and asks for a new budget if it is more than 5 % under. write: writes
# the figures of all contestants that are built in. WHO limits the contestants.
set -eu
mode=$1
bench=$2
budget=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# instructions WHO WORK SCENARIO CHECKSUM LOOPS -> "instructions packets"
instructions() {
    if ! valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" --single "$1:$2" --scenario "$3" \
        --rx-checksum "$4" --loops "$5" --cpu -1 >"$work/out" 2>"$work/err"; then
        cat "$work/err" >&2
        return 1
    fi
    collected=$(sed -n 's/.*Collected *: *\([0-9]*\).*/\1/p' "$work/err")
    packets=$(sed -n 's/^packets \([0-9]*\) .*/\1/p' "$work/out")
    if [ -z "$collected" ] || [ -z "$packets" ]; then
        echo "callgrind gave no figure for $1 $2 $3" >&2
        return 1
    fi
    echo "$collected $packets"
}

measure() {
    one=$(instructions "$1" "$2" "$3" "$4" 1) || return 1
    three=$(instructions "$1" "$2" "$3" "$4" 3) || return 1
    echo "$one $three" | awk '{ printf "%.1f\n", ($3 - $1) / ($4 - $2) }'
}

names() {
    for who in ${WHO:-mos floor}; do
        for scenario in callgrind-64B callgrind-1500B; do
            for load in count search; do
                echo "$who $load $scenario 1"
                echo "$who $load $scenario 0"
            done
        done
    done
}

case $mode in
show)
    names | while read -r who load scenario checksum; do
        if figure=$(measure "$who" "$load" "$scenario" "$checksum"); then
            echo "$who $load $scenario $checksum $figure"
        fi
    done
    ;;
write)
    {
        echo "# Instructions per packet (callgrind): contestant, workload, trace, rx_checksum, figure."
        echo "# Checked within 5 % by \`make callgrind\`; written by \`make budget\`."
        names | while read -r who load scenario checksum; do
            if figure=$(measure "$who" "$load" "$scenario" "$checksum"); then
                echo "$who $load $scenario $checksum $figure"
            else
                echo "left out: $who $load $scenario $checksum" >&2
            fi
        done
    } >"$work/budget"
    cp "$work/budget" "$budget"
    cat "$budget"
    ;;
check)
    status=0
    grep -v '^ *\(#\|$\)' "$budget" >"$work/lines"
    while read -r who load scenario checksum limit <&3; do
        case " ${WHO:-mos floor} " in *" $who "*) ;; *) continue ;; esac
        if ! figure=$(measure "$who" "$load" "$scenario" "$checksum"); then
            echo "FAIL $who $load $scenario rx_checksum=$checksum: could not be measured"
            status=1
            continue
        fi
        verdict=$(awk -v f="$figure" -v b="$limit" 'BEGIN {
            r = f / b
            print (r > 1.05 ? "FAIL" : r < 0.95 ? "BETTER" : "ok"), sprintf("%+.1f %%", (r - 1) * 100) }')
        echo "${verdict%% *} $who $load $scenario rx_checksum=$checksum: $figure, budget $limit (${verdict#* })"
        case $verdict in
        FAIL*) status=1 ;;
        BETTER*)
            echo "     more than 5 % under its budget: run 'make budget' and check it in"
            status=1
            ;;
        esac
    done 3<"$work/lines"
    exit $status
    ;;
*)
    echo "usage: callgrind.sh check|write|show BENCH BUDGET" >&2
    exit 2
    ;;
esac
