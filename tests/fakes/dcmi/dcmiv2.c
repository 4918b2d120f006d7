// SPDX-License-Identifier: Apache-2.0
// The functions of the 950: one device number, and refused on hosts with older chips.
#include "dcmi.h"

static int enter_v2(const char *function, int number, struct state_device **found) {
    if (!initialised)
        return NOT_READY;
    if (!state->v2)
        return NOT_SUPPORT;
    for (unsigned i = 0; i < state->devices_count; i++)
        if (!state->devices[i].gone && (int)state->devices[i].card == number) {
            *found = &state->devices[i];
            return obey(function, i);
        }
    return DEVICE_NOT_EXIST;
}

#define ENTER_V2(device)                                             \
    struct state_device *device;                                     \
    do {                                                             \
        int entered_ = enter_v2(__func__, number, &device);          \
        if (entered_ != OK)                                          \
            return entered_;                                         \
    } while (0)

EXPORT int dcmiv2_init(void) {
    return start(1, __func__);
}

EXPORT int dcmiv2_get_dcmi_version(char *version, int length) {
    return initialised ? text(version, (size_t)length, state->dcmi) : NOT_READY;
}

EXPORT int dcmiv2_get_driver_version(char *version, unsigned length) {
    return initialised ? text(version, length, state->driver) : NOT_READY;
}

EXPORT int dcmiv2_get_device_list(int *devices, int *count, int room) {
    if (!initialised)
        return NOT_READY;
    int answer = obey(__func__, 0xffffffffu);
    if (answer != OK)
        return answer;
    *count = 0;
    for (unsigned i = 0; i < state->devices_count && *count < room; i++)
        if (!state->devices[i].gone)
            devices[(*count)++] = (int)state->devices[i].card;
    return OK;
}

EXPORT int dcmiv2_get_device_type(int number, int *type) {
    ENTER_V2(device);
    *type = device->gone ? 0xff : 0;
    return OK;
}

EXPORT int dcmiv2_get_chip_phyid_from_dev_id(unsigned number, unsigned *physical) {
    *physical = number;
    return initialised ? OK : NOT_READY;
}

EXPORT int dcmiv2_get_device_chip_info(int number, struct chip_info_v2 *info) {
    ENTER_V2(device);
    return chip_info(device, info);
}

EXPORT int dcmiv2_get_device_pcie_info(int number, struct pcie_info *info) {
    ENTER_V2(device);
    return pcie_info(device, info);
}

EXPORT int dcmiv2_get_device_die_id(int number, int type, struct die *die) {
    ENTER_V2(device);
    if (type != 2)
        return NOT_SUPPORT;
    memcpy(die->soc, device->die, sizeof die->soc);
    return OK;
}

EXPORT int dcmiv2_get_device_hbm_info(int number, struct hbm_info *info) {
    ENTER_V2(device);
    return hbm_info(device, info);
}

EXPORT int dcmiv2_get_device_health(int number, unsigned *health) {
    ENTER_V2(device);
    *health = device->health;
    return OK;
}

EXPORT int dcmiv2_get_device_errorcode(int number, int *count, unsigned *codes, unsigned room) {
    ENTER_V2(device);
    return error_codes(device, count, codes, room);
}

EXPORT int dcmiv2_get_device_temperature(int number, int *temperature) {
    ENTER_V2(device);
    *temperature = device->temperature;
    return OK;
}

EXPORT int dcmiv2_get_device_power_info(int number, int *power) {
    ENTER_V2(device);
    *power = device->power;
    return OK;
}

EXPORT int dcmiv2_get_device_utilization_rate(int number, int type, unsigned *rate) {
    ENTER_V2(device);
    if (type != 2)
        return NOT_SUPPORT;
    *rate = device->utilization;
    return OK;
}

EXPORT int dcmiv2_get_device_resource_info(int number, struct process_info *infos, int *count) {
    ENTER_V2(device);
    return processes(device, infos, count);
}

EXPORT int dcmiv2_get_affinity_cpu_info_by_dev_id(int number, char *cpus, int *length) {
    ENTER_V2(device);
    *length = snprintf(cpus, (size_t)*length, "%u-%u", device->cpu_first, device->cpu_last);
    return OK;
}
