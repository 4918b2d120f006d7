// SPDX-License-Identifier: Apache-2.0
// libdcmi.so for tests.  Names, argument orders and layouts are DCMI's ABI; the state file is named by FAKE_DCMI_STATE.
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "dcmi.h"

struct state_state *state;
int initialised;
static int file = -1;

int obey(const char *function, unsigned device) {
    for (unsigned i = 0; i < STATE_RULES; i++) {
        volatile struct state_rule *rule = &state->rules[i];
        const char *name = state->rules[i].function;
        while (rule->active && (rule->device == 0xffffffffu || rule->device == device)
               && (name[0] ? !strcmp(name, function) : device != 0xffffffffu)) {
            rule->met = 1;
            if (!rule->hang)
                return (int)rule->code;
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        }
    }
    return OK;
}

static int enter(const char *function, int card, int chip, struct state_device **found) {
    if (!initialised)
        return NOT_READY;
    if (state->v2)
        return NOT_SUPPORT;
    for (unsigned i = 0; i < state->devices_count; i++)
        if (!state->devices[i].gone && (int)state->devices[i].card == card && (int)state->devices[i].chip == chip) {
            *found = &state->devices[i];
            return obey(function, i);
        }
    return DEVICE_NOT_EXIST;
}

#define ENTER(device)                                                \
    struct state_device *device;                                     \
    do {                                                             \
        int entered_ = enter(__func__, card, chip, &device);         \
        if (entered_ != OK)                                          \
            return entered_;                                         \
    } while (0)

static int map(void) {
    const char *path = getenv("FAKE_DCMI_STATE");
    struct stat status;
    if (!state) {
        if (!path || (file = open(path, O_RDWR | O_CLOEXEC)) < 0 || fstat(file, &status)
            || (size_t)status.st_size != sizeof *state)
            return INNER_ERROR;
        void *mapped = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped == MAP_FAILED)
            return INNER_ERROR;
        state = mapped;
    }
    return state->init_code;
}

int start(unsigned v2, const char *function) {
    int answer = map();
    if (answer != OK)
        return answer;
    if (state->v2 != v2)
        return NOT_SUPPORT;
    initialised = 1;
    return obey(function, 0xffffffffu);
}

EXPORT int dcmi_init(void) {
    return start(0, __func__);
}

int text(char *target, size_t room, const char *value) {
    if (strlen(value) >= room)
        return INVALID_PARAMETER;
    strcpy(target, value);
    return OK;
}

EXPORT int dcmi_get_driver_version(char *version, unsigned length) {
    return initialised ? text(version, length, state->driver) : NOT_READY;
}

EXPORT int dcmi_get_dcmi_version(char *version, int length) {
    return initialised ? text(version, (size_t)length, state->dcmi) : NOT_READY;
}

static int list_cards(const char *function, int *count, int *cards, int room) {
    if (!initialised)
        return NOT_READY;
    if (state->v2)
        return NOT_SUPPORT;
    int answer = obey(function, 0xffffffffu);
    if (answer != OK)
        return answer;
    *count = 0;
    for (unsigned i = 0; i < state->devices_count; i++) {
        int known = state->devices[i].gone != 0;
        for (int c = 0; c < *count; c++)
            known |= cards[c] == (int)state->devices[i].card;
        if (!known && *count < room)
            cards[(*count)++] = (int)state->devices[i].card;
    }
    return OK;
}

EXPORT int dcmi_get_card_list(int *count, int *cards, int room) {
    return list_cards(__func__, count, cards, room);
}

EXPORT int dcmi_get_card_num_list(int *count, int *cards, int room) {
    return room <= 64 ? list_cards(__func__, count, cards, room) : INVALID_PARAMETER;
}

EXPORT int dcmi_get_device_id_in_card(int card, int *most, int *mcu, int *cpu) {
    if (!initialised)
        return NOT_READY;
    *most = 0;
    *mcu = *cpu = -1;
    for (unsigned i = 0; i < state->devices_count; i++)
        if ((int)state->devices[i].card == card && (int)state->devices[i].chip >= *most)
            *most = (int)state->devices[i].chip + 1;
    return *most ? OK : DEVICE_NOT_EXIST;
}

EXPORT int dcmi_get_device_type(int card, int chip, int *type) {
    ENTER(device);
    *type = (int)device->unit;
    return OK;
}

EXPORT int dcmi_get_device_logic_id(int *id, int card, int chip) {
    ENTER(device);
    *id = (int)(device - state->devices);
    return OK;
}

EXPORT int dcmi_get_device_phyid_from_logicid(unsigned logic, unsigned *physical) {
    *physical = logic;
    return initialised ? OK : NOT_READY;
}

