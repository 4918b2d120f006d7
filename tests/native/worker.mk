# SPDX-License-Identifier: Apache-2.0
# Test programs around the worker, built from the repository's root:
#
#   make -f tests/native/worker.mk harness [SAN=asan|tsan]   worker_harness and the stub vendor library
#   make -f tests/native/worker.mk fuzz                      fuzz_worker, fuzz_images with ASan and UBSan (clang, libFuzzer)
#   make -f tests/native/worker.mk run-fuzz SECONDS=60       runs them for that long: images, then both interfaces with their
#                                                            generated dictionaries; a finding is an error

PYTHON ?= python3
CLANG ?= $(firstword $(foreach c,clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14,$(if $(shell command -v $(c)),$(c))))
SECONDS ?= 60
SAN ?=
OUT ?= build/tests/worker$(if $(SAN),-$(SAN))
GEN := build/tests/gen
REMOTING := accelpool/remoting/native

SOURCES := $(filter-out %/main.c %/forkserver.c %/sandbox.c,$(wildcard $(REMOTING)/worker/*.c)) \
           $(wildcard $(REMOTING)/worker/cuda/*.c $(REMOTING)/worker/acl/*.c) \
           $(wildcard $(REMOTING)/common/*.c) $(GEN)/cuda_worker.c $(GEN)/acl_worker.c
HEADERS := $(wildcard $(REMOTING)/worker/*.h $(REMOTING)/worker/cuda/*.h $(REMOTING)/worker/acl/*.h $(REMOTING)/common/*.h)
FLAGS := -std=c11 -D_GNU_SOURCE -g -pthread -fno-strict-aliasing -Wall -Wextra -Werror -Wshadow -Wvla \
         -I$(REMOTING)/common -I$(REMOTING)/worker -I$(REMOTING)/worker/cuda -I$(REMOTING)/worker/acl -I$(GEN)
ifeq ($(SAN),asan)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SAN),tsan)
SANITIZE := -fsanitize=thread
endif
FUZZ := build/tests/worker-fuzz

.PHONY: harness fuzz run-fuzz
harness: $(OUT)/worker_harness $(OUT)/libstub.so $(OUT)/libstub-acl.so
fuzz: $(FUZZ)/fuzz_worker $(FUZZ)/fuzz_images $(FUZZ)/libstub.so $(FUZZ)/libstub-acl.so

$(GEN)/cuda_worker.c: $(wildcard accelpool/remoting/interfaces/*.yaml accelpool/remoting/generator/*.py)
	@mkdir -p $(GEN)
	$(PYTHON) -m accelpool.remoting.generator --out $(GEN)

$(OUT)/worker_harness: tests/native/worker_harness.c $(SOURCES) $(HEADERS)
	@mkdir -p $(OUT)
	$(CC) $(FLAGS) -O1 $(SANITIZE) $< $(SOURCES) -o $@ -ldl -lssl -lcrypto -lzstd
$(FUZZ)/fuzz_worker: tests/native/fuzz_worker.c $(SOURCES) $(HEADERS)
	@mkdir -p $(FUZZ)
	$(CLANG) $(FLAGS) -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $< $(SOURCES) -o $@ -ldl -lssl -lcrypto -lzstd
IMAGES := $(patsubst %,$(REMOTING)/worker/cuda/%.c,ptx_variables cubin_variables fatbin jit) \
          $(patsubst %,$(REMOTING)/common/%.c,cubin_file cubin_params ptx_params ptx_scan)
$(FUZZ)/fuzz_images: tests/native/fuzz_images.c $(IMAGES) $(HEADERS)
	@mkdir -p $(FUZZ)
	$(CLANG) $(FLAGS) -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $< $(IMAGES) -o $@ -lzstd
STUB_FLAGS := -std=c11 -D_GNU_SOURCE -O1 -g -fPIC -shared -Wall -Wextra -Werror -I$(REMOTING)/common
%/libstub.so: tests/native/worker_stub.c tests/native/hopper_vendor.h
	@mkdir -p $(@D)
	$(CC) $(STUB_FLAGS) $< -o $@
%/libstub-acl.so: tests/native/worker_stub_acl.c
	@mkdir -p $(@D)
	$(CC) $(STUB_FLAGS) $< -o $@

FUZZ_FLAGS = -max_total_time=$$(($(SECONDS) / 3)) -timeout=20 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1

run-fuzz: run-fuzz-images run-fuzz-cuda run-fuzz-acl
run-fuzz-images: fuzz
	@mkdir -p $(FUZZ)/corpus-images
	PYTHONPATH=. $(PYTHON) tests/native/fuzz_worker_seeds.py images $(FUZZ)/seeds-images
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 \
	    $(FUZZ)/fuzz_images $(FUZZ)/corpus-images $(FUZZ)/seeds-images $(FUZZ_FLAGS) -malloc_limit_mb=600 \
	    -artifact_prefix=$(FUZZ)/images- 2>$(FUZZ)/log-images; status=$$?; tail -n 12 $(FUZZ)/log-images; exit $$status
run-fuzz-acl: STUB := libstub-acl.so
run-fuzz-cuda: STUB := libstub.so
run-fuzz-cuda run-fuzz-acl: run-fuzz-%: fuzz
	@mkdir -p $(FUZZ)/corpus-$*
	PYTHONPATH=. $(PYTHON) tests/native/fuzz_worker_seeds.py $* $(FUZZ)/seeds-$*
	WORKER_STUB=$(FUZZ)/$(STUB) WORKER_INTERFACE=$* ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 \
	    $(FUZZ)/fuzz_worker $(FUZZ)/corpus-$* $(FUZZ)/seeds-$* -dict=$(GEN)/$*.dict $(FUZZ_FLAGS) -artifact_prefix=$(FUZZ)/$*- \
	    2>$(FUZZ)/log-$*; status=$$?; tail -n 12 $(FUZZ)/log-$*; exit $$status
