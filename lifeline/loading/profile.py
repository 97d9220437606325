"""How much is offered when: a ramp, an even rate, and an outage after which all that waited comes at once."""

from dataclasses import dataclass

FLAT_OUT = 1e9


@dataclass(frozen=True, slots=True)
class Profile:
    """Messages a second over ``seconds``; ``rate`` 0 is as fast as it goes. For ``outage_s`` nothing is sent."""

    rate: float
    seconds: float
    ramp_s: float = 0.0
    outage_s: float = 0.0

    def due(self, since: float) -> float:
        """Messages that should have been offered ``since`` seconds after the beginning."""
        since = min(max(since, 0.0), self.seconds)
        if not self.rate:
            return FLAT_OUT if since < self.seconds else 0.0
        grown = min(since, self.ramp_s)
        return self.rate * (grown**2 / (2 * self.ramp_s) if self.ramp_s else 0.0) + self.rate * (since - grown)

    def silent(self, since: float) -> bool:
        """Whether nothing is sent now: what is due waits."""
        middle = (self.seconds - self.outage_s) / 2
        return self.outage_s > 0 and middle <= since < middle + self.outage_s
