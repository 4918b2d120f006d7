# SPDX-License-Identifier: Apache-2.0
"""Options of the audit: who did what, in the form of CADF."""

from oslo_config import cfg

GROUP = 'audit'

OPTS: list[cfg.Opt] = [
    cfg.StrOpt('destination', default='log',
               choices=[
                   ('log', 'the logger accelpool.audit, one line of JSON each'),
                   ('notifications', 'the topics below, by [oslo_messaging_notifications] driver'),
                   ('none', 'nothing is audited'),
               ],
               help='Where each request that changes something or asks for a credential is told, also one that was '
                    'refused.'),
    cfg.ListOpt('topics', default=['notifications'], help='Topics of destination = notifications.'),
]
