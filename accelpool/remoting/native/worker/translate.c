/* SPDX-License-Identifier: Apache-2.0 */
/* Backend hook: PTX goes to the agent's translator in a memory file, a read-only shared object comes back. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "state.h"

/* One at a time, as the agent does them: threads of a program that load modules wait here. */
static pthread_mutex_t translating = PTHREAD_MUTEX_INITIALIZER;

int hook_translate(void *opaque, const char *ptx, size_t length, int *module_fd, char *log, size_t log_size)
{
    struct session *s = opaque;
    const struct control_packet question = {.type = CONTROL_TRANSLATE, .a = length};
    const struct agent_extra text = {.fd = memory_file(ptx, length, 0)};
    struct agent_extra got = {.blob = malloc(CONTROL_BLOB_MAX), .fd = -1};
    struct control_packet answer;
    int status = CU_SYSTEM_FAILURE;

    if (log_size)
        log[0] = 0;
    pthread_mutex_lock(&translating);
    if (got.blob && text.fd >= 0 && agent_ask(s, &question, &text, &answer, &got) == 0) {
        status = answer.a > INT32_MAX ? CU_SYSTEM_FAILURE : (int)answer.a;
        if (status == CU_SUCCESS && got.fd < 0)
            status = CU_SYSTEM_FAILURE;
        if (log_size) {
            got.length = got.length < log_size - 1 ? got.length : log_size - 1;
            memcpy(log, got.blob, got.length);
            log[got.length] = 0;
        }
    }
    pthread_mutex_unlock(&translating);
    if (status && got.fd >= 0) {
        close(got.fd);
        got.fd = -1;
    }
    *module_fd = got.fd;
    if (text.fd >= 0)
        close(text.fd);
    free(got.blob);
    return status;
}