int chip_info(const struct state_device *device, struct chip_info_v2 *info) {
    *info = (struct chip_info_v2){.type = "Ascend", .version = "V1", .aicore = device->aicore};
    memcpy(info->name, device->name, sizeof info->name);
    memcpy(info->npu, device->name, sizeof info->npu);
    return OK;
}

EXPORT int dcmi_get_device_chip_info_v2(int card, int chip, struct chip_info_v2 *info) {
    ENTER(device);
    return chip_info(device, info);
}

EXPORT int dcmi_get_device_chip_info(int card, int chip, struct chip_info *info) {
    ENTER(device);
    *info = (struct chip_info){.type = "Ascend", .version = "V1", .aicore = device->aicore};
    memcpy(info->name, device->name, sizeof info->name);
    return OK;
}

int pcie_info(const struct state_device *device, struct pcie_info *info) {
    *info = (struct pcie_info){.vendor = device->vendor, .device = device->pci_id, .domain = device->pci_domain,
                               .bus = device->pci_bus};
    return OK;
}

EXPORT int dcmi_get_device_pcie_info_v2(int card, int chip, struct pcie_info *info) {
    ENTER(device);
    return pcie_info(device, info);
}

EXPORT int dcmi_get_device_die_v2(int card, int chip, int type, struct die *die) {
    ENTER(device);
    if (type != 1)
        return NOT_SUPPORT;
    memcpy(die->soc, device->die, sizeof die->soc);
    return OK;
}

int hbm_info(const struct state_device *device, struct hbm_info *info) {
    if (!device->hbm)
        return NOT_SUPPORT;
    *info = (struct hbm_info){.size = device->memory, .usage = device->used, .temperature = device->temperature};
    return OK;
}

EXPORT int dcmi_get_device_hbm_info(int card, int chip, struct hbm_info *info) {
    ENTER(device);
    return hbm_info(device, info);
}

EXPORT int dcmi_get_device_memory_info_v3(int card, int chip, struct memory_info *info) {
    ENTER(device);
    if (device->hbm)
        return NOT_SUPPORT;
    *info = (struct memory_info){.size = device->memory, .available = device->memory - device->used};
    return OK;
}

EXPORT int dcmi_get_device_health(int card, int chip, unsigned *health) {
    ENTER(device);
    *health = device->health;
    return OK;
}

int error_codes(const struct state_device *device, int *count, unsigned *codes, unsigned room) {
    for (*count = 0; *count < STATE_ERRORS && (unsigned)*count < room && device->errors[*count]; ++*count)
        codes[*count] = device->errors[*count];
    return OK;
}

EXPORT int dcmi_get_device_errorcode_v2(int card, int chip, int *count, unsigned *codes, unsigned room) {
    ENTER(device);
    return error_codes(device, count, codes, room);
}

EXPORT int dcmi_get_device_temperature(int card, int chip, int *temperature) {
    ENTER(device);
    *temperature = device->temperature;
    return OK;
}

EXPORT int dcmi_get_device_power_info(int card, int chip, int *power) {
    ENTER(device);
    *power = device->power;
    return OK;
}

static unsigned vdevices(const struct state_device *device) {
    unsigned count = 0;
    for (unsigned i = 0; i < STATE_VDEVICES; i++)
        count += device->vdevices[i].used != 0;
    return count;
}

EXPORT int dcmi_get_device_utilization_rate(int card, int chip, int type, unsigned *rate) {
    ENTER(device);
    if (type != 2)
        return NOT_SUPPORT;
    *rate = device->utilization | (vdevices(device) ? 0x200 : 0);
    return OK;
}

int processes(const struct state_device *device, struct process_info *infos, int *count) {
    *count = 0;
    for (unsigned i = 0; i < STATE_PROCESSES; i++)
        if (device->processes[i].pid)
            infos[(*count)++] = (struct process_info){(int)device->processes[i].pid, device->processes[i].memory << 20};
    return OK;
}

EXPORT int dcmi_get_device_resource_info(int card, int chip, struct process_info *infos, int *count) {
    ENTER(device);
    return processes(device, infos, count);
}

EXPORT int dcmi_get_affinity_cpu_info_by_device_id(int card, int chip, char *cpus, int *length) {
    ENTER(device);
    *length = snprintf(cpus, (size_t)*length, "%u-%u", device->cpu_first, device->cpu_last);
    return OK;
}

// 0 the chip itself, 1 through the nodes of the host, 3 HCCS
EXPORT int dcmi_get_topo_info_by_device_id(int card, int chip, int other_card, int other_chip, int *kind) {
    ENTER(device);
    struct state_device *other;
    int answer = enter(__func__, other_card, other_chip, &other);
    if (answer == OK)
        *kind = device == other ? 0 : device->island && device->island == other->island ? 3 : 1;
    return answer;
}

