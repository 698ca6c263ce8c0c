"""Days and instants as a caller writes them → arrays: `datetime64[D]`, and `datetime64[us]` of UTC.

Every function of the trading calendars takes an array first; `by_day` and `by_instant` let the same function answer
for one day or one instant, with a plain Python value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeAlias, TypeVar, overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from carbon254.errors import BadLabel

Days: TypeAlias = NDArray[np.datetime64]
Instants: TypeAlias = NDArray[np.datetime64]
OneDay: TypeAlias = date | str | np.datetime64
ManyDays: TypeAlias = NDArray[np.datetime64] | Sequence[Any] | pl.Series | Any
OneInstant: TypeAlias = datetime | str | np.datetime64

P = ParamSpec("P")
One = TypeVar("One", covariant=True)
Many = TypeVar("Many", covariant=True)
Answer = TypeVar("Answer", bound=NDArray[Any])

_EPOCH = datetime.fromtimestamp(0, UTC)
_SCALARS = (date, str, np.datetime64)


class ByDay(Protocol, Generic[P, One, Many]):
    """A function over days: one day gives one value, many days give an array of the same shape."""

    @overload
    def __call__(self, days: OneDay, /, *args: P.args, **kwargs: P.kwargs) -> One: ...
    @overload
    def __call__(self, days: ManyDays, /, *args: P.args, **kwargs: P.kwargs) -> Many: ...
    def __call__(self, days: Any, /, *args: P.args, **kwargs: P.kwargs) -> Any: ...


def by_day(one: Callable[[Any], One]) -> Callable[[Callable[Concatenate[Days, P], Answer]], ByDay[P, One, Answer]]:
    """Let a function of a flat array of days take one day too; `one` turns a single element into a plain value."""
    return _shaped(days_array, one)


def by_instant(
    one: Callable[[Any], One],
) -> Callable[[Callable[Concatenate[Instants, P], Answer]], ByDay[P, One, Answer]]:
    """Let a function of a flat array of instants take one instant too."""
    return _shaped(instants_array, one)


def days_array(days: Any) -> Days:
    """Days as `datetime64[D]`, in the shape given (no dimension for one day).

    Takes dates, ISO text, numpy `datetime64`, polars and pandas columns; of a time without a zone, its date.
    Raises BadLabel for an instant (which market's
    day is it?), for a missing day and for text that is no day.
    """
    if isinstance(days, datetime) and days.tzinfo is not None:
        raise BadLabel(f"{days} is an instant, and a day was asked for; write the market's own date")
    if isinstance(days, _SCALARS):
        return np.asarray(_day(days), "datetime64[D]")
    values = _column(days, "days")
    if values.dtype.kind == "M":
        return _whole(values.astype("datetime64[D]"), "day")
    return _whole(np.array([_day(day) for day in values.ravel()], "datetime64[D]").reshape(values.shape), "day")


def instants_array(instants: Any) -> Instants:
    """Instants as `datetime64[us]` of UTC, in the shape given (no dimension for one instant).

    Takes datetimes with a zone, ISO text with an offset, numpy `datetime64` (which is UTC), polars and pandas columns
    with a time zone. Raises BadLabel for a time without a zone, a missing one and text that is no time.
    """
    if isinstance(instants, _SCALARS):
        return np.asarray(_instant(instants), "datetime64[us]")
    values = _column(instants, "instants")
    if values.dtype.kind == "M":
        return _whole(values.astype("datetime64[us]"), "instant")
    made = np.array([_instant(instant) for instant in values.ravel()], "datetime64[us]")
    return _whole(made.reshape(values.shape), "instant")


def as_date(day: Any) -> date:
    """One element of an array of days."""
    return day.astype("datetime64[D]").item()


def as_instant(instant: Any) -> datetime:
    """One element of an array of instants, with its zone (UTC)."""
    return instant.astype("datetime64[us]").item().replace(tzinfo=UTC)


def one_day(day: OneDay) -> date:
    """One day as a `date`. Raises BadLabel, also for many."""
    return as_date(_alone(days_array(day), "day"))


def one_instant(instant: OneInstant) -> datetime:
    """One instant as a `datetime` in UTC. Raises BadLabel, also for many."""
    return as_instant(_alone(instants_array(instant), "instant"))


def day_range(first: OneDay, last: OneDay) -> Days:
    """Every day from first to last, both included. Raises BadLabel where last comes before first."""
    low, high = (np.datetime64(one_day(edge), "D") for edge in (first, last))
    if high < low:
        raise BadLabel(f"the last day {high} comes before the first, {low}; both are included, so exchange them")
    return np.arange(low, high + np.timedelta64(1, "D"))


def _alone(values: NDArray[Any], what: str) -> Any:
    if values.ndim:
        raise BadLabel(f"{values.size} {what}s were given where one is asked for")
    return values[()]


def _shaped(read: Callable[[Any], NDArray[Any]], one: Callable[[Any], Any]) -> Any:
    def wrap(compute: Callable[..., NDArray[Any]]) -> Any:
        first = next(iter(signature(compute).parameters))

        @wraps(compute)
        def call(*args: Any, **kwargs: Any) -> Any:
            given, *rest = args or (kwargs.pop(first),)
            values = read(given)
            found = compute(values.ravel(), *rest, **kwargs)
            return found.reshape(values.shape) if values.ndim else one(found[0])

        return call

    return wrap


def _column(given: Any, what: str) -> NDArray[Any]:
    if isinstance(given, pl.Series):
        return _polars(given, what)
    zoned = getattr(getattr(given, "dtype", None), "tz", None) is not None
    values = given.to_numpy("datetime64[us]") if zoned else np.asarray(_listed(given))
    if what == "days" and zoned:
        raise BadLabel("these are instants, and days were asked for; write the market's own dates")
    if (
        what == "instants"
        and values.dtype.kind == "M"
        and not zoned
        and not isinstance(given, np.ndarray | list | tuple)
    ):
        raise BadLabel("the column has no time zone; give it one, with tz_localize('UTC') where it is UTC")
    if values.dtype.kind not in "MOUT" and values.size:
        raise BadLabel(f"{what} are dates or times, not {values.dtype}; write them as ISO text or datetime64")
    return values


def _polars(column: pl.Series, what: str) -> NDArray[Any]:
    if column.null_count():
        raise BadLabel(f"{column.null_count()} of the {what} are missing; drop or fill them first")
    zoned = getattr(column.dtype, "time_zone", None) is not None
    if what == "days" and zoned:
        raise BadLabel(f"column {column.name!r} has instants, and days were asked for; use calendars.day_of first")
    if what == "instants" and column.dtype in (pl.Datetime, pl.Date) and not zoned:
        raise BadLabel(f"column {column.name!r} has no time zone; use .dt.replace_time_zone('UTC') where it is UTC")
    if column.dtype.is_temporal():
        return (
            column.cast(pl.Datetime("us", "UTC") if zoned else pl.Datetime("us"))
            .to_physical()
            .to_numpy()
            .view("M8[us]")
        )
    if column.dtype.is_numeric():
        raise BadLabel(f"{what} are dates or times, not {column.dtype}; write them as ISO text or datetimes")
    return np.array(column.to_list(), object)


def _listed(given: Any) -> Any:
    if isinstance(given, np.ndarray) or hasattr(given, "__array__"):
        return given
    if not isinstance(given, Iterable):
        raise BadLabel(f"{given!r} is no day and no time; write ISO text, a date or a datetime")
    # An object array keeps the zone of each datetime, which numpy would drop.
    listed = list(given)
    made = np.empty(len(listed), object)
    made[:] = listed
    return made


def _day(day: Any) -> np.datetime64:
    if isinstance(day, np.datetime64):
        return _known(day.astype("datetime64[D]"), day)
    if isinstance(day, str):
        try:
            return np.datetime64(date.fromisoformat(day.strip()), "D")
        except ValueError as error:
            raise BadLabel(f"{day!r} is no day; write it as YYYY-MM-DD") from error
    if isinstance(day, datetime) and day.tzinfo is not None:
        raise BadLabel(f"{day} is an instant, and a day was asked for; write the market's own date")
    if isinstance(day, date) and day == day:  # pandas' NaT is a date that equals nothing
        return np.datetime64(day, "D")
    raise BadLabel(f"{day!r} is no day; write a date, or text as YYYY-MM-DD")


def _instant(instant: Any) -> np.datetime64:
    if isinstance(instant, np.datetime64):
        return _known(instant.astype("datetime64[us]"), instant)
    moment = _parsed(instant) if isinstance(instant, str) else instant
    if not isinstance(moment, datetime) or moment != moment:  # pandas' NaT is a datetime that equals nothing
        raise BadLabel(f"{instant!r} is no instant; write a datetime with its zone, or ISO text with an offset")
    if moment.tzinfo is None:
        raise BadLabel(f"{instant} has no time zone; write its offset, as in {moment.isoformat()}Z")
    since = moment - _EPOCH
    return np.datetime64(since.days * 86_400_000_000 + since.seconds * 1_000_000 + since.microseconds, "us")


def _parsed(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise BadLabel(
            f"{text!r} is no instant; write ISO text with an offset, as in YYYY-MM-DDTHH:MM-05:00"
        ) from error


def _known(value: np.datetime64, given: Any) -> np.datetime64:
    if np.isnat(value):
        raise BadLabel(f"{given!r} is missing; drop or fill it first")
    return value


def _whole(values: NDArray[Any], what: str) -> NDArray[Any]:
    missing = int(np.isnat(values).sum())
    if missing:
        raise BadLabel(f"{missing} {what}{'s are' if missing > 1 else ' is'} missing; drop or fill them first")
    return values
