// SPDX-License-Identifier: Apache-2.0
// DCMI's layouts and error numbers, and what both families of functions answer from.
#pragma once

#include <stdio.h>
#include <string.h>

#include "layout.h"

#define EXPORT __attribute__((visibility("default")))

enum {
    OK = 0, INVALID_PARAMETER = -8001, NOT_PERMITTED = -8002, INNER_ERROR = -8005, DEVICE_NOT_EXIST = -8008,
    NOT_READY = -8012, RESOURCE_OCCUPIED = -8020, CONFIG_NOT_EXIST = -8023, NOT_SUPPORT = -8255,
};

struct chip_info { unsigned char type[32], name[32], version[32]; unsigned aicore; };
struct chip_info_v2 { unsigned char type[32], name[32], version[32]; unsigned aicore; unsigned char npu[32]; };
struct pcie_info { unsigned vendor, subvendor, device, subdevice; int domain; unsigned bus, slot, function; unsigned char spare[32]; };
struct die { unsigned soc[5]; };
struct hbm_info { unsigned long long size; unsigned frequency; unsigned long long usage; int temperature; unsigned bandwidth; };
struct memory_info {
    unsigned long long size, available;
    unsigned frequency;
    unsigned long hugepage_size, hugepages_total, hugepages_free;
    unsigned utilization;
    unsigned char spare[60];
};
struct process_info { int pid; unsigned long usage; };
struct base_resource { unsigned long long token, most, timeout; unsigned group; unsigned char vip, spare[31]; };
struct computing {
    float aic, aiv;
    unsigned short dsa, rtsq, acsq, cdqm, c_core, ffts, sdma, dma;
    unsigned long long memory;
    unsigned event, notify, stream, model;
    unsigned short topic_aicpu, host_cpu, host_aicpu, device_aicpu, topic_slot;
    unsigned utilization;
    unsigned long long total, free;
    unsigned char spare[12];
};
struct media { float jpegd, jpege, vpc, vdec, pngd, venc; unsigned char spare[32]; };
struct create { unsigned id, group; char name[32]; unsigned char spare[64]; };
struct created { unsigned id, bus, slot, function, group; unsigned char spare[32]; };
struct query {
    char name[16];
    unsigned status, container_used, vfid, group;
    unsigned long long container;
    struct base_resource base;
    struct computing computing;
    struct media media;
};
struct query_one { unsigned id; struct query info; };
struct total { unsigned count, ids[32], groups, bitmap; struct base_resource base; struct computing computing; struct media media; };
struct free { unsigned groups, bitmap; struct base_resource base; struct computing computing; struct media media; };
_Static_assert(sizeof(struct chip_info) == 100 && sizeof(struct chip_info_v2) == 132 && sizeof(struct pcie_info) == 64 && sizeof(struct hbm_info) == 32
               && sizeof(struct memory_info) == 112 && sizeof(struct base_resource) == 64
               && sizeof(struct computing) == 96 && sizeof(struct media) == 56 && sizeof(struct create) == 104
               && sizeof(struct created) == 52 && sizeof(struct query_one) == 264 && sizeof(struct total) == 360
               && sizeof(struct free) == 224, "DCMI's layouts");

extern struct state_state *state;
extern int initialised;

int start(unsigned v2, const char *function);
int obey(const char *function, unsigned device);
int text(char *target, size_t room, const char *value);
int chip_info(const struct state_device *device, struct chip_info_v2 *info);
int pcie_info(const struct state_device *device, struct pcie_info *info);
int hbm_info(const struct state_device *device, struct hbm_info *info);
int error_codes(const struct state_device *device, int *count, unsigned *codes, unsigned room);
int processes(const struct state_device *device, struct process_info *infos, int *count);
