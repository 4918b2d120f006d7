# SPDX-License-Identifier: Apache-2.0
"""Two processes of torch that share a tensor on one slice; run by test_npu_train.py with torch and torch-npu."""

import sys

import torch
import torch.multiprocessing as processes
import torch_npu  # noqa: F401 - registers the device


def work(tasks: 'processes.Queue[torch.Tensor]', done: 'processes.Event') -> None:
    """The other process: doubles what it gets, in place."""
    tensor = tasks.get()
    tensor.mul_(2)
    torch.npu.synchronize()
    del tensor
    done.set()


def main() -> None:
    """Hand a tensor to another process and look at what became of it."""
    context = processes.get_context('spawn')
    tasks, done = context.Queue(), context.Event()
    other = context.Process(target=work, args=(tasks, done))
    other.start()
    tensor = torch.arange(1 << 20, dtype=torch.float32).npu()
    torch.npu.synchronize()
    tasks.put(tensor)
    if not done.wait(120):
        sys.exit('the other process is not done')
    other.join()
    wrong = int((tensor.cpu() != 2 * torch.arange(1 << 20, dtype=torch.float32)).sum())
    print(f'{wrong} of {tensor.numel()} wrong; the other ended with {other.exitcode}')


if __name__ == '__main__':
    main()
