# SPDX-License-Identifier: Apache-2.0
# Native parts: the client library, the worker and the emulated device.
#
#   make native                  build into accelpool/_native (what the wheel ships)
#   make native SAN=asan OUT=D   the same with a sanitizer (asan, ubsan, tsan) into another place
#   make clean
#
# The generated sources (build/native/gen) come from accelpool/remoting/interfaces/*.yaml.

MAKEFLAGS += --no-builtin-rules
.SECONDARY:

PYTHON ?= python3
CC ?= gcc
OUT ?= accelpool/_native
SAN ?=
BUILD := build/native
GEN := $(BUILD)/gen
OBJ := $(BUILD)/obj$(if $(SAN),-$(SAN))

REMOTING := accelpool/remoting/native
EMU := accelpool/drivers/mock/native

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wvla -Wformat=2
CFLAGS := -std=c11 -D_GNU_SOURCE -O2 -g -fPIC -pthread -fvisibility=hidden -fno-strict-aliasing \
          -fstack-protector-strong $(WARNINGS) -I$(REMOTING)/common -I$(GEN) $(EXTRA_CFLAGS)
LDFLAGS := -pthread -Wl,-z,relro,-z,now $(EXTRA_LDFLAGS)
# Inside ours, and nobody sees it: the program's own OpenSSL is another one. TLS_LIBS="-lssl -lcrypto" links the system's.
TLS_LIBS ?= -Wl,--exclude-libs,ALL -Wl,-Bstatic -lssl -lcrypto -Wl,-Bdynamic
# The worker reads compressed fat binaries. ZSTD_LIBS=-lzstd links the system's.
ZSTD_LIBS ?= -Wl,-Bstatic -lzstd -Wl,-Bdynamic
ifeq ($(SAN),asan)
CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS += -fsanitize=address,undefined
else ifeq ($(SAN),ubsan)
CFLAGS += -fsanitize=undefined -fno-sanitize-recover=undefined
LDFLAGS += -fsanitize=undefined
else ifeq ($(SAN),tsan)
CFLAGS += -fsanitize=thread
LDFLAGS += -fsanitize=thread
endif

