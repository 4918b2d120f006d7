# SPDX-License-Identifier: Apache-2.0
"""Schemas of enrolments: how a guest without an account comes to its attachments."""

from accelpool.api.schemas.v1 import allocation, common

#: SHA-256 of the key that the guest made up.
_DIGEST: common.Schema = {'type': 'string', 'pattern': '^[0-9a-f]{64}$(?![\\s\\S])', 'maxLength': 64}

EXCHANGE = common.request(
    {'token': common.LINE, 'consumer_id': common.LINE, 'key_digest': _DIGEST},
    required=['token', 'consumer_id', 'key_digest'])
ENROLLED = common.shown({
    'id': common.STRING,
    'consumer_type': allocation.CONSUMER_TYPE,
    'consumer_id': common.STRING,
    'renew': common.COUNT,
})

#: ``lifetime`` in seconds, at most a day: a node may need long to boot.
ISSUE = common.request({'lifetime': {'type': 'integer', 'minimum': 10, 'maximum': 24 * 3600}})
ISSUED = common.shown({
    'token': common.STRING,
    'consumer_type': allocation.CONSUMER_TYPE,
    'consumer_id': common.STRING,
    'url': common.nullable(common.STRING),
    'expires_at': common.TIME,
})

#: ``attachment`` is that of all active allocations together, null when there is none.
STANDING = common.shown({
    'attachment': common.nullable(common.shown({
        **allocation.ATTACHMENT['properties'], 'holder': {'type': 'null'}})),
    'allocations': {'type': 'array', 'items': common.shown({
        'id': common.STRING,
        'name': common.nullable(common.STRING),
        'profile': common.nullable(common.STRING),
        'state': allocation.STATE,
        'reason': common.nullable(common.STRING),
    })},
    'renew': common.COUNT,
})
