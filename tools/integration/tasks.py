# SPDX-License-Identifier: Apache-2.0
"""Steps that run at once as far as they do not need each other."""

import concurrent.futures
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

#: name -> (what it does, the steps that must be done before)
Steps: TypeAlias = Mapping[str, tuple[Callable[[], object], tuple[str, ...]]]


def run(steps: Steps, *, quiet: bool = False) -> None:
    """Run all steps, each as soon as those that it needs are done; prints when each one ended, unless ``quiet``.

    :raises Exception: the first failure, when the steps that ran meanwhile have ended
    """
    begun = time.monotonic()
    waiting, running = dict(steps), dict[concurrent.futures.Future[object], str]()
    done: set[str] = set()
    with concurrent.futures.ThreadPoolExecutor(len(waiting) or 1) as pool:
        while waiting or running:
            for name in [name for name, (_, needs) in waiting.items() if done.issuperset(needs)]:
                running[pool.submit(waiting.pop(name)[0])] = name
            if not running:
                raise ValueError(f'steps that wait for each other: {sorted(waiting)}')
            ended, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in ended:
                name = running.pop(future)
                future.result()
                done.add(name)
                if not quiet:
                    print(f'[{time.monotonic() - begun:6.1f} s] {name}', flush=True)
