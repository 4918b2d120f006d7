# SPDX-License-Identifier: Apache-2.0
"""Train a small multilayer perceptron on an Ascend NPU, wherever it is, and on the CPU, and compare.

The packages are the vendor's own, unmodified::

    pip install torch==2.13.0 torch-npu==2.13.0      # the CPU build of torch
    openstack accelpool run --profile npu -- python examples/npu_train.py

Prints the device and the losses; exit status 1 when the two runs differ by more than 1e-4 at any step.
"""

import sys
import time

import torch
import torch_npu  # noqa: F401 - adds the device "npu" to torch

STEPS = 50
TOLERANCE = 1e-4


def train(device: torch.device) -> list[float]:
    """Return the loss after each step; the same numbers go in on every device."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(128, 16, generator=generator)
    target = torch.sin(features.sum(dim=1, keepdim=True))
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    features, target = features.to(device), target.to(device)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(features), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main() -> int:
    npu = torch.device('npu:0')
    free, total = torch.npu.mem_get_info(npu)
    print(f'{torch.npu.get_device_name(npu)}: {free >> 20} of {total >> 20} MiB free')
    train(npu)  # what is done once is done
    start = time.perf_counter()
    remote = train(npu)
    step = (time.perf_counter() - start) / STEPS * 1000
    local = train(torch.device('cpu'))
    difference = max(abs(a - b) for a, b in zip(remote, local, strict=True))
    print(f'loss {remote[0]:.6f} -> {remote[-1]:.6f} in {STEPS} steps; differs from the CPU by {difference:.2e}; '
          f'{step:.2f} ms a step')
    return 0 if difference <= TOLERANCE and remote[-1] < remote[0] else 1


if __name__ == '__main__':
    sys.exit(main())
