/* SPDX-License-Identifier: Apache-2.0 */
/* Address ranges that never overlap, in a treap ordered by base: O(log n) insert, remove and "who owns this address". */
#include "emu.h"

static uint32_t random_priority(void) {
    static uint32_t state = 0x9e3779b9;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

struct range *range_at(struct range *root, uint64_t address) {
    struct range *below = NULL;
    while (root) {
        if (root->base <= address) {
            below = root;
            root = root->right;
        } else {
            root = root->left;
        }
    }
    return below && address - below->base < below->size ? below : NULL;
}

struct range *range_next(struct range *root, uint64_t address) {
    struct range *above = NULL;
    while (root) {
        if (root->base >= address) {
            above = root;
            root = root->left;
        } else {
            root = root->right;
        }
    }
    return above;
}

static struct range *merge(struct range *low, struct range *high) {
    if (!low || !high)
        return low ? low : high;
    if (low->priority > high->priority) {
        low->right = merge(low->right, high);
        return low;
    }
    high->left = merge(low, high->left);
    return high;
}

static void split(struct range *root, uint64_t base, struct range **low, struct range **high) {
    if (!root) {
        *low = *high = NULL;
    } else if (root->base < base) {
        split(root->right, base, &root->right, high);
        *low = root;
    } else {
        split(root->left, base, low, &root->left);
        *high = root;
    }
}

void range_insert(struct range **root, struct range *range) {
    struct range *low, *high;
    range->left = range->right = NULL;
    range->priority = random_priority();
    split(*root, range->base, &low, &high);
    *root = merge(merge(low, range), high);
}

void range_remove(struct range **root, struct range *range) {
    struct range **link = root;
    while (*link && *link != range)
        link = range->base < (*link)->base ? &(*link)->left : &(*link)->right;
    if (*link)
        *link = merge(range->left, range->right);
}
