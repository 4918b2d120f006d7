/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Warp-wide operations and block barriers. A lane waits until every live lane of its member mask waits in the same
 * operation with the same mask; the last one computes all results. The old forms without a mask wait until no lane of
 * the warp can go on by itself, then the lanes at one place go on together, as in a warp that reconverged.
 */
#include "kernel_exec.h"

static uint32_t lowest(uint32_t mask)
{
    return (uint32_t)__builtin_ctz(mask);
}

/* --- results ------------------------------------------------------------------------------------------------- */

static void compute_shfl(struct fiber *const *lanes, uint32_t members, enum kernel_warp op)
{
    uint64_t values[WARP_LANES];
    for (uint32_t rest = members; rest; rest &= rest - 1u)
        values[lowest(rest)] = lanes[lowest(rest)]->warp_io->value;
    for (uint32_t rest = members; rest; rest &= rest - 1u) {
        int32_t lane = (int32_t)lowest(rest);
        struct kernel_warp_io *io = lanes[lane]->warp_io;
        int32_t b = (int32_t)(io->b & 31u), clamp = (int32_t)(io->c & 31u), segment = (int32_t)((io->c >> 8) & 31u);
        int32_t max = (lane & segment) | (clamp & ~segment), min = lane & segment, source;
        bool inside;
        switch (op) {
        case KERNEL_WARP_SHFL_UP:
            source = lane - b;
            inside = source >= max;
            break;
        case KERNEL_WARP_SHFL_DOWN:
            source = lane + b;
            inside = source <= max;
            break;
        case KERNEL_WARP_SHFL_BFLY:
            source = lane ^ b;
            inside = source <= max;
            break;
        default:
            source = min | (b & ~segment);
            inside = source <= max;
            break;
        }
        if (!inside)
            source = lane;
        io->predicate = inside;
        if (members >> source & 1u) /* a lane that takes no part has no value to give: the own one stays */
            io->value = values[source];
    }
}

static uint32_t compute_redux(struct fiber *const *lanes, uint32_t members, enum kernel_warp op)
{
    uint32_t result = (uint32_t)lanes[lowest(members)]->warp_io->value;
    for (uint32_t rest = members & (members - 1u); rest; rest &= rest - 1u) {
        uint32_t value = (uint32_t)lanes[lowest(rest)]->warp_io->value;
        switch (op) {
        case KERNEL_WARP_REDUX_ADD:
            result += value;
            break;
        case KERNEL_WARP_REDUX_MIN_U:
            result = value < result ? value : result;
            break;
        case KERNEL_WARP_REDUX_MAX_U:
            result = value > result ? value : result;
            break;
        case KERNEL_WARP_REDUX_MIN_S:
            result = (int32_t)value < (int32_t)result ? value : result;
            break;
        case KERNEL_WARP_REDUX_MAX_S:
            result = (int32_t)value > (int32_t)result ? value : result;
            break;
        case KERNEL_WARP_REDUX_AND:
            result &= value;
            break;
        case KERNEL_WARP_REDUX_OR:
            result |= value;
            break;
        default:
            result ^= value;
            break;
        }
    }
    return result;
}

static void compute_match(struct fiber *const *lanes, uint32_t members, bool all)
{
    uint32_t equal[WARP_LANES];
    for (uint32_t rest = members; rest; rest &= rest - 1u) {
        uint32_t lane = lowest(rest);
        equal[lane] = 0;
        for (uint32_t other = members; other; other &= other - 1u)
            if (lanes[lowest(other)]->warp_io->value == lanes[lane]->warp_io->value)
                equal[lane] |= 1u << lowest(other);
    }
    for (uint32_t rest = members; rest; rest &= rest - 1u) {
        struct kernel_warp_io *io = lanes[lowest(rest)]->warp_io;
        io->predicate = equal[lowest(rest)] == members;
        io->value = all && !io->predicate ? 0 : equal[lowest(rest)];
    }
}

static void compute_vote(struct fiber *const *lanes, uint32_t members, enum kernel_warp op)
{
    uint32_t ballot = 0;
    for (uint32_t rest = members; rest; rest &= rest - 1u)
        if (lanes[lowest(rest)]->warp_io->value)
            ballot |= 1u << lowest(rest);
    uint32_t result;
    switch (op) {
    case KERNEL_WARP_VOTE_ALL:
        result = ballot == members;
        break;
    case KERNEL_WARP_VOTE_ANY:
        result = ballot != 0;
        break;
    case KERNEL_WARP_VOTE_UNI:
        result = ballot == members || ballot == 0;
        break;
    default:
        result = ballot;
        break;
    }
    for (uint32_t rest = members; rest; rest &= rest - 1u)
        lanes[lowest(rest)]->warp_io->value = lanes[lowest(rest)]->warp_io->predicate = result;
}

