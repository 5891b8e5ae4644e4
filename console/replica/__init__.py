"""The record on a PostgreSQL server as well: what each host wrote, on every host that asks, and what is where."""
