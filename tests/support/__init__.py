"""What the tests stand on: a throw-away PostgreSQL server, a browser, the network guard."""