GENERATED := $(GEN)/.stamp
COMMON_SRC := $(wildcard $(REMOTING)/common/*.c)
CLIENT_SRC := $(wildcard $(REMOTING)/client/*.c)
CLIENT_CUDA_SRC := $(wildcard $(REMOTING)/client/cuda/*.c)
CLIENT_ACL_SRC := $(wildcard $(REMOTING)/client/acl/*.c)
CLIENT_NVML_SRC := $(wildcard $(REMOTING)/client/nvml/*.c)
WORKER_SRC := $(wildcard $(REMOTING)/worker/*.c)
WORKER_CUDA_SRC := $(wildcard $(REMOTING)/worker/cuda/*.c)
WORKER_ACL_SRC := $(wildcard $(REMOTING)/worker/acl/*.c)
EMU_SRC := $(wildcard $(EMU)/*.c)
EMU_ACL_SRC := $(wildcard $(EMU)/acl/*.c)
OPAPI_SRC := $(wildcard $(EMU)/acl/opapi/*.c)
objects = $(patsubst %.c,$(OBJ)/$(1)/%.o,$(notdir $(2)))

COMMON_OBJ := $(call objects,common,$(COMMON_SRC))
CLIENT_OBJ := $(call objects,client,$(CLIENT_SRC))
CLIENT_CUDA_OBJ := $(call objects,client-cuda,$(CLIENT_CUDA_SRC)) $(OBJ)/client-cuda-gen/cuda_client.o
CLIENT_ACL_OBJ := $(call objects,client-acl,$(CLIENT_ACL_SRC)) $(OBJ)/client-acl-gen/acl_client.o
CLIENT_NVML_OBJ := $(call objects,client-nvml,$(CLIENT_NVML_SRC)) $(OBJ)/client-nvml-gen/nvml_client.o
WORKER_OBJ := $(call objects,worker,$(WORKER_SRC)) $(call objects,worker-cuda,$(WORKER_CUDA_SRC)) \
              $(call objects,worker-acl,$(WORKER_ACL_SRC)) $(OBJ)/worker-gen/cuda_worker.o $(OBJ)/worker-gen/acl_worker.o
EMU_OBJ := $(call objects,emu,$(EMU_SRC))
EMU_ACL_OBJ := $(call objects,emu-acl,$(EMU_ACL_SRC))
OPAPI_OBJ := $(call objects,emu-opapi,$(OPAPI_SRC))

ACL := $(OUT)/lib/acl
CLIENT := $(OUT)/lib/cuda/libcuda.so.1 $(OUT)/lib/cuda/libnvidia-ml.so.1 $(ACL)/libacl_rt.so $(ACL)/libascendcl.so \
          $(ACL)/libruntime.so \
          $(ACL)/libacl_op_compiler.so $(ACL)/libhccl.so
WORKER := $(OUT)/bin/accelpool-worker
# What a program finds in CANN, besides the runtime: its operators, and libraries that only have to be there.
CANN := $(OUT)/lib/emulated-cann
EMULATED := $(OUT)/lib/libaccelpool-emucuda.so $(OUT)/lib/libaccelpool-emuacl.so $(CANN)/libopapi.so \
            $(CANN)/libge_runner.so $(CANN)/libgraph.so $(CANN)/libacl_tdt_channel.so

.PHONY: native generate clean client worker emulated
native: client worker emulated
client: $(CLIENT)
worker: $(WORKER)
emulated: $(EMULATED)
generate: $(GENERATED)

$(GENERATED): $(wildcard accelpool/remoting/interfaces/*.yaml) $(wildcard accelpool/remoting/generator/*.py)
	@mkdir -p $(GEN)
	@echo "  GEN $(GEN)"
	@$(PYTHON) -m accelpool.remoting.generator --out $(GEN)
	@touch $@
$(GEN)/%.c: $(GENERATED) ;

define compile_rule
$(OBJ)/$(1)/%.o: $(2)/%.c $(GENERATED)
	@mkdir -p $$(@D)
	@echo "  CC  $$<"
	@$(CC) $(CFLAGS) $(3) -MMD -MP -c $$< -o $$@
endef
$(eval $(call compile_rule,common,$(REMOTING)/common,))
# A client library per interface: the shared files (client/*.c, common/*.c), the interface's own and its generated stubs.
CLIENT_CUDA_INCLUDES := -I$(REMOTING)/client -I$(REMOTING)/client/cuda
CLIENT_ACL_INCLUDES := -I$(REMOTING)/client -I$(REMOTING)/client/acl
WORKER_INCLUDES := -I$(REMOTING)/worker
$(eval $(call compile_rule,client,$(REMOTING)/client,-I$(REMOTING)/client))
$(eval $(call compile_rule,client-cuda,$(REMOTING)/client/cuda,$(CLIENT_CUDA_INCLUDES)))
$(eval $(call compile_rule,client-cuda-gen,$(GEN),$(CLIENT_CUDA_INCLUDES)))
$(eval $(call compile_rule,client-acl,$(REMOTING)/client/acl,$(CLIENT_ACL_INCLUDES)))
$(eval $(call compile_rule,client-acl-gen,$(GEN),$(CLIENT_ACL_INCLUDES)))
$(eval $(call compile_rule,client-nvml,$(REMOTING)/client/nvml,-I$(REMOTING)/client/nvml -I$(REMOTING)/client))
$(eval $(call compile_rule,client-nvml-gen,$(GEN),-I$(REMOTING)/client/nvml))
$(eval $(call compile_rule,client-acl-beside,$(REMOTING)/client/acl/beside,))
$(eval $(call compile_rule,worker,$(REMOTING)/worker,$(WORKER_INCLUDES) -I$(REMOTING)/worker/cuda))
$(eval $(call compile_rule,worker-cuda,$(REMOTING)/worker/cuda,$(WORKER_INCLUDES) -I$(REMOTING)/worker/cuda))
$(eval $(call compile_rule,worker-acl,$(REMOTING)/worker/acl,$(WORKER_INCLUDES) -I$(REMOTING)/worker/acl))
$(eval $(call compile_rule,worker-gen,$(GEN),$(WORKER_INCLUDES)))
# IEEE operations must be exactly what the kernel asked for.
$(eval $(call compile_rule,emu,$(EMU),-I$(EMU) -ffp-contract=off -frounding-math))
$(eval $(call compile_rule,emu-opapi,$(EMU)/acl/opapi,-I$(EMU)/acl))
$(eval $(call compile_rule,emu-acl,$(EMU)/acl,-I$(EMU)/acl -I$(EMU) -ffp-contract=off))

$(OUT)/lib/cuda/libcuda.so.1: $(CLIENT_CUDA_OBJ) $(CLIENT_OBJ) $(COMMON_OBJ)
	@mkdir -p $(@D)
	@echo "  LD  $@"
	@$(CC) -shared -Wl,-soname,libcuda.so.1 -o $@ $^ $(LDFLAGS) $(TLS_LIBS) -ldl -lm
# Answers from the CUDA client library in its directory.
$(OUT)/lib/cuda/libnvidia-ml.so.1: $(CLIENT_NVML_OBJ)
	@mkdir -p $(@D)
	@echo "  LD  $@"
	@$(CC) -shared -Wl,-soname,libnvidia-ml.so.1 -o $@ $^ $(LDFLAGS) -ldl
$(ACL)/libacl_rt.so: $(CLIENT_ACL_OBJ) $(CLIENT_OBJ) $(COMMON_OBJ)
	@mkdir -p $(@D)
	@echo "  LD  $@"
	@$(CC) -shared -Wl,-soname,libacl_rt.so -o $@ $^ $(LDFLAGS) $(TLS_LIBS) -ldl -lm
# Programs ask for these names; everything is in libacl_rt.so.
$(ACL)/libascendcl.so $(ACL)/libruntime.so: $(ACL)/libacl_rt.so
	@echo "  LD  $@"
	@$(CC) -shared -Wl,-soname,$(@F) -Wl,--no-as-needed -o $@ -L$(ACL) -l:libacl_rt.so -Wl,-rpath,'$$ORIGIN' -Wl,-z,relro,-z,now
$(ACL)/lib%.so: $(OBJ)/client-acl-beside/%.o $(ACL)/libascendcl.so
	@echo "  LD  $@"
	@$(CC) -shared -Wl,-soname,$(@F) -Wl,--no-as-needed -o $@ $< -L$(ACL) -l:libascendcl.so -Wl,-rpath,'$$ORIGIN' \
	    -Wl,-z,relro,-z,now
$(WORKER): $(WORKER_OBJ) $(COMMON_OBJ)
	@mkdir -p $(@D)
	@echo "  LD  $@"
	@$(CC) -o $@ $^ $(LDFLAGS) -Wl,--export-dynamic-symbol=ioctl $(TLS_LIBS) $(ZSTD_LIBS) -ldl -lm -lseccomp
$(OUT)/lib/libaccelpool-emucuda.so: $(EMU_OBJ)
	@mkdir -p $(@D)
	@echo "  LD  $@"
	@$(CC) -shared -Wl,-soname,libaccelpool-emucuda.so -o $@ $^ $(LDFLAGS) -ldl -lm
# The same engine with another API in front: only that one is exported.
$(OUT)/lib/libaccelpool-emuacl.so: $(EMU_ACL_OBJ) $(EMU_OBJ) $(EMU)/acl/exports.map
	@mkdir -p $(@D)
	@echo "  LD  $@"
	@$(CC) -shared -Wl,-soname,libaccelpool-emuacl.so -Wl,--version-script=$(EMU)/acl/exports.map -o $@ $(EMU_ACL_OBJ) \
	    $(EMU_OBJ) $(LDFLAGS) -ldl -lm
$(CANN)/libopapi.so: $(OPAPI_OBJ) $(ACL)/libascendcl.so
	@mkdir -p $(@D)
	@echo "  LD  $@"
	@$(CC) -shared -Wl,-soname,libopapi.so -o $@ $(OPAPI_OBJ) $(LDFLAGS) -Wl,--no-as-needed -L$(ACL) -l:libascendcl.so
$(CANN)/libge_runner.so $(CANN)/libgraph.so $(CANN)/libacl_tdt_channel.so:
	@mkdir -p $(@D)
	@echo "  LD  $@"
	@$(CC) -shared -nostdlib -Wl,-soname,$(@F) -o $@ -x c /dev/null

clean:
	rm -rf build/native accelpool/_native

-include $(COMMON_OBJ:.o=.d) $(CLIENT_OBJ:.o=.d) $(CLIENT_CUDA_OBJ:.o=.d) $(CLIENT_ACL_OBJ:.o=.d) $(CLIENT_NVML_OBJ:.o=.d) $(WORKER_OBJ:.o=.d) $(EMU_OBJ:.o=.d) $(EMU_ACL_OBJ:.o=.d) $(OPAPI_OBJ:.o=.d)
