# SPDX-License-Identifier: Apache-2.0
"""Special registers."""

_AXES = {'x': 0, 'y': 1, 'z': 2}
_PLACE = {'%ntid', '%ctaid', '%nctaid'}

_PLAIN = {
    '%laneid': ('t->lane', 32),
    '%warpid': ('t->warp', 32),
    '%nwarpid': ('32u', 32),
    '%smid': ('0u', 32),
    '%nsmid': ('1u', 32),
    '%gridid': ('t->grid_id', 64),
    '%lanemask_eq': ('(1u << t->lane)', 32),
    '%lanemask_lt': ('((1u << t->lane) - 1u)', 32),
    '%lanemask_le': ('((2u << t->lane) - 1u)', 32),
    '%lanemask_gt': ('~((2u << t->lane) - 1u)', 32),
    '%lanemask_ge': ('~((1u << t->lane) - 1u)', 32),
    '%clock': ('(uint32_t)ticks()', 32),
    '%clock_hi': ('(uint32_t)(ticks() >> 32)', 32),
    '%clock64': ('ticks()', 64),
    '%globaltimer': ('t->services->time()', 64),
    '%globaltimer_lo': ('(uint32_t)t->services->time()', 32),
    '%globaltimer_hi': ('(uint32_t)(t->services->time() >> 32)', 32),
    '%dynamic_smem_size': ('(t->shared_bytes - t->dynamic_offset)', 32),
    '%total_smem_size': ('t->shared_bytes', 32),
    '%aggr_smem_size': ('t->shared_bytes', 32),
    '%reserved_smem_offset_begin': ('0u', 32),
    '%reserved_smem_offset_end': ('0u', 32),
    '%is_explicit_cluster': ('0u', 32),
    '%cluster_ctarank': ('0u', 32),
    '%cluster_nctarank': ('1u', 32),
    '%current_graph_exec': ('0ull', 64),
    # Where cooperative groups look for the memory of the grid's barrier.
    '%envreg1': ('(uint32_t)(t->workspace >> 32)', 32),
    '%envreg2': ('(uint32_t)t->workspace', 32),
    'WARP_SZ': ('32u', 32),
}


def read(name: str) -> tuple[str, int] | None:
    """A C expression and its bits; None for a name that is no special register."""
    found = _PLAIN.get(name)
    if found is not None:
        return found
    base, _, axis = name.partition('.')
    if axis in _AXES:
        index = _AXES[axis]
        if base == '%tid':
            return f't->tid[{index}]', 32
        if base in _PLACE:
            return f't->place->{base[1:]}[{index}]', 32
        if base == '%clusterid':
            return f't->place->ctaid[{index}]', 32
        if base == '%nclusterid':
            return f't->place->nctaid[{index}]', 32
        if base == '%cluster_ctaid':
            return '0u', 32
        if base == '%cluster_nctaid':
            return '1u', 32
    if base.startswith('%envreg') and base[7:].isdigit() and int(base[7:9]) < 32:
        return '0u', 32
    return None
