# shellcheck shell=bash
# Where to install to and uninstall from: PREFIX, DESTDIR and LIBDIR from the
# environment, checked; sets $libdir, and $list, the list of what was installed.

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
LIBDIR=${LIBDIR:-lib}
case $PREFIX in /*) ;; *) die "PREFIX must be an absolute path, not '$PREFIX'" ;; esac
case $LIBDIR in /* | *..*) die "LIBDIR is below PREFIX: '$LIBDIR' is not" ;; esac
case $DESTDIR in '' | /*) ;; *) DESTDIR=$PWD/$DESTDIR ;; esac
PREFIX=$(realpath -ms "$PREFIX")
[ "$DESTDIR" = / ] && DESTDIR=
DESTDIR=${DESTDIR%/}
libdir=$PREFIX/$LIBDIR
# shellcheck disable=SC2034  # for the scripts that source this
list=$PREFIX/share/libmos/installed
