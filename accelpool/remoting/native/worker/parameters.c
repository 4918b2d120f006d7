/* SPDX-License-Identifier: Apache-2.0 */
#include "parameters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "confine.h"

static int read_text(char *to, size_t size, const char *value)
{
    size_t length = strlen(value);

    if (length >= size)
        return -1;
    memcpy(to, value, length + 1);
    return 0;
}

static int read_number(uint64_t *to, const char *value, uint64_t most)
{
    char *end;

    if (*value < '0' || *value > '9')
        return -1;
    errno = 0;
    *to = strtoull(value, &end, 10);
    return errno || *end || *to > most ? -1 : 0;
}

static int read_small(uint32_t *to, const char *value)
{
    uint64_t number;

    if (read_number(&number, value, UINT32_MAX - 1))
        return -1;
    *to = (uint32_t)number;
    return 0;
}

static int read_environment(struct spawn_parameters *p, const char *name, const char *value)
{
    struct worker_params *session = &p->session;

    if (session->env_count == ACCELPOOL_WORKER_ENV_MAX || !*name || strchr(name, '='))
        return -1;
    session->env[session->env_count].name = name;
    session->env[session->env_count++].value = value;
    return 0;
}

/* They stay where they are: there is one copy to wipe. */
static int read_secret(struct worker_params *session, const char *key, char *value)
{
    if (strcmp(key, "key") == 0)
        session->secure.key = value;
    else if (strcmp(key, "authority") == 0)
        session->secure.authority = value;
    else if (strcmp(key, "certificate") == 0)
        session->secure.certificate = value;
    else if (strcmp(key, "private_key") == 0)
        session->secure.private_key = value;
    else
        return -1;
    return 0;
}

static int read_one(struct spawn_parameters *p, const char *key, char *value)
{
    struct worker_params *session = &p->session;

    if (strcmp(key, "task") == 0)
        return (p->forward = strcmp(value, "forward") == 0) ? 0 : -1;
    if (strncmp(key, "env:", 4) == 0)
        return read_environment(p, key + 4, value);
    if (strcmp(key, "interface") == 0)
        return read_text(session->interface, sizeof session->interface, value);
    if (strcmp(key, "library") == 0)
        return read_text(session->library, sizeof session->library, value);
    if (strcmp(key, "slice") == 0)
        return read_text(session->slice, sizeof session->slice, value);
    if (strcmp(key, "allocation") == 0)
        return read_text(session->allocation, sizeof session->allocation, value);
    if (strcmp(key, "project") == 0)
        return read_text(session->project, sizeof session->project, value);
    if (strcmp(key, "memory_limit") == 0)
        return read_number(&session->memory_limit, value, INT64_MAX);
    if (strcmp(key, "window_bytes") == 0)
        return read_number(&session->window_bytes, value, UINT32_MAX);
    if (strcmp(key, "compute") == 0)
        return read_small(&session->compute, value);
    if (strcmp(key, "strict") == 0)
        return read_small(&session->strict, value);
    if (strcmp(key, "transport") == 0)
        return read_small(&session->secure.transport, value);
    if (strncmp(key, "tls_", 4) == 0)
        return read_secret(session, key + 4, value);
    if (strcmp(key, "uid") == 0)
        return read_small(&p->uid, value);
    if (strcmp(key, "gid") == 0)
        return read_small(&p->gid, value);
    if (strcmp(key, "group") == 0)
        return read_small(&p->group, value);
    return -1;
}

int parameters_read(struct spawn_parameters *p, char *text, size_t length)
{
    const char *end = text + length;

    memset(p, 0, sizeof *p);
    p->uid = p->gid = CONFINE_KEEP_ID;
    p->group = CONFINE_NO_GROUP;
    while (text < end) {
        char *key = text, *value, *stop = memchr(key, 0, (size_t)(end - key));

        if (!stop)
            return -1;
        value = stop + 1;
        stop = memchr(value, 0, (size_t)(end - value));
        if (!stop || read_one(p, key, value))
            return -1;
        text = stop + 1;
    }
    if ((p->uid == CONFINE_KEEP_ID) != (p->gid == CONFINE_KEEP_ID))
        return -1;
    return p->forward || (p->session.interface[0] && p->session.library[0]) ? 0 : -1;
}
