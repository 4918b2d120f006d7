/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CANN's operators ask libplatform.so, in the program's process, how many cores a chip has. CANN's own runtime has it read
 * the chip's file when a device is set: fe::PlatformInfoManager::GeInstance().InitRuntimePlatformInfos(name), as in CANN's
 * public runtime repository (src/acl/aclrt_impl). So does this one; without, operators would compute with no cores.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "client.h"

#define LIBRARY "libplatform.so"
#define MANAGER "_ZN2fe19PlatformInfoManager"
#define GE_INSTANCE MANAGER "10GeInstanceEv"
#define INIT MANAGER "24InitRuntimePlatformInfosERK"
#define INIT_COW INIT "Ss"
#define INIT_CXX11 INIT "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
#define NOT_SHARED (-1)

typedef void *(*instance_function)(void);
typedef uint32_t (*init_function)(void *manager, const void *string);

/* std::string in libstdc++'s two layouts (its ABI documentation, "dual ABI"), as a constant that callees only copy. */
struct cow_string { /* the object is one pointer, to text; not shared: who copies it copies the text */
    size_t length, capacity;
    int references;
    _Alignas(8) char text[sizeof(((struct wire_snapshot *)NULL)->name) + 1];
};
struct cxx11_string {
    const char *text;
    size_t length, capacity, reserved;
};
_Static_assert(offsetof(struct cow_string, text) == 24, "the text begins behind the aligned header");
_Static_assert(sizeof(struct cxx11_string) == 32, "std::string");

static const char *initialise(void *library, const char *chip)
{
    struct cow_string cow = {.length = strlen(chip), .capacity = strlen(chip), .references = NOT_SHARED};
    const char *cow_object = cow.text;
    const struct cxx11_string cxx11 = {chip, strlen(chip), strlen(chip), 0};
    const instance_function instance = (instance_function)dlsym(library, GE_INSTANCE);
    const init_function init_cow = (init_function)dlsym(library, INIT_COW);
    const init_function init_cxx11 = (init_function)dlsym(library, INIT_CXX11);

    if (!instance || (!init_cow && !init_cxx11))
        return "it has another interface";
    memcpy(cow.text, chip, cow.length);
    return (init_cow ? init_cow(instance(), &cow_object) : init_cxx11(instance(), &cxx11)) ? "it has refused" : NULL;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Without the library there are no operators of CANN's. It stays open: they find the same one. */
static void start(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW);
    const char *chip = client_device(0)->snapshot.name;
    const char *problem = library ? initialise(library, chip) : NULL;

    if (problem)
        client_say("CANN's " LIBRARY " does not know the chip \"%s\" (%s): its operators will not find the number of cores",
                   chip, problem);
}

void client_platform_start(void)
{
    pthread_once(&once, start);
}
