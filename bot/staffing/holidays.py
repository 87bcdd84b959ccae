"""Days on which nobody is there: a desk's own dates, and the public holidays of a country by the `holidays` library.

That library (0.5 s at its first import) is loaded only for a desk that names a country; each year is counted out once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class PublicHolidays:
    """`country` is ISO 3166-1 (`NL`), `subdivision` the library's code of a part of it (`BY` of `DE`), if any."""

    country: str
    subdivision: str | None = None

    def __contains__(self, day: date) -> bool:
        return day in _of_year(self.country, self.subdivision, day.year)


@dataclass(frozen=True, slots=True)
class DaysOff:
    """`dates` of the desk's own; `public` those of a country; `open_on` the days that are worked all the same."""

    dates: frozenset[date] = field(default_factory=frozenset)
    public: PublicHolidays | None = None
    open_on: frozenset[date] = field(default_factory=frozenset)

    def __contains__(self, day: object) -> bool:
        if not isinstance(day, date) or day in self.open_on:
            return False
        return day in self.dates or (self.public is not None and day in self.public)


def countries() -> dict[str, tuple[str, ...]]:
    """Every country that the library knows by its two letters, with the codes of its parts."""
    import holidays

    known = holidays.list_supported_countries(include_aliases=False)
    return {country: tuple(parts) for country, parts in known.items() if len(country) == 2}


@lru_cache(maxsize=256)
def _of_year(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    import holidays

    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year))
