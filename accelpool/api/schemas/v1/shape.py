# SPDX-License-Identifier: Apache-2.0
"""What a request for slices says; profiles, allocations and candidates share it."""

from accelpool import types
from accelpool.api.schemas.v1 import common

#: Ways for a program to reach a slice that this service can carry out.
TECHNIQUES = ('interpose',)

#: Slices that one allocation may have.
MAX_COUNT = 64

COUNT: common.Schema = {'type': 'integer', 'minimum': 1, 'maximum': MAX_COUNT}
ISOLATION: common.Schema = {'type': 'string', 'enum': [str(item) for item in types.Isolation]}
#: What may be asked for.
ASKED: common.Schema = {'type': 'string', 'enum': [*ISOLATION['enum'], types.ANY_ISOLATION]}
#: The name of a partition, as ``device show`` lists them.
TEMPLATE: common.Schema = {
    'type': 'string', 'minLength': 1, 'maxLength': 64, 'pattern': r'^[A-Za-z0-9][A-Za-z0-9 .+_:-]*\Z'}
LOCALITY: common.Schema = {'type': 'string', 'enum': [str(item) for item in types.Locality]}
TECHNIQUE: common.Schema = {'type': 'string', 'enum': list(TECHNIQUES)}

#: The label of a network, as agents advertise it.
NETWORK: common.Schema = {'type': 'string', 'pattern': r'^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z'}

#: Fields of a request's body.  ``null`` takes a condition away (of a profile, or of a default).
PROPERTIES: common.Schema = {
    'count': COUNT,
    'compute': common.COMPUTE,
    'memory': common.nullable(common.MEMORY),
    'isolation': ASKED,
    'template': common.nullable(TEMPLATE),
    'locality': LOCALITY,
    'technique': TECHNIQUE,
    'traits': common.TRAITS,
    'any_traits': common.TRAITS,
    'vendor': common.nullable(common.LINE),
    'model': common.nullable(common.LINE),
    'pool': common.nullable(common.LINE),
    'strict': common.BOOLEAN,
    'data_network': common.nullable(NETWORK),
}

#: The same fields in a response.
SHOWN: common.Schema = {
    **PROPERTIES, 'template': common.nullable(common.STRING),
    'vendor': common.nullable(common.STRING), 'model': common.nullable(common.STRING),
    'pool': common.nullable(common.STRING), 'data_network': common.nullable(common.STRING),
}
