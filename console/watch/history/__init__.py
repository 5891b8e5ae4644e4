"""Figures of the last five weeks on disk, in 8.3 MB however many there are: what forecasts and anomalies look back at.

`Keeper` fills it from the readings that there are, `load` reads it. See docs/trends.md for what is kept and how long.
"""

from console.watch.history.keeper import Keeper
from console.watch.history.series import Grid, Known, Series
from console.watch.history.store import load, place

__all__ = ["Grid", "Keeper", "Known", "Series", "load", "place"]
