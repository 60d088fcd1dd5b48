"""Keep what streamed by: the lake's catalog, its tables, and how complete they are."""
