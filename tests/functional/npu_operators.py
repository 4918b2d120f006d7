# SPDX-License-Identifier: Apache-2.0
"""Operators of torch on an NPU and on the CPU: the same numbers and types.  A program; exit status 1 when one differs.

Run it with ``TASK_QUEUE_ENABLE=0``, so that an operator's failure is its own.
"""

import sys
from collections.abc import Callable

import torch
import torch_npu  # noqa: F401 - adds the device "npu" to torch
from torch.nn import functional

Case = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CASES: dict[str, Case] = {
    'add': lambda a, b: a + b, 'add scalar': lambda a, b: a + 2.5, 'sub': lambda a, b: a - b, 'rsub': lambda a, b: 1 - a,
    'mul': lambda a, b: a * b, 'mul scalar': lambda a, b: a * 3, 'div': lambda a, b: a / b, 'div scalar': lambda a, b: a / 3,
    'floor divide': lambda a, b: a // 2, 'pow': lambda a, b: a ** 2, 'neg': lambda a, b: -a, 'exp': lambda a, b: a.exp(),
    'log': lambda a, b: a.abs().log(), 'sqrt': lambda a, b: a.abs().sqrt(), 'rsqrt': lambda a, b: a.abs().rsqrt(),
    'relu': lambda a, b: a.relu(), 'sigmoid': lambda a, b: a.sigmoid(), 'tanh': lambda a, b: a.tanh(),
    'gelu': lambda a, b: functional.gelu(a), 'silu': lambda a, b: functional.silu(a), 'floor': lambda a, b: a.floor(),
    'softmax': lambda a, b: a.softmax(1), 'log_softmax': lambda a, b: a.log_softmax(0),
    'sum': lambda a, b: a.sum(), 'sum of rows': lambda a, b: a.sum(1, keepdim=True), 'mean': lambda a, b: a.mean(),
    'mean of columns': lambda a, b: a.mean(0), 'max': lambda a, b: a.max(), 'min': lambda a, b: a.min(),
    'argmax': lambda a, b: a.argmax(1), 'amax': lambda a, b: a.amax(1), 'any': lambda a, b: (a > 2).any(),
    'all': lambda a, b: (a > -9).all(), 'eq': lambda a, b: a == b, 'gt': lambda a, b: a > b, 'lt scalar': lambda a, b: a < 0,
    'where': lambda a, b: torch.where(a > 0, a, b), 'maximum': torch.maximum, 'clamp': lambda a, b: a.clamp(-.5, .5),
    'masked_fill': lambda a, b: a.masked_fill(a > 0, -1.), 'lerp': lambda a, b: a.lerp(b, .3),
    'transposed': lambda a, b: a.t().contiguous(), 'slice': lambda a, b: a[1:4, ::2].contiguous(),
    'broadcast': lambda a, b: a[:, :1].expand(6, 5) + b, 'cat': lambda a, b: torch.cat([a, b], 0),
    'stack': lambda a, b: torch.stack([a, b], 1), 'half': lambda a, b: a.half().float(),
    'bfloat16': lambda a, b: a.bfloat16().float(), 'int': lambda a, b: a.int(), 'bool': lambda a, b: (a > 0).float(),
    'ones': lambda a, b: torch.ones_like(a), 'full': lambda a, b: torch.full_like(a, 3.5),
    'arange': lambda a, b: torch.arange(7, device=a.device), 'matmul': lambda a, b: a @ b.t(), 'mv': lambda a, b: a @ b[0],
    'bmm': lambda a, b: torch.bmm(a.view(2, 3, 5), b.view(2, 3, 5).transpose(1, 2)), 'linear': functional.linear,
    'index_select': lambda a, b: a.index_select(0, torch.tensor([2, 0]).to(a.device)),
    'gather': lambda a, b: a.gather(1, torch.ones(6, 1, dtype=torch.int64).to(a.device)),
    'embedding': lambda a, b: functional.embedding(torch.tensor([[1, 3], [0, 5]]).to(a.device), a),
    'mse_loss': functional.mse_loss, 'nll_loss': lambda a, b: functional.nll_loss(a, classes(a)),
    'nll_loss sum': lambda a, b: functional.nll_loss(a, classes(a), reduction='sum'),
    'nll_loss of rows': lambda a, b: functional.nll_loss(a, classes(a), reduction='none'),
    'nll_loss weighted': lambda a, b: functional.nll_loss(a, classes(a), b[0].abs()),
    'nll_loss weighted sum': lambda a, b: functional.nll_loss(a, classes(a), b[0].abs(), reduction='sum'),
    'nll_loss without a class': lambda a, b: functional.nll_loss(a, classes(a), b[0].abs(), ignore_index=2),
    'cross_entropy': lambda a, b: functional.cross_entropy(a, classes(a)),
}


def classes(rows: torch.Tensor) -> torch.Tensor:
    """A class for each of six rows."""
    return torch.tensor([0, 1, 2, 3, 4, 0]).to(rows.device)


def gradient(device: str) -> torch.Tensor:
    """Return what backward makes of a bit of everything."""
    torch.manual_seed(2)
    weight = torch.randn(5, 5).to(device).requires_grad_()
    inputs = torch.randn(6, 5).to(device)
    hidden = torch.tanh((inputs @ weight).sigmoid() + inputs).relu().softmax(1)
    functional.cross_entropy(hidden, classes(hidden)).backward()
    assert weight.grad is not None
    return weight.grad.cpu()


def nll_gradients(device: str) -> torch.Tensor:
    """Return what backward makes of the negative log likelihood, for each reduction, with weights and without."""
    torch.manual_seed(4)
    weights, gradients = torch.rand(5).to(device), []
    for reduction in ('mean', 'sum', 'none'):
        for weight, ignored in ((None, -100), (weights, -100), (weights, 2)):
            inputs = torch.randn(6, 5).to(device).requires_grad_()
            loss = functional.nll_loss(inputs, classes(inputs), weight, ignore_index=ignored, reduction=reduction)
            loss.backward(torch.arange(1., 7.).to(device) if reduction == 'none' else None)
            assert inputs.grad is not None
            gradients.append(inputs.grad.cpu())
    return torch.stack(gradients)


def adam(device: str) -> torch.Tensor:
    """Return a parameter after ten steps of Adam."""
    torch.manual_seed(3)
    parameter = torch.nn.Parameter(torch.randn(7).to(device))
    optimizer = torch.optim.Adam([parameter], lr=0.1)
    for _ in range(10):
        optimizer.zero_grad()
        (parameter * parameter).sum().backward()
        optimizer.step()
    return parameter.detach().cpu()


def main() -> int:
    torch.manual_seed(0)
    a, b = torch.randn(6, 5), torch.randn(6, 5)
    runs: dict[str, Callable[[str], torch.Tensor]] = {
        name: lambda device, case=case: case(a.to(device), b.to(device)).cpu() for name, case in CASES.items()}
    runs |= {'gradient': gradient, 'nll_loss backward': nll_gradients, 'adam': adam}
    wrong = 0
    for name, run in runs.items():
        try:
            expected, found = run('cpu'), run('npu:0')
            same = expected.dtype == found.dtype and torch.allclose(expected.double(), found.double(), rtol=1e-5, atol=1e-6)
            problem = '' if same else f'{found.flatten()[:4].tolist()} and not {expected.flatten()[:4].tolist()}'
        except RuntimeError as error:
            problem = str(error).splitlines()[0]
        if problem:
            wrong += 1
            print(f'{name}: {problem}')
    print(f'{len(runs)} operators, {wrong} wrong')
    return 1 if wrong else 0


if __name__ == '__main__':
    sys.exit(main())
