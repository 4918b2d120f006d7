# SPDX-License-Identifier: Apache-2.0
"""What npu-smi prints, for hosts without libdcmi: a process of its own that answers as the one of DCMI does.

:mod:`accelpool.drivers.vendor` starts it by its path; it imports nothing of accelpool.  Every call's first argument is
the program to run.  ``templates`` is asked where there is libdcmi, too: DCMI has no function for it.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

NOT_FOUND, NOT_UNDERSTOOD, INNER_ERROR, NOT_EXIST = -1, -2, -8005, -8008
HEALTH = {'OK': 0, 'WARNING': 1, 'ALARM': 2, 'CRITICAL': 3, 'UNKNOWN': 3}
#: The two rows of a chip in the overview; chips without HBM lack the last pair, A3 has a physical id beside the chip.
FIRST = re.compile(r'^\|\s*(\d+)\s+(\S[^|]*?)\s*\|\s*(\w+)\s*\|\s*([\d.]+|-|NA)\s+(\d+|-|NA)\s')
SECOND = re.compile(r'^\|\s*(\d+)(?:\s+\d+)?\s*\|\s*([0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f])\s*\|'
                    r'\s*(\d+)\s+(\d+)\s*/\s*(\d+)(?:\s+(\d+)\s*/\s*(\d+))?')
PROCESS = re.compile(r'^\|\s*(\d+)\s+(\d+)\s*\|\s*(\d+)\s*\|\s*\S[^|]*\|\s*\d+\s*\|')
VNPU = re.compile(r'^\|\s*(\d+)\s*\|\s*(\S+)\s*\|\s*\S+\s*\|\s*(\d+)\s*\|\s*(\S+)\s*\|')
TEMPLATE = re.compile(r'^\|(\S+)\s+(\d+)\s+(\d+)\s+([\d.]+)\s+\d+\s+\d+\s+(\d+)\s*\|')
BUS_ID = re.compile(r'\|\s*[0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.')
VERSION = re.compile(r'Version:\s*(\S+)')

_seen: dict[tuple[int, int], dict[str, Any]] = {}


class Failed(Exception):
    """npu-smi refused, or is not there."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def run(program: str, *arguments: str) -> str:
    """Return what npu-smi prints.  :raises Failed: it is not there, or says no"""
    try:
        done = subprocess.run(
            [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace',
            check=False)
    except OSError as error:
        raise Failed(NOT_FOUND, f'{program}: {error.strerror}') from error
    if done.returncode:
        said = ' '.join((done.stdout + done.stderr).split())[:160]
        raise Failed(INNER_ERROR, f'{program} {" ".join(arguments)} said: {said}')
    return done.stdout


def overview(text: str) -> dict[tuple[int, int], dict[str, Any]]:
    """Return what ``npu-smi info`` says of each chip; one whose health is a word of another language is left out."""
    chips: dict[tuple[int, int], dict[str, Any]] = {}
    first: re.Match[str] | None = None
    for line in text.splitlines():
        if second := SECOND.match(line):
            if first is None:
                continue
            used, total = (second[6], second[7]) if second[7] and int(second[7]) else (second[4], second[5])
            chips[int(first[1]), int(second[1])] = {
                'name': first[2], 'health': HEALTH[first[3].upper()], 'power_watts': _number(first[4]),
                'temperature': _number(first[5]), 'pci': second[2].lower(), 'utilization': int(second[3]),
                'memory': int(total), 'memory_used': int(used), 'processes': []}
        elif found := PROCESS.match(line):
            if chip := chips.get((int(found[1]), int(found[2]))):
                chip['processes'].append(int(found[3]))
        elif found := FIRST.match(line):
            first = found if found[3].upper() in HEALTH else None
    return chips


def numbers(text: str) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the logical and physical number of each chip from ``npu-smi info -m``."""
    lines = [re.split(r'\s{2,}', line.strip()) for line in text.splitlines() if line.strip()]
    if not lines or 'Chip Logic ID' not in lines[0]:
        return {}
    header, rows = lines[0], [row for row in lines[1:] if len(row) == len(lines[0])]
    logic = header.index('Chip Logic ID')
    physical = header.index('Chip Phy-ID') if 'Chip Phy-ID' in header else logic
    return {(int(row[0]), int(row[1])): (int(row[logic]), int(row[physical])) for row in rows if row[logic].isdigit()}


def values(text: str) -> dict[str, str]:
    """Return the ``name : value`` lines of a detail; the spelling of names differs between releases."""
    pairs = (line.partition(' : ') for line in text.splitlines())
    return {name.strip().lower(): value.strip() for name, mark, value in pairs if mark}


def rows_of_templates(text: str) -> dict[str, list[int]]:
    """Return what ``template-info`` lists: name -> AI cores, AI CPUs, JPEG decoders, memory MB."""
    found = (TEMPLATE.match(line) for line in text.splitlines())
    return {one[1]: [int(one[2]), int(float(one[4])), int(one[5]), int(one[3]) * 1024] for one in found if one}


def host(program: str) -> dict[str, Any]:
    """Look at all chips.  :raises Failed: of some it does not say what is understood"""
    text = run(program, 'info')
    version = VERSION.search(text)
    _seen.clear()
    _seen.update(overview(text))
    if len(_seen) < len(BUS_ID.findall(text)):
        raise Failed(NOT_UNDERSTOOD, f'the chips that {program} info lists')
    mode = values(_maybe(program, 'info', '-t', 'vnpu-mode')).get('vnpu-mode')
    return {'driver': version and version[1], 'dcmi': None, 'mode': None if mode is None else int(mode == 'vm'),
            'chips': sorted(_seen)}


def identity(program: str, card: int, chip: int) -> dict[str, Any]:
    """Return what does not change of a chip."""
    seen, place = _chip(card, chip), ('-i', str(card), '-c', str(chip))
    board = values(run(program, 'info', '-t', 'board', *place))
    common = values(_maybe(program, 'info', '-t', 'common', *place))
    die = board.get('vdie id')
    if not die:
        raise Failed(INNER_ERROR, f'{program} does not tell the die of chip {chip} of card {card}')
    logic, physical = numbers(run(program, 'info', '-m')).get((card, chip), (card, card))
    vendor, device = (int(board.get(f'pci {name} id', '0'), 16) for name in ('vendor', 'device'))
    return {'card': card, 'chip': chip, 'name': seen['name'], 'aicore': int(common.get('aicore count', '0')),
            'pci': seen['pci'], 'pci_id': f'{vendor:04x}:{device:04x}', 'die': '-'.join(die.upper().split()),
            'logic': logic, 'physical': physical, 'memory': seen['memory'], 'cpus': None, 'smp': False}


def condition(program: str, card: int, chip: int) -> dict[str, Any]:
    """Return what changes, as the last :func:`host` saw it, and the vNPUs.  What they take is not told."""
    seen = _chip(card, chip)
    text = _maybe(program, 'info', '-t', 'info-vnpu', '-i', str(card), '-c', str(chip))
    found = (VNPU.match(line) for line in text.splitlines())
    vdevices: list[dict[str, Any]] = [
        {'id': int(one[1]), 'template': one[4], 'group': int(one[2]) if one[2].isdigit() else None, 'needs': {},
         'container': one[3] == '1'} for one in found if one]
    return {'errors': [], 'capacity': None, 'vdevices': vdevices, **{name: seen[name] for name in (
        'health', 'power_watts', 'temperature', 'utilization', 'memory_used', 'processes')}}


def templates(program: str, card: int) -> dict[str, list[int]]:
    """Return the vNPU templates that this host offers on a card."""
    return rows_of_templates(run(program, 'info', '-t', 'template-info', '-i', str(card)))


def recover(program: str) -> bool | None:
    """Return whether the driver makes its vNPUs again after a restart of the host; None where it does not tell."""
    mode = values(_maybe(program, 'info', '-t', 'vnpu-cfg-recover')).get('vnpu config recover mode')
    return None if mode is None else mode == 'Enable'


def islands(program: str, chips: list[tuple[int, int]]) -> None:
    """What reaches what is not told."""


def _chip(card: int, chip: int) -> dict[str, Any]:
    if (card, chip) not in _seen:
        raise Failed(NOT_EXIST, f'chip {chip} of card {card} is not listed')
    return _seen[card, chip]


def _maybe(program: str, *arguments: str) -> str:
    """Return nothing where this chip or release has no such detail."""
    try:
        return run(program, *arguments)
    except Failed:
        return ''


def _number(text: str) -> float | None:
    return float(text) if text[0].isdigit() else None


CALLS: dict[str, Callable[..., Any]] = {
    'open': lambda: None, 'host': host, 'identity': identity, 'condition': condition, 'templates': templates,
    'islands': islands, 'recover': recover}


def main() -> None:
    """Answer lines until the pipe closes."""
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer: dict[str, Any] = {'result': CALLS[name](*arguments)}
        except Failed as error:
            answer = {'code': error.code, 'error': str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
