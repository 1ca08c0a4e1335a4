#!/usr/bin/env bash
# Installing, uninstalling, and the two ways to build against what is installed.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

need_install

# tree DIRECTORY: every file, link and directory in it.
tree() { (cd "$1" && find . ! -name . \( -type d -printf '%p/\n' -o -type l -printf '%p -> %l\n' -o -printf '%p %m\n' \) | LC_ALL=C sort); }
empty() { [ -z "$(find "$1" -mindepth 1 2>/dev/null)" ]; }
quiet_make() { make -s --no-print-directory "$@"; }

# DESTDIR, with a blank in its path.
stage="$work/staging area"
mkdir -p "$stage"
check "make install with DESTDIR" quiet_make install PREFIX=/usr/local "DESTDIR=$stage"
for path in lib/libmos.so.$version lib/libmos.so.0 lib/libmos.so lib/libmtcp.so lib/libmos.a \
    include/mtcp_api.h include/mtcp_epoll.h include/mos_api.h include/mtcp_util.h include/mos_ext.h include/mos_io.h \
    lib/pkgconfig/mos.pc lib/pkgconfig/libmos.pc lib/cmake/mos/mosConfig.cmake lib/cmake/mos/mosConfigVersion.cmake \
    lib/cmake/mos/mosTargets.cmake bin/mos share/man/man1/mos.1 share/man/man3/mtcp_peek.3 share/man/man5/mos.conf.5 \
    share/man/man7/libmos.7 share/bash-completion/completions/mos share/zsh/site-functions/_mos \
    share/fish/vendor_completions.d/mos.fish; do
    check "$path is installed" test -e "$stage/usr/local/$path"
done
check "only public headers are" test "$(find "$stage/usr/local/include" -type f | wc -l)" = 6
check_not "no path of this machine in text files" grep -rIlF -e "$stage" -e "$top" "$stage/usr/local"
tree "$stage" >"$work/first"
check "installing again" quiet_make install PREFIX=/usr/local "DESTDIR=$stage"
tree "$stage" >"$work/second"
check "changes nothing" diff -u "$work/first" "$work/second"
check "make uninstall" quiet_make uninstall PREFIX=/usr/local "DESTDIR=$stage"
check "leaves nothing" empty "$stage"

# A prefix that others use as well, and another LIBDIR.
shared=$work/shared
mkdir -p "$shared/include" "$shared/lib/pkgconfig" && touch "$shared/include/other.h"
tree "$shared" >"$work/before"
check "make install with PREFIX and LIBDIR" quiet_make install "PREFIX=$shared" LIBDIR=lib/x86_64-linux-gnu
check "LIBDIR is in mos.pc" test "$(PKG_CONFIG_PATH=$shared/lib/x86_64-linux-gnu/pkgconfig pkg-config --variable=libdir mos | xargs realpath)" = "$(realpath "$shared/lib/x86_64-linux-gnu")"
check "make uninstall" quiet_make uninstall "PREFIX=$shared" LIBDIR=lib/x86_64-linux-gnu
tree "$shared" >"$work/after"
check "others' files stay, ours go" diff -u "$work/before" "$work/after"
check_not "a relative PREFIX is refused" quiet_make install PREFIX=relative
check_not "uninstalling what is not there is refused" quiet_make uninstall "PREFIX=$work/nowhere"

# A file of an earlier version goes when a newer one is installed.
old=$work/old
check "make install" quiet_make install "PREFIX=$old"
touch "$old/share/gone" && echo "file $old/share/gone" >>"$old/share/libmos/installed"
check "make install over an older version" quiet_make install "PREFIX=$old"
check_not "removes what is no longer part of it" test -e "$old/share/gone"

