/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that a session may make: an allow-list, so that what a later kernel adds is denied too.
 *
 * A session computes, waits, moves bytes over descriptors that it already has, maps memory, starts threads and opens
 * files for reading (dlopen); a vendor's library also opens the device's nodes again and again. It makes no sockets,
 * programs, processes, namespaces or mounts, looks into no other process and signals nobody else. What is denied returns
 * EPERM, and the kernel logs it, because a vendor's library may take it for the end and say no more than "operating
 * system". What the C library tries first and then replaces by an allowed call returns ENOSYS. A filter logs all that it
 * denies or nothing: so those calls have one of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "session.h"

static const int allowed[] = {
    /* memory */
    SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(mbind), SCMP_SYS(get_mempolicy), SCMP_SYS(set_mempolicy),
    SCMP_SYS(membarrier), SCMP_SYS(memfd_create), SCMP_SYS(mincore), SCMP_SYS(mlock), SCMP_SYS(mlock2), SCMP_SYS(mmap),
    SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(msync), SCMP_SYS(munlock), SCMP_SYS(munmap),
    /* Threads and waiting. The affinity: a library binds threads to CPUs near the device, and takes a refusal for the
     * failure of the thread. The kernel lets nobody bind another user's. */
    SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(futex), SCMP_SYS(get_robust_list), SCMP_SYS(getcpu), SCMP_SYS(getpid),
    SCMP_SYS(getppid), SCMP_SYS(getrandom), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
    SCMP_SYS(getegid), SCMP_SYS(restart_syscall), SCMP_SYS(rseq), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sched_get_priority_max),
    SCMP_SYS(sched_get_priority_min), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_yield), SCMP_SYS(set_robust_list), SCMP_SYS(set_tid_address),
    SCMP_SYS(sigaltstack),
    /* time */
    SCMP_SYS(clock_getres), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday),
    SCMP_SYS(nanosleep), SCMP_SYS(time), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_gettime),
    SCMP_SYS(timerfd_settime), SCMP_SYS(times),
    /* descriptors that the session has */
    SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_wait), SCMP_SYS(eventfd2), SCMP_SYS(fallocate),
    SCMP_SYS(ftruncate), SCMP_SYS(lseek), SCMP_SYS(pipe2), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(pselect6), SCMP_SYS(pwrite64), SCMP_SYS(pwritev),
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(select), SCMP_SYS(write), SCMP_SYS(writev),
    SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg), SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(splice),
    /* files, for reading */
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(fstat), SCMP_SYS(fstatfs), SCMP_SYS(getcwd), SCMP_SYS(getdents64),
    SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(stat), SCMP_SYS(statfs),
    SCMP_SYS(statx),
    /* about the machine and the process */
    SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(uname),
};

/* The C library falls back from these: threads to clone, opens to openat. */
static const int absent[] = {SCMP_SYS(clone3), SCMP_SYS(openat2), SCMP_SYS(faccessat2), SCMP_SYS(epoll_pwait2)};

/* Not F_SETOWN and its like: they signal other processes. */
static const int allowed_fcntl[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,    F_GETFL,
                                    F_SETFL, F_ADD_SEALS,     F_GET_SEALS, F_GETPIPE_SZ, F_SETPIPE_SZ};

/*
 * Type bytes of the ioctls of accelerator devices, for sessions that open nodes. NVIDIA's: control and device nodes, and
 * UVM, which has none. Ascend's, by the sources of its driver: manager and shared memory (M), shared memory and resources
 * of newer releases (U), their common node (Z), the channel to the device (H), task scheduler (V), events (W), shared
 * numbers (N), processes (G).
 */
static const int allowed_ioctl_types[] = {'F', 0, 'M', 'U', 'Z', 'H', 'V', 'W', 'N', 'G'};

static const int allowed_prctl[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS,
                                    PR_GET_SECCOMP, PR_GET_PDEATHSIG, PR_CAPBSET_READ};

#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND)
#define CREATING (O_CREAT | O_TRUNC | O_APPEND)
#define THREAD_FLAGS (CLONE_THREAD | CLONE_VM | CLONE_SIGHAND)
#define NEW_SPACES                                                                                                     \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* 0 where the call does not exist on this architecture. */
static int known(int code)
{
    return code == -EDOM || code == -EINVAL ? 0 : code;
}

static int allow_calls(scmp_filter_ctx filter)
{
    int code = 0;

    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !code; i++)
        if (allowed[i] >= 0) /* libseccomp's pseudo number: not on this architecture */
            code = known(seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0));
    for (size_t i = 0; i < sizeof absent / sizeof *absent && !code; i++)
        code = known(seccomp_rule_add(filter, SCMP_ACT_ALLOW, absent[i], 0)); /* the other filter's affair */
    return code;
}

static int allow_with_arguments(scmp_filter_ctx filter, int device_nodes)
{
    /* The kernel's permissions and the session's own uid say which files can be opened at all. */
    const scmp_datum_t mask = device_nodes ? CREATING : WRITING;
    const scmp_datum_t self = (scmp_datum_t)getpid();
    int code = 0;

    for (size_t i = 0; i < sizeof allowed_prctl / sizeof *allowed_prctl && !code; i++)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
                                SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)allowed_prctl[i]));
    for (size_t i = 0; i < sizeof allowed_fcntl / sizeof *allowed_fcntl && !code; i++)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                                SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)allowed_fcntl[i]));
    for (size_t i = 0; device_nodes && i < sizeof allowed_ioctl_types / sizeof *allowed_ioctl_types && !code; i++)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                SCMP_A1(SCMP_CMP_MASKED_EQ, 0xff00, (scmp_datum_t)allowed_ioctl_types[i] << 8));
    if (!code)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                SCMP_A2(SCMP_CMP_MASKED_EQ, mask, 0));
#ifdef __NR_open
    if (!code)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                                SCMP_A1(SCMP_CMP_MASKED_EQ, mask, 0));
#endif
    if (!code)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                SCMP_A0(SCMP_CMP_MASKED_EQ, THREAD_FLAGS | NEW_SPACES, THREAD_FLAGS));
    if (!code)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, self));
    if (!code) /* limits are read with it, its own only: a new limit pointer of NULL */
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0),
                                SCMP_A2(SCMP_CMP_EQ, 0));
    if (!code) /* send() is sendto without an address */
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1, SCMP_A4(SCMP_CMP_EQ, 0));
    if (!code)
        code = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
    return code;
}

/* 0 or -errno. */
static int hide_absent(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int code = filter ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;

    for (size_t i = 0; i < sizeof absent / sizeof *absent && !code; i++)
        code = known(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), absent[i], 0));
    if (!code)
        code = seccomp_load(filter);
    seccomp_release(filter);
    return code;
}

static int deny_others(int device_nodes)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    /* All threads: a vendor library may have started some. A binary tree: a call passes some ten comparisons. */
    int code = filter ? seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1) : -ENOMEM;

    if (!code)
        code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (!code) {
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1); /* kernels before 4.14 cannot */
        code = allow_calls(filter);
    }
    if (!code)
        code = allow_with_arguments(filter, device_nodes);
    if (!code)
        code = seccomp_load(filter);
    seccomp_release(filter);
    return code;
}

int sandbox_enter(int device_nodes)
{
    int code = hide_absent(); /* the second filter lets no more be made */

    if (!code)
        code = deny_others(device_nodes);
    errno = -code;
    return code ? -1 : 0;
}
