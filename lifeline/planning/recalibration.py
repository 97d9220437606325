"""The calibration of this city: its pipes and break records, fitted, kept as a version, and every risk scored anew."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from lifeline.model import JsonObject
from lifeline.planning import Progress
from lifeline.planning.calibration import ClassFit, Record, calibrate, content
from lifeline.risk.deterioration import shipped_deterioration
from lifeline.risk.likelihood import OLDEST_YEARS, lengths_km, offsets
from lifeline.storage import health, standing
from lifeline.storage.database import Connection

RECOMPUTED_BY = "job"


class City(NamedTuple):
    """Records by class; ``unplaced`` breaks were on no pipe of known age, or before it was laid."""

    records: dict[str, Record]
    unplaced: int


def records_of(connection: Connection, now: datetime) -> City:
    """Pipes of known age in networks whose breaks are on record, and their breaks."""
    catalogue = shipped_deterioration()
    found = standing.columns(connection, now)
    inventory = found.inventory
    age = np.clip(inventory.age_years, 0.0, OLDEST_YEARS)
    observed = np.array([kind == "pipe" for kind in inventory.kind], dtype=np.bool_)
    observed &= ~np.isnan(age) & ~np.isnan(inventory.record_years)
    first = np.maximum(age - inventory.record_years, 0.0)
    chosen = catalogue.class_of(inventory.material)
    km = lengths_km(inventory, catalogue) * offsets(inventory, catalogue)
    broken, years = standing.years_since_breaks(connection, now)
    at = np.searchsorted(found.asset_id, broken)
    inside = (at < len(found.asset_id)) & np.isin(broken, found.asset_id)
    at, ages = at[inside], np.array([])
    if len(at):
        ages = age[at] - years[inside]
    # A year is all that is known of when it was laid: a break up to a year before counts as one at age 0.
    placed = observed[at] & (ages > -1.0) if len(at) else np.zeros(0, np.bool_)
    at, ages = at[placed], np.maximum(ages[placed], first[at[placed]])
    records = {
        each.name: Record(
            first[observed & (chosen == number)],
            age[observed & (chosen == number)],
            km[observed & (chosen == number)],
            ages[chosen[at] == number],
        )
        for number, each in enumerate(catalogue.classes)
        if (observed & (chosen == number)).any()
    }
    return City(records, len(broken) - len(at))


def refit(connection: Connection, city: City, fitted_by: str, now: datetime) -> tuple[int, list[ClassFit]]:
    """Fit, keep as the newest version, score every asset anew, in the caller's transaction; version and fits."""
    fits = calibrate(city.records, shipped_deterioration())
    breaks = sum(fit.breaks for fit in fits)
    version = standing.store_deterioration(connection, content(fits, shipped_deterioration()), breaks, fitted_by, now)
    standing.recompute(connection, now)
    return version, fits


def summary(version: int | None, fits: list[ClassFit], unplaced: int) -> JsonObject:
    """What a calibration found, as a job's result."""
    classes: Mapping[str, JsonObject] = {
        fit.name: {"breaks": fit.breaks, "km_years": fit.exposure, "form": fit.form, **fit.fits[fit.form]._asdict()}
        for fit in fits
    }
    return {"version": version, "unplaced_breaks": unplaced, "classes": dict(classes)}


class Parameters(BaseModel):
    """Of a job of kind ``calibrate``: none."""


def run(connection: Connection, parameters: JsonObject, progress: Progress) -> JsonObject:
    """Fit to what is on record."""
    Parameters.model_validate(parameters)
    now = health.database_clock(connection)
    progress(0.1, "reading break records")
    with connection.transaction():
        city = records_of(connection, now)
        progress(0.3, "fitting")
        version, fits = refit(connection, city, RECOMPUTED_BY, now)
    return summary(version, fits, city.unplaced)
