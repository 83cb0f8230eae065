"""taskiq_core: tasks that survive.

The floors, from the ground up; imports only ever point down:

1. vocabulary: `message delivery result progress schedule events state records labels acks exceptions ...`
2. `abc/`: the contracts that plugins implement
3. tools: `serializers formatters middleware_chain group_commit listening plugins ...`
4. sending: `task kicker decor registrar router gather ...`
5. the broker: `broker context depends`
6. two engines: `worker` and `scheduler`
7. built-ins and doors: `brokers result_backends schedule_sources middlewares cli testing`
"""

from typing import Any

import lazy_loader as _untyped_lazy_loader

lazy_loader: Any = _untyped_lazy_loader  # the package ships no types

# What is public stands in __init__.pyi, and is imported when it is asked for: the command line takes a part of the core and not
# all of it, and so does the pytest plugin, which every test run of an environment imports.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
