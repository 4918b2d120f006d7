/* SPDX-License-Identifier: Apache-2.0 */
/* Backend hook: PTX goes to the agent's translator in a memfd, a read-only shared object comes back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state.h"

static int text_to_fd(const char *text, size_t length)
{
    int fd = memfd_create("ptx", MFD_CLOEXEC);

    while (fd >= 0 && length > 0) {
        ssize_t written = write(fd, text, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            close(fd);
            return -1;
        }
        text += written;
        length -= (size_t)written;
    }
    return fd;
}

int hook_translate(void *opaque, const char *ptx, size_t length, int *module_fd, char *log, size_t log_size)
{
    struct session *s = opaque;
    const struct control_packet question = {.type = CONTROL_TRANSLATE, .a = length};
    struct control_packet answer;
    char *blob = malloc(CONTROL_BLOB_MAX);
    size_t log_length = 0;
    int text = text_to_fd(ptx, length), status = CU_SYSTEM_FAILURE;

    *module_fd = -1;
    if (log_size)
        log[0] = 0;
    if (blob && text >= 0 && agent_ask(s, &question, text, &answer, blob, &log_length, module_fd) == 0) {
        status = answer.a > INT32_MAX ? CU_SYSTEM_FAILURE : (int)answer.a;
        if (status == CU_SUCCESS && *module_fd < 0)
            status = CU_SYSTEM_FAILURE;
        if (log_size) {
            log_length = log_length < log_size - 1 ? log_length : log_size - 1;
            memcpy(log, blob, log_length);
            log[log_length] = 0;
        }
    }
    if (status && *module_fd >= 0) {
        close(*module_fd);
        *module_fd = -1;
    }
    if (text >= 0)
        close(text);
    free(blob);
    return status;
}