static void compute(struct fiber *const *lanes, uint32_t members, enum kernel_warp op)
{
    uint32_t value;
    switch (op) {
    case KERNEL_WARP_SYNC:
        return;
    case KERNEL_WARP_SHFL_UP:
    case KERNEL_WARP_SHFL_DOWN:
    case KERNEL_WARP_SHFL_BFLY:
    case KERNEL_WARP_SHFL_IDX:
        compute_shfl(lanes, members, op);
        return;
    case KERNEL_WARP_VOTE_ALL:
    case KERNEL_WARP_VOTE_ANY:
    case KERNEL_WARP_VOTE_UNI:
    case KERNEL_WARP_VOTE_BALLOT:
        compute_vote(lanes, members, op);
        return;
    case KERNEL_WARP_MATCH_ANY:
    case KERNEL_WARP_MATCH_ALL:
        compute_match(lanes, members, op == KERNEL_WARP_MATCH_ALL);
        return;
    case KERNEL_WARP_ACTIVE:
        value = members;
        break;
    case KERNEL_WARP_ELECT:
        value = lowest(members);
        break;
    default:
        value = compute_redux(lanes, members, op);
        break;
    }
    for (uint32_t rest = members; rest; rest &= rest - 1u) {
        struct kernel_warp_io *io = lanes[lowest(rest)]->warp_io;
        io->predicate = lowest(rest) == value;
        io->value = value;
    }
}

/* --- waiting ------------------------------------------------------------------------------------------------- */

static void wake(struct block *block, struct warp *warp, uint32_t members, const struct fiber *except)
{
    warp->waiting &= ~members;
    block->progress++;
    for (uint32_t rest = members; rest; rest &= rest - 1u) {
        struct fiber *fiber = warp->lanes[lowest(rest)];
        if (fiber->warp_io->site)
            block->site_waiters--;
        if (fiber != except)
            queue_push(&block->ready, fiber);
    }
}

/* The lanes that go on when `fiber`, which waits with a member mask, is the last one missing; 0: not yet. */
static uint32_t complete_mask(const struct warp *warp, const struct fiber *fiber)
{
    uint32_t mask = fiber->warp_io->mask, members = mask & warp->live;
    if ((warp->waiting & members) != members)
        return 0;
    for (uint32_t rest = members; rest; rest &= rest - 1u) {
        const struct fiber *other = warp->lanes[lowest(rest)];
        if (other->warp_op != fiber->warp_op || other->warp_io->site || other->warp_io->mask != mask)
            return 0;
    }
    return members;
}

/* The lanes without member mask that are behind the others: places are numbered in program order, and lanes that wait
 * further down wait for the ones that are still to come, as they would where a branch joins again. */
static uint32_t complete_site(const struct warp *warp)
{
    uint32_t members = 0, first = 0;
    for (uint32_t rest = warp->waiting; rest; rest &= rest - 1u) {
        uint32_t site = warp->lanes[lowest(rest)]->warp_io->site;
        if (!site || (first && site > first))
            continue;
        members = site == first ? members : 0;
        first = site;
        members |= 1u << lowest(rest);
    }
    return members;
}

static bool release_site(struct block *block, struct warp *warp, const struct fiber *except)
{
    uint32_t members = complete_site(warp);
    if (!members)
        return false;
    compute(warp->lanes, members, warp->lanes[lowest(members)]->warp_op);
    wake(block, warp, members, except);
    return true;
}

bool warp_release_sites(struct block *block)
{
    bool released = false;
    for (uint32_t i = 0; i < block->place.warps; i++)
        if (block->warps[i].waiting && release_site(block, &block->warps[i], NULL))
            released = true;
    return released;
}

static bool settled(const struct warp *warp)
{
    return (warp->live & ~(warp->waiting | warp->blocked)) == 0;
}

void kernel_warp_service(struct kernel_thread *thread, enum kernel_warp op, struct kernel_warp_io *io)
{
    struct fiber *fiber = kernel_fiber(thread);
    struct block *block = fiber->block;
    struct warp *warp = &block->warps[thread->warp];
    uint32_t bit = 1u << thread->lane;
    if (!io->site && !(io->mask & bit))
        kernel_raise(thread, KERNEL_ILLEGAL_INSTRUCTION, 0);
    fiber->warp_op = op;
    fiber->warp_io = io;
    warp->lanes[thread->lane] = fiber;
    warp->waiting |= bit;
    if (io->site)
        block->site_waiters++;
    uint32_t members = io->site ? 0 : complete_mask(warp, fiber);
    if (members) {
        compute(warp->lanes, members, op);
        wake(block, warp, members, fiber);
        return;
    }
    if (block->site_waiters && settled(warp)) {
        release_site(block, warp, fiber);
        if (!(warp->waiting & bit))
            return;
    }
    fiber_suspend(fiber);
}

