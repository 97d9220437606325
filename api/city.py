"""What every route works with: the database, the catalogue, the map, the clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from fastapi import Request

from api.keeper import MapKeeper
from api.live import Broadcaster
from api.past import Archive
from lifeline.catalogue import Catalogue
from lifeline.settings import Settings
from lifeline.storage.database import Pool


@dataclass(frozen=True, slots=True)
class City:
    """Lives as long as the process; routes read it and never change it."""

    settings: Settings
    pool: Pool
    catalogue: Catalogue
    map: MapKeeper
    live: Broadcaster
    archive: Archive
    clock: Callable[[], datetime]
    started: datetime


def city(request: Request) -> City:
    """The city of this application."""
    return cast("City", request.app.state.city)
