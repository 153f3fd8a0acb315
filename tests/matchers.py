"""PyHamcrest's matchers that take other matchers, with types that mypy can solve.

PyHamcrest types their arguments as `Matcher[T] | T`. A matcher is invariant in T, so mypy finds no
T for `is_not(contains_string("x"))`, and refuses to mix, as `has_entries(a=1, b=empty())` does.
These are the same functions; as `equal_to` already does, they return a matcher of anything.
"""

from collections.abc import Callable
from typing import Any

import hamcrest
from hamcrest.core.matcher import Matcher

Combining = Callable[..., Matcher[Any]]

all_of: Combining = hamcrest.all_of
contains_exactly: Combining = hamcrest.contains_exactly
has_entries: Combining = hamcrest.has_entries
has_item: Combining = hamcrest.has_item
has_items: Combining = hamcrest.has_items
has_properties: Combining = hamcrest.has_properties
is_not: Combining = hamcrest.is_not
not_: Combining = hamcrest.not_

# Typed for sequences, but any iterable will do for the one, and any container for the other.
only_contains: Combining = hamcrest.only_contains
is_in: Combining = hamcrest.is_in

# Typed as a matcher of functions, but what it matches is what `calling` returns.
raises: Combining = hamcrest.raises
