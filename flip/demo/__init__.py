"""The README's story with real processes, sockets and hooks: what ``flip demo`` runs."""
