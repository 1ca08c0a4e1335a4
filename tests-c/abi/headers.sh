#!/bin/sh
# Compiles each public header first and alone, as every language version, with
# every compiler there is, before and after <netinet/tcp.h> and <linux/tcp.h>.
#
# usage: headers.sh [include directory]     environment: CC_LIST, default "gcc clang"
set -u
here=$(cd "$(dirname "$0")" && pwd)
include=${1:-$here/../../include}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
number=0
failed=0

report() { # result, description
    number=$((number + 1))
    if [ "$1" = 0 ]; then
        echo "ok $number - $2"
    else
        failed=$((failed + 1))
        echo "not ok $number - $2"
        sed 's/^/# /' "$scratch/errors" | head -20
    fi
}

compile() { # compiler, standard, source, extra flags
    case $2 in
    gnu++* | c++*) language=c++ ;;
    *) language=c ;;
    esac
    "$1" -x $language -std=$2 -Wall -Wextra -Werror $4 -I"$include" -fsyntax-only "$3" 2>"$scratch/errors"
}

# What a program written for mOS uses of the system's headers through ours.
packets='
static int use(const struct pkt_info *p)
{
    return p->tcph->source && p->tcph->dest && p->tcph->seq && p->tcph->ack_seq && p->tcph->doff &&
           p->tcph->fin && p->tcph->syn && p->tcph->rst && p->tcph->psh && p->tcph->ack && p->tcph->urg &&
           p->tcph->window && p->tcph->check && p->iph->saddr && p->iph->tot_len && p->ethh->h_proto &&
           htons(1) && inet_addr("127.0.0.1") && offsetof(struct pkt_info, seq) == 28;
}
static int state(enum tcpstate s) { return s == TCP_ESTABLISHED && TCP_ESTABLISHED == 4 && TCP_LISTEN == 1; }
int main(void) { return use(0) + state(TCP_CLOSED) + (TCP_NODELAY == 1); }
'
linux='static int flags(const struct tcphdr *t) { return t->ece + t->cwr + (TCP_FLAG_SYN != 0); }
int more(void) { return flags(0); }
'
both='static int flags(const struct tcphdr *t) { return t->th_sport + t->th_flags + TH_SYN; }
int more(void) { return flags(0); }
'
plain='int main(void) { return 0; }'

write() { # header, what comes before it, what comes after it
    {
        [ -z "$2" ] || echo "#include <$2>"
        echo "#include \"$1\""
        [ -z "$3" ] || echo "#include <$3>"
        case $1 in
        mos_api.h | mos_ext.h)
            case "$2" in
            netinet/tcp.h) echo 'int more(void);' && echo "$both" ;;
            *) echo 'int more(void);' && echo "$linux" ;;
            esac
            echo "$packets"
            ;;
        *) echo "$plain" ;;
        esac
    } >"$scratch/program"
}

for compiler in ${CC_LIST:-gcc clang}; do
    if ! command -v "$compiler" >/dev/null; then
        echo "# no $compiler here"
        continue
    fi
    for header in mtcp_api.h mtcp_epoll.h mtcp_util.h mos_api.h mos_ext.h mos_io.h; do
        for standard in gnu89 gnu11 gnu17 c99 gnu++17 c++17; do
            for place in "" "before:netinet/tcp.h" "after:netinet/tcp.h" "before:linux/tcp.h" "after:linux/tcp.h"; do
                case $place in
                before:*) write $header "${place#*:}" "" ;;
                after:*) write $header "" "${place#*:}" ;;
                *) write $header "" "" ;;
                esac
                # Without the BSD names <netinet/tcp.h> has no struct tcphdr.
                case $standard,$place,$header in
                c99,before:netinet/tcp.h,mos_*) sed -i '/th_sport/d; /^int more(void) {/d' "$scratch/program" ;;
                esac
                compile "$compiler" $standard "$scratch/program" "-Wpedantic"
                report $? "$header $compiler $standard${place:+ $place}"
            done
        done
    done

    # Together, in either order, and with both of the system's headers around.
    for standard in gnu89 gnu11 gnu17 gnu++17; do
        for order in "mos_api.h mtcp_api.h mtcp_epoll.h mtcp_util.h mos_ext.h mos_io.h" \
            "mos_io.h mos_ext.h mtcp_util.h mtcp_epoll.h mtcp_api.h mos_api.h"; do
            {
                for header in $order; do echo "#include \"$header\""; done
                echo "$packets"
            } >"$scratch/program"
            compile "$compiler" $standard "$scratch/program" ""
            report $? "$compiler $standard $order"
        done
        printf '#include <netinet/tcp.h>\n#include "mos_api.h"\n#include <linux/tcp.h>\n%s' "$packets" >"$scratch/program"
        compile "$compiler" $standard "$scratch/program" ""
        report $? "$compiler $standard mos_api.h between <netinet/tcp.h> and <linux/tcp.h>"
        printf '#include <linux/tcp.h>\n#include "mos_api.h"\n#include <netinet/tcp.h>\n%s' "$packets" >"$scratch/program"
        compile "$compiler" $standard "$scratch/program" ""
        report $? "$compiler $standard mos_api.h between <linux/tcp.h> and <netinet/tcp.h>"
    done

    # A C++ program that has taken all of std in, std::byte with it.
    printf '#include <cstddef>\nusing namespace std;\n#include "mos_api.h"\n%s' "$packets" >"$scratch/program"
    compile "$compiler" gnu++17 "$scratch/program" ""
    report $? "$compiler gnu++17 after using namespace std"
done

echo "1..$number"
[ $failed = 0 ] && [ $number != 0 ]
