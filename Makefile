# The front door; Meson and ninja do the work.  Each target says what it installs before it does, and a second run installs
# nothing.

BUILD ?= build
BUILD_ASAN ?= build-asan
BUILD_TSAN ?= build-tsan
PREFIX ?= /usr/local

.PHONY: all build demo test bench fuzz install clean setup setup-test format

all: build

setup:
	@tools/setup.sh build

setup-test:
	@tools/setup.sh build test

$(BUILD)/build.ninja: | setup
	@meson setup --prefix $(PREFIX) $(BUILD) >$(BUILD).log 2>&1 || { cat $(BUILD).log; exit 1; }
	@rm -f $(BUILD).log

build: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet

# The main job: the paper's own pipeline, with pipeahead, without it, and with all data local.
demo: setup
	@tools/setup.sh build demo
	@$(MAKE) --no-print-directory build
	@examples/jsm-conv/generate.py
	@sync # what was just generated is written back before the clock runs
	$(BUILD)/pipeahead run examples/jsm-conv/pipeline.yaml --compare

test: setup-test
	@tools/setup.sh demo
	@$(MAKE) --no-print-directory build
	@tests/run.sh $(BUILD) $(BUILD_ASAN) $(BUILD_TSAN)

bench: setup-test
	@tools/setup.sh demo bench
	@$(MAKE) --no-print-directory build
	@tests/bench/run.sh $(BUILD)

# Ten minutes a target; findings go to tests/fuzz/seeds/.
fuzz: setup-test
	@tools/setup.sh fuzz
	@tests/fuzz/run.sh

install: build
	@meson install -C $(BUILD)

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

clean:
	rm -rf $(BUILD) $(BUILD_ASAN) $(BUILD_TSAN)
