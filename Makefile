# Thin: the work is in scripts/ (docs/building.md tells more).
#
#   make            build the library and the mos tool
#   make demo       install missing system packages, build, and show the bundled trace's connections
#   make test       install what tests need and run everything; SUITES="abi install" runs some
#   make bench      the benchmarks (hours); make quick: the small suite; docs/performance.md
#   make callgrind  instructions per packet against Benchmarks/budget.txt; make budget renews it
#   make install    PREFIX=/usr/local DESTDIR= LIBDIR=lib
#   make uninstall  with the same PREFIX and DESTDIR
#   make clean      remove .build

export PREFIX ?= /usr/local
export DESTDIR ?=
export LIBDIR ?= lib
SUITES ?=
ARGS ?=

.PHONY: all demo test bench quick callgrind budget install uninstall clean
all:
	@scripts/build library tool

demo:
	@scripts/demo

test:
	@scripts/deps build test
	@scripts/test $(SUITES)

bench quick callgrind budget:
	@ARGS="$(ARGS)" scripts/bench $@

install: all
	@scripts/install

uninstall:
	@scripts/uninstall

clean:
	rm -rf .build
