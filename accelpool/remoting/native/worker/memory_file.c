/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "state.h"

int memory_file(const void *bytes, size_t length, int sealed)
{
    const int fd = memfd_create("accelpool", MFD_CLOEXEC | (sealed ? MFD_ALLOW_SEALING : 0));
    const uint8_t *at = bytes;

    while (fd >= 0 && length > 0) {
        const ssize_t written = write(fd, at, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            close(fd);
            return -1;
        }
        at += written;
        length -= (size_t)written;
    }
    if (fd >= 0 && sealed && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
        close(fd);
        return -1;
    }
    return fd;
}