# Programs, against the install wherever it was moved to.
moved=$work/moved
cp -a "$prefix" "$moved"
for place in "$prefix" "$moved"; do
    where=$([ "$place" = "$moved" ] && echo " (moved)")
    export PKG_CONFIG_PATH=$place/lib/pkgconfig LD_LIBRARY_PATH=$place/lib
    check "pkg-config: version$where" test "$(pkg-config --modversion mos) $(pkg-config --modversion libmos)" = "$version $version"
    check "pkg-config: flags are of this install$where" test "$(realpath "$(pkg-config --variable=includedir mos)")" = "$(realpath "$place/include")"
    check "a program through pkg-config$where" quiet_make -C tests-c/install/pkg-config run "OUT=$work/pc"
    rm -rf "$work/cm"
    check "CMake finds the package$where" cmake -S tests-c/install/cmake -B "$work/cm" "-DCMAKE_PREFIX_PATH=$place"
    check "and found this one$where" grep -q "^mos_DIR:PATH=$place/" "$work/cm/CMakeCache.txt"
    check "a program through CMake$where" cmake --build "$work/cm"
    check "runs$where" ctest --test-dir "$work/cm" --output-on-failure --no-tests=error
done
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
check "a program with -lmtcp" quiet_make -C tests-c/install/pkg-config run "OUT=$work/mtcp" "LIBS=-L$prefix/lib -lmtcp"
check "it asks for libmos.so.0 at run time" sh -c 'readelf -d "$1" | grep -q "NEEDED.*libmos.so.0"' - "$work/mtcp/consumer"
check "a program with the archive" quiet_make -C tests-c/install/pkg-config run "OUT=$work/static" "LIBS=-L$prefix/lib -l:libmos.a -lpcap -lm -pthread"
check_not "it needs no libmos.so" sh -c 'readelf -d "$1" | grep NEEDED.*libmos' - "$work/static/consumer"
for wanted in 0.3 "$version" 0; do
    check "CMake: find_package(mos $wanted)" cmake -S tests-c/install/cmake -B "$work/cm-$wanted" "-DCMAKE_PREFIX_PATH=$prefix" "-DWANTED=$wanted"
done
for wanted in 0.2 0.4 1 0.3.99; do
    check_not "CMake: find_package(mos $wanted) is refused" cmake -S tests-c/install/cmake -B "$work/cm-$wanted" "-DCMAKE_PREFIX_PATH=$prefix" "-DWANTED=$wanted"
done

# The tool, and its completions as an interactive bash has them.
check "bash completes: mos fl" bash -c '. "$1" && COMP_WORDS=(mos fl) COMP_CWORD=1 COMP_LINE="mos fl" COMP_POINT=6 && _mos mos fl mos && test "${COMPREPLY[*]}" = flows' - "$prefix/share/bash-completion/completions/mos"
check "mos --version says $version" sh -c '"$1" --version | grep -qF "$2"' - "$prefix/bin/mos" "$version"
check_not "mos needs no Swift library" sh -c 'ldd "$1" | grep -i swift' - "$prefix/bin/mos"

# CMake builds and installs the same.
check "cmake -B" cmake -S "$top" -B "$work/cmake" "-DMOS_BUILD_DIR=$build_dir" "-DCMAKE_INSTALL_PREFIX=$work/by-cmake"
check "cmake --build" cmake --build "$work/cmake"
check "cmake --install" cmake --install "$work/cmake"
check "make install beside it" quiet_make install "PREFIX=$work/by-make"
tree "$work/by-cmake" >"$work/cmake.tree"
tree "$work/by-make" >"$work/make.tree"
check "gives the same files" diff -u "$work/make.tree" "$work/cmake.tree"
check "with the same content" diff -r --exclude=installed --no-dereference "$work/by-make" "$work/by-cmake"
check "install_manifest.txt names them" grep -qx "$work/by-cmake/lib/libmos.so.$version" "$work/cmake/install_manifest.txt"
check "cmake --build --target uninstall" cmake --build "$work/cmake" --target uninstall
check "leaves nothing" empty "$work/by-cmake"
check "ctest knows every suite" sh -c 'test "$(ctest --test-dir "$1" -N | grep -c "Test  *#")" = "$(scripts/test --list | wc -l)"' - "$work/cmake"

finish
