"""Those who wait, in the database: what agents hold, whose turn it is, and what customers were promised."""
