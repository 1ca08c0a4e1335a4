# shellcheck shell=bash
# What all scripts share. Expects $top, the top of the checkout.

version=$(cat "$top/VERSION")
umask 022

die() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# Everything that is built, below one directory. pkg-config's output is taken
# apart at blanks by every build file there is, so a path with blanks in it is
# used through a link that has none.
build_dir=${MOS_BUILD_DIR:-$top/.build}
case $build_dir in
*[[:space:]]*)
    mkdir -p "$build_dir" || exit 1
    link=${TMPDIR:-/tmp}/libmos-$(id -u)-$(printf %s "$build_dir" | cksum | cut -d ' ' -f 1)
    if [ "$(readlink "$link")" != "$build_dir" ]; then
        ln -sfn "$build_dir" "$link" || die "cannot make $link"
    fi
    build_dir=$link
    ;;
esac

# log_file NAME: where a command whose output nobody wants to see writes it.
log_file() {
    mkdir -p "$build_dir/logs"
    printf '%s/logs/%s.log' "$build_dir" "$1"
}

# shellcheck disable=SC2034  # for the scripts that source this
swift_needed=6.3

# find_swift: sets $swift, or ends with what to do.
find_swift() {
    local candidate
    for candidate in "${SWIFT:-}" "$(command -v swift 2>/dev/null)" /opt/swift/usr/bin/swift /usr/local/swift/usr/bin/swift; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            swift=$candidate
            return 0
        fi
    done
    die "Swift was not found. Install Swift $swift_needed or later (https://www.swift.org/install/linux/) and put it in PATH, or set SWIFT=/path/to/swift"
}

# find_clang: sets $clang to clang, the toolchain's own if none is in PATH; 1 if there is none.
find_clang() {
    find_swift
    for clang in "$(command -v clang 2>/dev/null)" "$(dirname "$(readlink -f "$swift")")/clang"; do
        [ -n "$clang" ] && [ -x "$clang" ] && return 0
    done
    return 1
}

# newer_than FILE PATH…: true if FILE is missing or anything under PATH… is newer.
newer_than() {
    local file=$1
    shift
    [ -e "$file" ] || return 0
    [ -n "$(find -L "$@" -newer "$file" -print -quit 2>/dev/null)" ]
}
