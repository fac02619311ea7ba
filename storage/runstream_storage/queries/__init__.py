"""Questions about runs, one function each."""
