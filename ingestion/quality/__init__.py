"""Judge data sets before they are loaded: what is wrong in one, how two differ."""
