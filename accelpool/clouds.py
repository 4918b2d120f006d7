# SPDX-License-Identifier: Apache-2.0
"""One entry of a clouds.yaml: how ``OS_CLOUD=accelpool`` finds the embedded service."""

import os
import pathlib

from ruamel import yaml

#: Name of the entry.
NAME = 'accelpool'


def default_path() -> pathlib.Path:
    """Return the file that OpenStack clients read: ``OS_CLIENT_CONFIG_FILE`` or the user's own."""
    named = os.environ.get('OS_CLIENT_CONFIG_FILE')
    return pathlib.Path(named) if named else pathlib.Path.home() / '.config/openstack/clouds.yaml'


def merge(path: pathlib.Path, endpoint: str, username: str, password: str) -> None:
    """Write or replace our entry; all others stay, with their comments.

    The file is mode 0600 and replaced atomically.  Raises ruamel.yaml.YAMLError when the present
    file is not YAML, and changes nothing then.
    """
    document = yaml.YAML()
    content = document.load(path.read_text()) if path.exists() else None
    content = content or {}
    content.setdefault('clouds', {})[NAME] = {
        'auth_type': 'http_basic',
        'auth': {'endpoint': endpoint, 'username': username, 'password': password},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + '.new')
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as file:
        document.dump(content, file)
    fresh.replace(path)
