"""A real sweep on real data, from `log()` to the page and to SQL: `make demo`."""
