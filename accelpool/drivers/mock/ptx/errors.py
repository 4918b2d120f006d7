# SPDX-License-Identifier: Apache-2.0
"""The one exception of the translator."""


class PtxError(Exception):
    """PTX that cannot be translated (CUDA_ERROR_INVALID_PTX). The message goes to the program's log buffer."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message if line is None else f'line {line}: {message}')


class Unsupported(Exception):
    """What an instruction asks for is missing; the translator adds its text and line and raises PtxError."""
