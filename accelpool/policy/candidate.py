# SPDX-License-Identifier: Apache-2.0
"""Who may try a request without making it."""

from accelpool.policy import base

LIST = 'accelpool:candidate:list'

RULES = [
    base.rule('candidate:list', base.READER, 'Ask which devices could serve a request, and why others cannot.',
              ('POST', '/v1/candidates')),
]
