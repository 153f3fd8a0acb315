"""Who holds what: the keeper, its journal, and the hooks that it runs."""
