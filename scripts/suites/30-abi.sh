#!/usr/bin/env bash
# The installed library's C surface: headers, values, exports, what it needs.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

need_install
find_clang || { fail "clang is there"; finish; }
so=$prefix/lib/libmos.so
strict=(-Wall -Wextra -Werror)
read -ra cflags <<<"$(pkg-config --cflags mos)"
read -ra libs <<<"$(pkg-config --libs mos)"

# compile COMPILER STANDARD ARG…: as C or C++, by the standard's name.
compile() {
    local compiler=$1 standard=$2 language=c
    shift 2
    case $standard in *++*) language=c++ ;; esac
    "$compiler" -x $language -std="$standard" "${strict[@]}" "${cflags[@]}" -pthread "$@"
}
# Headers first and alone, in every language version, beside the two headers of
# the system that clash over struct tcphdr.
run_program "headers" env "CC_LIST=gcc $clang" tests-c/abi/headers.sh "$prefix/include"

# Programs: built against what is installed, in each language, and run.
for source in tests-c/abi/*.c; do
    [ -e "$source" ] || { fail "there are programs in tests-c/abi"; break; }
    name=$(basename "$source" .c)
    for entry in "gcc gnu11" "gcc gnu17" "$clang gnu11" "$clang gnu17" "g++ c++17" "$clang++ c++17"; do
        compiler=${entry% *}
        standard=${entry##* }
        label="$name, $(basename "$compiler") $standard"
        if compile "$compiler" "$standard" -o "$work/$name" "$source" "${libs[@]}" >"$work/compile.out" 2>&1; then
            run_program "$label" "$work/$name"
        else
            fail "$label builds" "$work/compile.out"
        fi
    done
done

# What is exported, under which version; from the archive as well.
run_program "exports" tests-c/abi/exports.sh "$so"
nm -D --defined-only "$so" >"$work/nm"
check_not "all of them are functions" grep -v -E ' T | A MOS_0\.3$' "$work/nm"
LC_ALL=C sort tests-c/abi/exports.txt >"$work/expected"
nm -g --defined-only "$prefix/lib/libmos.a" | awk 'NF == 3 { print $3 }' | LC_ALL=C sort >"$work/archived"
check "the archive shows the same names" diff -u "$work/expected" "$work/archived"

# What it is and what it needs.
readelf -dW "$so" >"$work/dynamic"
check "SONAME is libmos.so.0" grep -q 'SONAME.*\[libmos\.so\.0\]' "$work/dynamic"
sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$work/dynamic" >"$work/needed"
check_not "it needs libc, libm, libpcap, libnuma at most" grep -vE '^(libc\.so\.6|libm\.so\.6|libpcap\.so\.0\.8|libnuma\.so\.1|ld-linux-x86-64\.so\.2)$' "$work/needed"
check "ldd resolves all" sh -c 'ldd "$1" && ! ldd "$1" | grep "not found"' - "$so"
check_not "no Swift and no C++ library comes in" sh -c 'ldd "$1" | grep -iE "swift|stdc\+\+|Foundation|libgcc"' - "$so"
check_not "no RPATH, RUNPATH, TEXTREL" grep -E 'RPATH|RUNPATH|TEXTREL' "$work/dynamic"
check "stack is not executable" sh -c 'readelf -lW "$1" | grep GNU_STACK | grep -q "RW "' - "$so"
check_not "stripped: no symbol table, no debug sections" sh -c 'readelf -SW "$1" | grep -E "\.symtab|\.debug"' - "$so"
printf '%s\n' '#include <stdio.h>' '#include <mos_ext.h>' 'int main(void) { return puts(mos_version()) < 0; }' >"$work/version.c"
check "a program that asks for the version builds" compile gcc gnu11 -o "$work/version" "$work/version.c" "${libs[@]}"
check "mos_version() is what VERSION says" test "$("$work/version")" = "$version"
size=$(stat -Lc %s "$so")
check "smaller than 1 MB ($size bytes)" test "$size" -lt 1000000

finish
