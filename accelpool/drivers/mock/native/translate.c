/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PTX text to a shared object: the worker's agent does it, or (stand-alone) the command in ACCELPOOL_TRANSLATOR, which
 * gets --input FILE --output FILE and explains a failure on its standard error.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emu.h"

#define DEFAULT_TRANSLATOR "python3 -m accelpool.drivers.mock.ptx"

extern char **environ;

struct workshop {
    char directory[128], input[160], output[160], errors[160];
};

static int workshop_open(struct workshop *shop) {
    const char *place = getenv("TMPDIR");
    int length = snprintf(shop->directory, sizeof shop->directory, "%s/accelpool-ptx-XXXXXX", place && *place ? place : "/tmp");
    if (length < 0 || (size_t)length >= sizeof shop->directory || !mkdtemp(shop->directory))
        return -1;
    snprintf(shop->input, sizeof shop->input, "%s/module.ptx", shop->directory);
    snprintf(shop->output, sizeof shop->output, "%s/module.so", shop->directory);
    snprintf(shop->errors, sizeof shop->errors, "%s/errors", shop->directory);
    return 0;
}

static void workshop_close(const struct workshop *shop) {
    unlink(shop->input);
    unlink(shop->output);
    unlink(shop->errors);
    rmdir(shop->directory);
}

static int write_file(const char *path, const char *data, size_t length) {
    FILE *file = fopen(path, "we");
    if (!file)
        return -1;
    size_t written = fwrite(data, 1, length, file);
    return fclose(file) || written != length ? -1 : 0;
}

static void read_log(const char *path, char *log, size_t size) {
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(log, 1, size - 1, file) : 0;
    log[length] = '\0';
    if (file)
        fclose(file);
}

/* Exit status of the translator; -1: it could not be run. */
static int run_translator(const struct workshop *shop) {
    const char *command = getenv("ACCELPOOL_TRANSLATOR");
    char script[4096];
    int length = snprintf(script, sizeof script, "exec %s --input \"$1\" --output \"$2\" 2>\"$3\"",
                          command && *command ? command : DEFAULT_TRANSLATOR);
    if (length < 0 || (size_t)length >= sizeof script)
        return -1;
    char *arguments[] = {(char *)"sh", (char *)"-c", script, (char *)"sh", (char *)(uintptr_t)shop->input,
                         (char *)(uintptr_t)shop->output, (char *)(uintptr_t)shop->errors, NULL};
    pid_t child;
    int status;
    if (posix_spawn(&child, "/bin/sh", NULL, NULL, arguments, environ))
        return -1;
    while (waitpid(child, &status, 0) != child)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static CUresult stand_alone(const char *ptx, size_t length, int *fd, char *log, size_t log_size) {
    struct workshop shop;
    if (workshop_open(&shop))
        return CUDA_ERROR_OPERATING_SYSTEM;
    CUresult status = CUDA_ERROR_OPERATING_SYSTEM;
    if (!write_file(shop.input, ptx, length)) {
        int code = run_translator(&shop);
        read_log(shop.errors, log, log_size);
        *fd = code == 0 ? open(shop.output, O_RDONLY | O_CLOEXEC) : -1;
        status = *fd >= 0 ? CUDA_SUCCESS : code == 1 ? CUDA_ERROR_INVALID_PTX : CUDA_ERROR_JIT_COMPILER_NOT_FOUND;
    }
    workshop_close(&shop);
    return status;
}

CUresult translate(const char *ptx, size_t length, int *fd, char *log, size_t log_size) {
    *fd = -1;
    log[0] = '\0';
    if (!emu_host)
        return stand_alone(ptx, length, fd, log, log_size);
    CUresult status = emu_host->translate(emu_host->opaque, ptx, length, fd, log, log_size);
    return status == CUDA_SUCCESS && *fd < 0 ? CUDA_ERROR_OPERATING_SYSTEM : status;
}
