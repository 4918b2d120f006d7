# SPDX-License-Identifier: Apache-2.0
"""Why a peer does not get in; the codes are enum wire_refusal of native/common/wire.h."""

BAD, EXPIRED, REVOKED, VERSION, BUSY, MALFORMED = 1, 2, 3, 4, 5, 6


class Refused(Exception):
    """The peer does not get in."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
