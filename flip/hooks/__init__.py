"""flip's own hooks, `ip_up` and `ip_down`, and the modules that only they use.

These run on their own, once per data point of a failover: standard library only,
nothing that is slow to import (dataclasses, typing, shutil), and no Twisted.
"""
