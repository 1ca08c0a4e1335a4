#!/usr/bin/env bash
# Swift unit and property tests, the ordinary debug build.
set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
# shellcheck source=../lib/suite.sh
. "$top/scripts/lib/suite.sh"

# shellcheck source=../lib/swift-tests.sh
. "$top/scripts/lib/swift-tests.sh"

swift_tests "$build_dir/host"
finish
