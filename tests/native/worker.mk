# SPDX-License-Identifier: Apache-2.0
# Test programs around the worker, built from the repository's root:
#
#   make -f tests/native/worker.mk harness [SAN=asan|tsan]   worker_harness and the stub vendor library
#   make -f tests/native/worker.mk fuzz                      fuzz_worker with ASan and UBSan (needs clang, libFuzzer)
#   make -f tests/native/worker.mk run-fuzz SECONDS=60       runs it for that long, on both interfaces in turn, with their
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
fuzz: $(FUZZ)/fuzz_worker $(FUZZ)/libstub.so $(FUZZ)/libstub-acl.so

$(GEN)/cuda_worker.c: $(wildcard accelpool/remoting/interfaces/*.yaml accelpool/remoting/generator/*.py)
	@mkdir -p $(GEN)
	$(PYTHON) -m accelpool.remoting.generator --out $(GEN)

$(OUT)/worker_harness: tests/native/worker_harness.c $(SOURCES) $(HEADERS)
	@mkdir -p $(OUT)
	$(CC) $(FLAGS) -O1 $(SANITIZE) $< $(SOURCES) -o $@ -ldl -lssl -lcrypto
$(FUZZ)/fuzz_worker: tests/native/fuzz_worker.c $(SOURCES) $(HEADERS)
	@mkdir -p $(FUZZ)
	$(CLANG) $(FLAGS) -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $< $(SOURCES) -o $@ -ldl -lssl -lcrypto
STUB_FLAGS := -std=c11 -D_GNU_SOURCE -O1 -g -fPIC -shared -Wall -Wextra -Werror -I$(REMOTING)/common
%/libstub.so: tests/native/worker_stub.c tests/native/hopper_vendor.h
	@mkdir -p $(@D)
	$(CC) $(STUB_FLAGS) $< -o $@
%/libstub-acl.so: tests/native/worker_stub_acl.c
	@mkdir -p $(@D)
	$(CC) $(STUB_FLAGS) $< -o $@

run-fuzz: run-fuzz-cuda run-fuzz-acl
run-fuzz-acl: STUB := libstub-acl.so
run-fuzz-cuda: STUB := libstub.so
run-fuzz-%: fuzz
	@mkdir -p $(FUZZ)/corpus-$*
	PYTHONPATH=. $(PYTHON) tests/native/fuzz_worker_seeds.py $* $(FUZZ)/seeds-$*
	WORKER_STUB=$(FUZZ)/$(STUB) WORKER_INTERFACE=$* ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 \
	    $(FUZZ)/fuzz_worker $(FUZZ)/corpus-$* $(FUZZ)/seeds-$* -dict=$(GEN)/$*.dict -max_total_time=$$(($(SECONDS) / 2)) \
	    -timeout=20 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 -artifact_prefix=$(FUZZ)/$*- \
	    2>$(FUZZ)/log-$*; status=$$?; tail -n 12 $(FUZZ)/log-$*; exit $$status