EXPORT int dcmi_get_npu_work_mode(int card, unsigned char *mode) {
    for (unsigned i = 0; i < state->devices_count; i++)
        if ((int)state->devices[i].card == card) {
            *mode = (unsigned char)state->devices[i].smp;
            return OK;
        }
    return DEVICE_NOT_EXIST;
}

// Who may do what with vNPUs, and where, differs between the families of chips (hicann/driver, dcmi_virtual_intf.c).
static int may_split(unsigned chip) {
    switch (chip) {
    case 0xd500:
        return state->root;
    case 0xd801:
        return state->root && state->place != STATE_VM;
    case 0xd802:
    case 0xd803:
        return state->root && (state->place == STATE_METAL || state->place == STATE_PRIVILEGED);
    default:
        return state->root && state->place == STATE_METAL;
    }
}

// The modes are the host's: its first chip says of which family it is.
static int may_set_modes(void) {
    return state->root && (state->place == STATE_METAL
                           || (state->place == STATE_PRIVILEGED && state->devices[0].pci_id == 0xd802));
}

static int may_read_modes(void) {
    return may_set_modes() || (state->root && state->place == STATE_VM && state->devices[0].pci_id == 0xd500);
}

EXPORT int dcmi_set_vdevice_mode(int mode) {
    if (!initialised)
        return NOT_READY;
    if (!may_set_modes())
        return NOT_PERMITTED;
    if (mode != 0 && mode != 1)
        return INVALID_PARAMETER;
    int answer = obey(__func__, 0xffffffffu);
    if (answer != OK)
        return answer;
    for (unsigned i = 0; i < state->devices_count; i++)
        if (vdevices(&state->devices[i]) && (int)state->mode != mode)
            return RESOURCE_OCCUPIED;
        else if (mode && state->devices[i].pci_id == 0xd803)
            return NOT_SUPPORT;
    state->mode = (unsigned)mode;
    return OK;
}

EXPORT int dcmi_get_vdevice_mode(int *mode) {
    if (!initialised)
        return NOT_READY;
    if (!may_read_modes())
        return NOT_PERMITTED;
    int answer = obey(__func__, 0xffffffffu);
    if (answer == OK)
        *mode = (int)state->mode;
    return answer;
}

EXPORT int dcmi_get_vnpu_config_recover_mode(unsigned *mode) {
    if (!initialised)
        return NOT_READY;
    if (state->v2)
        return NOT_SUPPORT;
    if (!may_read_modes())
        return NOT_PERMITTED;
    int answer = obey(__func__, 0xffffffffu);
    if (answer == OK)
        *mode = state->recover;
    return answer;
}

static struct state_template left(const struct state_device *device) {
    struct state_template free = {"", device->aicore, device->aicpu, device->jpegd, (unsigned)device->memory};
    for (unsigned i = 0; i < STATE_VDEVICES; i++)
        if (device->vdevices[i].used) {
            const struct state_template *one = &device->templates[device->vdevices[i].template];
            free.aicore -= one->aicore;
            free.aicpu -= one->aicpu;
            free.jpegd -= one->jpegd;
            free.memory -= one->memory < free.memory ? one->memory : free.memory;
        }
    return free;
}

static void resources(struct computing *computing, struct media *media, const struct state_template *of) {
    computing->aic = (float)of->aicore;
    computing->device_aicpu = (unsigned short)of->aicpu;
    computing->memory = of->memory;
    media->jpegd = (float)of->jpegd;
}

EXPORT int dcmi_get_device_info(int card, int chip, int command, unsigned what, void *buffer, unsigned *size) {
    ENTER(device);
    if (command != 52 || !device->templates_count)
        return NOT_SUPPORT;
    if (what == 1) {
        if (*size < sizeof(struct total))
            return INVALID_PARAMETER;
        struct total *total = buffer;
        *total = (struct total){0};
        struct state_template all = {"", device->aicore, device->aicpu, device->jpegd, (unsigned)device->memory};
        resources(&total->computing, &total->media, &all);
        for (unsigned i = 0; i < STATE_VDEVICES; i++)
            if (device->vdevices[i].used)
                total->ids[total->count++] = device->vdevices[i].id;
        return OK;
    }
    if (what == 2) {
        if (*size < sizeof(struct free))
            return INVALID_PARAMETER;
        struct free *free = buffer;
        *free = (struct free){0};
        struct state_template rest = left(device);
        resources(&free->computing, &free->media, &rest);
        return OK;
    }
    if (what == 0) {
        struct query_one *one = buffer;
        if (*size < sizeof *one)
            return INVALID_PARAMETER;
        for (unsigned i = 0; i < STATE_VDEVICES; i++)
            if (device->vdevices[i].used && device->vdevices[i].id == one->id) {
                const struct state_template *kind = &device->templates[device->vdevices[i].template];
                one->info = (struct query){.container_used = device->vdevices[i].container,
                                           .base = {.group = device->vdevices[i].group}};
                snprintf(one->info.name, sizeof one->info.name, "%.15s", kind->name);
                resources(&one->info.computing, &one->info.media, kind);
                return OK;
            }
        return CONFIG_NOT_EXIST;
    }
    return NOT_SUPPORT;
}