/* --- block barriers ------------------------------------------------------------------------------------------ */

/* A warp that is not full counts as a full one when the barrier names a number of threads. */
static uint32_t arrival_weight(const struct block *block, const struct kernel_thread *thread, uint32_t count)
{
    uint32_t lanes = block->run->threads - thread->warp * WARP_LANES;
    return count && thread->lane == 0 && lanes < WARP_LANES ? 1u + WARP_LANES - lanes : 1u;
}

static bool barrier_full(const struct block *block, const struct barrier *barrier)
{
    return barrier->arrived >= (barrier->expected ? barrier->expected : block->live);
}

static void barrier_release(struct block *block, uint32_t id, const struct fiber *except)
{
    struct barrier *barrier = &block->barriers[id];
    for (uint32_t i = 0; barrier->waiters && i < block->place.warps; i++) {
        struct warp *warp = &block->warps[i];
        for (uint32_t rest = warp->blocked; rest; rest &= rest - 1u) {
            struct fiber *fiber = warp->lanes[lowest(rest)];
            if (fiber->barrier != id)
                continue;
            switch ((enum kernel_barrier)fiber->result) {
            case KERNEL_BAR_POPC:
                fiber->result = barrier->ones;
                break;
            case KERNEL_BAR_AND:
                fiber->result = barrier->ones == barrier->contributors;
                break;
            case KERNEL_BAR_OR:
                fiber->result = barrier->ones != 0;
                break;
            default:
                break;
            }
            warp->blocked &= ~(1u << lowest(rest));
            block->waiters--;
            barrier->waiters--;
            if (fiber != except)
                queue_push(&block->ready, fiber);
        }
    }
    *barrier = (struct barrier){0};
    block->progress++;
}

uint32_t kernel_barrier_service(struct kernel_thread *thread, uint32_t id, uint32_t count, enum kernel_barrier op,
                                uint32_t predicate)
{
    struct fiber *fiber = kernel_fiber(thread);
    struct block *block = fiber->block;
    if (id >= BARRIERS || (op == KERNEL_BAR_ARRIVE && !count) || count > MAX_BLOCK_THREADS)
        kernel_raise(thread, KERNEL_ILLEGAL_INSTRUCTION, 0);
    struct barrier *barrier = &block->barriers[id];
    if (barrier->arrived && barrier->expected != count)
        kernel_raise(thread, KERNEL_ILLEGAL_INSTRUCTION, 0);
    struct warp *warp = &block->warps[thread->warp];
    barrier->expected = count;
    barrier->arrived += arrival_weight(block, thread, count);
    barrier->contributors += op >= KERNEL_BAR_POPC;
    barrier->ones += op >= KERNEL_BAR_POPC && predicate;
    block->progress++;
    if (op == KERNEL_BAR_ARRIVE) {
        if (barrier_full(block, barrier))
            barrier_release(block, id, NULL);
        return 0;
    }
    fiber->barrier = id;
    fiber->result = (uint32_t)op;
    warp->lanes[thread->lane] = fiber;
    warp->blocked |= 1u << thread->lane;
    barrier->waiters++;
    block->waiters++;
    if (barrier_full(block, barrier)) {
        barrier_release(block, id, fiber);
        return fiber->result;
    }
    if (block->site_waiters && settled(warp))
        release_site(block, warp, NULL);
    fiber_suspend(fiber);
    return fiber->result;
}

void warp_thread_exited(struct block *block, struct warp *warp)
{
    for (uint32_t rest = warp->waiting; rest; rest &= rest - 1u) {
        const struct fiber *fiber = warp->lanes[lowest(rest)];
        uint32_t members = fiber->warp_io->site ? 0 : complete_mask(warp, fiber);
        if (members) {
            compute(warp->lanes, members, fiber->warp_op);
            wake(block, warp, members, NULL);
            rest &= ~members | (rest & (~rest + 1u));
        }
    }
    if (block->site_waiters && settled(warp))
        release_site(block, warp, NULL);
    for (uint32_t id = 0; block->waiters && id < BARRIERS; id++)
        if (block->barriers[id].waiters && !block->barriers[id].expected && barrier_full(block, &block->barriers[id]))
            barrier_release(block, id, NULL);
}
