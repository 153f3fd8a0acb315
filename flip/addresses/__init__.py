"""IP addresses of this host: put, removed, announced and watched, by talking to the kernel."""