// AI cores of a virtual group; what its vNPUs leave of them goes to `left`.
static unsigned group_cores(const struct state_device *device, unsigned group, unsigned *left) {
    unsigned cores = 0, taken = 0;
    for (unsigned i = 0; i < STATE_VDEVICES; i++)
        if (device->vdevices[i].used && device->vdevices[i].group == group) {
            unsigned aicore = device->templates[device->vdevices[i].template].aicore;
            taken += aicore;
            cores = aicore > cores ? aicore : cores;
        }
    cores = taken && cores < device->group_cores ? device->group_cores : cores;
    *left = cores - taken;
    return cores;
}

// A vNPU has a group of its own; those smaller than the smallest group share one while it has room.  Which group serves
// "any" is the firmware's; here one with room comes before a new one.
static int choose_group(const struct state_device *device, unsigned aicore, unsigned wanted, unsigned *chosen) {
    *chosen = STATE_ANY;
    if (!device->groups)
        return wanted == STATE_ANY ? OK : NOT_SUPPORT;
    if (wanted != STATE_ANY && wanted >= device->groups)
        return INVALID_PARAMETER;
    unsigned own = aicore < device->group_cores ? device->group_cores : aicore, free = device->aicore, left;
    for (unsigned group = 0; group < device->groups; group++)
        free -= group_cores(device, group, &left);
    for (unsigned fresh = 0; fresh < 2; fresh++)
        for (unsigned group = 0; group < device->groups; group++) {
            unsigned cores = group_cores(device, group, &left);
            if ((wanted == STATE_ANY || wanted == group) && (fresh ? !cores && own <= free : left >= aicore)) {
                *chosen = group;
                return OK;
            }
        }
    return RESOURCE_OCCUPIED;
}

EXPORT int dcmi_create_vdevice(int card, int chip, const struct create *wanted, struct created *made) {
    ENTER(device);
    if (!may_split(device->pci_id))
        return NOT_PERMITTED;
    if (state->mode || device->smp)
        return RESOURCE_OCCUPIED;
    int answer = NOT_SUPPORT;
    flock(file, LOCK_EX);
    for (unsigned t = 0; t < device->templates_count; t++) {
        const struct state_template *kind = &device->templates[t];
        if (strcmp(kind->name, wanted->name))
            continue;
        struct state_template rest = left(device);
        answer = RESOURCE_OCCUPIED;
        if (kind->aicore > rest.aicore || kind->aicpu > rest.aicpu || kind->jpegd > rest.jpegd || kind->memory > rest.memory)
            break;
        unsigned group;
        answer = choose_group(device, kind->aicore, wanted->group, &group);
        if (answer != OK)
            break;
        // A number that is asked for and in use is a wrong parameter.
        answer = wanted->id == STATE_ANY ? RESOURCE_OCCUPIED : INVALID_PARAMETER;
        for (unsigned i = 0; i < STATE_VDEVICES && answer != OK; i++)
            if (!device->vdevices[i].used) {
                unsigned id = (unsigned)(device - state->devices) * 16 + 100 + i;
                if (wanted->id != STATE_ANY && wanted->id != id)
                    continue;
                device->vdevices[i] = (struct state_vdevice){
                    .id = id, .template = t, .used = 1, .group = group, .saved = state->recover};
                *made = (struct created){.id = id, .group = group};
                answer = OK;
            }
        break;
    }
    flock(file, LOCK_UN);
    return answer;
}

EXPORT int dcmi_set_destroy_vdevice(int card, int chip, unsigned id) {
    ENTER(device);
    if (!may_split(device->pci_id))
        return NOT_PERMITTED;
    for (unsigned i = 0; i < STATE_VDEVICES; i++)
        if (device->vdevices[i].used && device->vdevices[i].id == id) {
            if (device->vdevices[i].container)
                return RESOURCE_OCCUPIED;
            device->vdevices[i] = (struct state_vdevice){0};
            return OK;
        }
    return CONFIG_NOT_EXIST;
}
