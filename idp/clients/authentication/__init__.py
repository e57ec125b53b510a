"""How an app proves which app it is: one file per method, all of them in METHODS."""
