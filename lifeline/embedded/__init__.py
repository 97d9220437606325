"""TimescaleDB and Mosquitto without Docker: unpacked from Debian's packages, run as an ordinary user.

``unpack`` finds or fetches the programs, ``Database`` and ``Broker`` run them below one home folder.
"""

from lifeline.embedded.broker import Broker
from lifeline.embedded.database import Database
from lifeline.embedded.programs import unpack

__all__ = ["Broker", "Database", "unpack"]
