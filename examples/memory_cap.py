# SPDX-License-Identifier: Apache-2.0
"""Fill all memory that this program may use, in a mix of sizes, and ask for 256 bytes more.

    memory_cap.py [--processes N] [--once]

``--processes N`` shares the slice between N processes; ``--once`` takes everything in one
allocation and writes its first and last MiB.
"""

import argparse
import multiprocessing
import random
import sys

import cuda_driver as cuda

MIB = 2**20
GRAIN = 256


def total_memory() -> int:
    cuda.start()
    return cuda.memory()[1]


def fill(seed: int, share: int) -> int:
    """Allocate exactly ``share`` bytes in a random mix of sizes; return how many allocations."""
    mix = random.Random(seed)
    left, count = share, 0
    while left:
        size = min(left, mix.choice((GRAIN, 4096 + GRAIN, MIB - GRAIN, 3 * MIB + GRAIN, 16 * MIB)))
        cuda.allocate(size)
        left -= size
        count += 1
    return count


def refused() -> bool:
    """Whether the next, smallest allocation is refused by the very call that asks for it."""
    try:
        cuda.allocate(GRAIN)
    except cuda.CudaError as failure:
        return failure.code == cuda.OUT_OF_MEMORY
    return False


def in_process(seed: int, share: int, filled: 'multiprocessing.synchronize.Barrier', answers: object) -> None:
    cuda.start()
    count = fill(seed, share)
    filled.wait()          # all have filled their part: the slice is full
    answers.put((count, refused()))  # type: ignore[attr-defined]
    filled.wait()          # nobody leaves, and gives memory back, before all have asked


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument('--processes', type=int, default=1)
    parser.add_argument('--once', action='store_true')
    options = parser.parse_args()
    if options.once:
        cuda.start()
        total = cuda.memory()[1]
        start = cuda.allocate(total)
        for place in (start, start + total - MIB):
            cuda.write(place, b'\x5a' * MIB)
            assert cuda.read(place, MIB) == b'\x5a' * MIB
        print(f'{total // MIB} MiB in one allocation, first and last MiB written and read back; '
              f'256 bytes more: {"out of memory" if refused() else "GRANTED"}')
        return 0
    # Each process starts afresh: a CUDA context does not survive fork().
    context = multiprocessing.get_context('spawn')
    with context.Pool(1) as once:
        total = once.apply(total_memory)
    filled, answers = context.Barrier(options.processes), context.Queue()
    share = total // options.processes // GRAIN * GRAIN
    shares = [share] * (options.processes - 1) + [total - share * (options.processes - 1)]
    children = [context.Process(target=in_process, args=(seed, part, filled, answers))
                for seed, part in enumerate(shares)]
    for child in children:
        child.start()
    results = [answers.get(timeout=120) for _ in children]
    for child in children:
        child.join()
    good = all(was_refused for _, was_refused in results)
    print(f'{total // MIB} MiB in {sum(count for count, _ in results)} allocations of {len(children)} '
          f'process(es); 256 bytes more: {"out of memory" if good else "GRANTED"}')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
