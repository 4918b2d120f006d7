# SPDX-License-Identifier: Apache-2.0
"""The policy's matrix with users, roles, scopes and service tokens of a real Keystone."""

import unittest
from typing import Any

from tests.integration import support
from tests.integration.support import personas
from tests.support import policy


def setUpModule() -> None:
    support.up()
    personas.create()


class Policy(unittest.TestCase):
    """Every persona tries every operation."""

    def ask(self, persona: str, method: str, path: str, body: Any) -> tuple[int, Any]:
        answer = personas.ask(personas.headers(persona), method, path, body)
        return answer.status_code, answer.json() if answer.content else None

    def test_every_cell_of_the_matrix(self) -> None:
        count = policy.Walk(self, self.ask).run()
        print(f'{count} answers compared')

    def test_lists_show_what_the_matrix_says(self) -> None:
        policy.Walk(self, self.ask).lists()
