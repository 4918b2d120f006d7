/* SPDX-License-Identifier: Apache-2.0 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CONFINE_FILES 1024    /* descriptors: a session needs a few, a vendor library some dozens */
#define CONFINE_PROCESSES 512 /* threads of one uid, which is one session */
#define CONFINE_OOM_SCORE "500" /* of 1000: when the host runs out of memory a session goes before any service */

static int limit(int resource, rlim_t value)
{
    struct rlimit wanted;

    if (getrlimit(resource, &wanted))
        return -1;
    if (wanted.rlim_max == RLIM_INFINITY || wanted.rlim_max > value)
        wanted.rlim_max = value;
    wanted.rlim_cur = wanted.rlim_max;
    return setrlimit(resource, &wanted);
}

/* Best effort: a container may not let it be written. */
static void volunteer_for_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0) {
        if (write(fd, CONFINE_OOM_SCORE, strlen(CONFINE_OOM_SCORE)) < 0)
            errno = 0;
        close(fd);
    }
}

static int drop_bounding_set(void)
{
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
            return -1;
    return 0;
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}, {0}};

    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) && errno != EINVAL)
        return -1;
    return (int)syscall(SYS_capset, &header, none);
}

int confine(uint32_t uid, uint32_t gid, uint32_t group, pid_t server)
{
    const gid_t groups[] = {group};

    volunteer_for_oom();
    umask(077);
    if (chdir("/") || limit(RLIMIT_CORE, 0) || limit(RLIMIT_NOFILE, CONFINE_FILES))
        return -1;
    if (geteuid() == 0 && drop_bounding_set() && errno != EPERM) /* EPERM: a container without CAP_SETPCAP */
        return -1;
    if (uid != CONFINE_KEEP_ID) {
        if (limit(RLIMIT_NPROC, CONFINE_PROCESSES) || setgroups(group != CONFINE_NO_GROUP, groups) ||
            setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
            return -1;
    }
    /* A change of uid resets the parent death signal and dumpability, so these come after it. */
    if (drop_capabilities() || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) ||
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
        return -1;
    if (getppid() != server) {
        errno = ESRCH; /* it died before the signal was asked for */
        return -1;
    }
    return 0;
}
