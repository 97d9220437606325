"""What can happen in a simulated city: each kind of event, what its place names, and the numbers that it takes.

Data, so that scenario files are checked, the reference page is written and the truth is judged by one description.
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that an event takes: its default, the values allowed, its unit."""

    default: float
    low: float
    high: float
    unit: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Sight:
    """Physically visible: a sensor's true value has moved by ``change`` since the beginning, downwards where negative.

    ``share``: not in the quantity's unit but as a share of the value that it had.
    """

    quantity: str
    change: float
    share: bool = False


class Nature(StrEnum):
    """What an event acts on."""

    PHYSICAL = "physical"
    DEVICE = "device"
    FAULT = "fault"
    TAMPERING = "tampering"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event: what it does, what its ``place`` names ("" where it is everywhere), and its parameters."""

    meaning: str
    place: str
    parameters: dict[str, Parameter]
    network: str = ""
    sights: tuple[Sight, ...] = ()
    nature: Nature = Nature.PHYSICAL


GROW = Parameter(0.0, 0.0, 40 * 86_400.0, "s", "time in which it grows to its full size; 0 is sudden")
SIZE = Parameter(1.0, 0.01, 50.0, "-", "how far, in typical steps of the quantity (below)")
SENSOR, DEVICE, PUMP = "a sensor, as device/channel", "a device", "a pump with a current sensor"
CHAMBER = "a valve chamber or manhole with a methane sensor"

GAS: dict[str, Kind] = {
    "gas_leak": Kind(
        "Gas leaves a pipe through a hole; a share of it finds its way into the chamber at `place`.",
        CHAMBER,
        {
            "hole_mm": Parameter(4.0, 0.5, 50.0, "mm", "diameter of the hole"),
            "share": Parameter(0.05, 0.001, 1.0, "-", "share of the gas that enters the chamber"),
            "grow_s": GROW,
            "blower_m3h": Parameter(400.0, 0.0, 5000.0, "m3/h", "air blown through the chamber after the repair"),
        },
        "gas",
        (Sight("methane", 0.1),),
    ),
    "third_party_damage": Kind(
        "An excavator tears a gas main open: most of the gas blows off, some of it enters the chamber at `place`.",
        CHAMBER,
        {
            "hole_mm": Parameter(30.0, 5.0, 300.0, "mm", "diameter of the hole"),
            "share": Parameter(0.002, 0.0001, 1.0, "-", "share of the gas that enters the chamber"),
            "grow_s": GROW,
            "blower_m3h": Parameter(400.0, 0.0, 5000.0, "m3/h", "air blown through the chamber after the repair"),
        },
        "gas",
        (Sight("methane", 0.1), Sight("gas_pressure", -0.05), Sight("gas_flow", 0.2, share=True)),
    ),
    "regulator_drowned": Kind(
        "Water stands over a district regulator and gets into its vent: it shuts, and its district has no gas.",
        "a regulator with a flow sensor",
        {},
        "gas",
        (Sight("gas_flow", -0.5, share=True),),
    ),
    "biogas": Kind(
        "A hot spell with little wind over a manhole in which sludge lies: biogas, slow and steady, and no leak.",
        "a manhole with a methane sensor",
        {
            "warmer_k": Parameter(10.0, 0.0, 20.0, "K", "how much warmer the air is than usual; sewers follow"),
            "sludge": Parameter(4.0, 1.0, 20.0, "-", "how many times the usual biogas its deposits give off"),
            "calm": Parameter(0.5, 0.05, 1.0, "-", "share of the usual ventilation that the wind leaves"),
            "grow_s": Parameter(10_800.0, 0.0, 40 * 86_400.0, "s", "time in which the heat comes"),
        },
        "drainage",
        (Sight("methane", 0.1),),
    ),
}

WATER: dict[str, Kind] = {
    "burst": Kind(
        "A water main bursts: an orifice in the middle of the pipe.",
        "a water pipe",
        {"hole_mm": Parameter(100.0, 5.0, 300.0, "mm", "diameter of the hole"), "grow_s": GROW},
        "water",
        (Sight("pressure", -1.0),),
    ),
    "leak": Kind(
        "A water pipe leaks a share of what the whole network uses on average: an orifice of that size. It is "
        "counted as visible when it takes 2 % of that, which the meter at the inlet shows at night.",
        "a water pipe",
        {"share": Parameter(0.05, 0.001, 0.5, "-", "share of the network's mean inflow"), "grow_s": GROW},
        "water",
    ),
    "valve_closed": Kind(
        "A valve is closed by mistake: nothing passes the pipe.",
        "a water pipe",
        {},
        "water",
        (Sight("flow", -0.5, share=True), Sight("pressure", -1.0)),
    ),
    "contamination": Kind(
        "Dirty water is pressed into a pipe by a wrong connection: chlorine falls and turbidity rises downstream.",
        "a water pipe",
        {
            "inflow_m3h": Parameter(25.0, 0.1, 500.0, "m3/h", "how much comes in"),
            "turbidity_ntu": Parameter(40.0, 0.1, 4000.0, "NTU", "how dirty it is"),
            "grow_s": GROW,
        },
        "water",
        (Sight("turbidity", 0.5), Sight("residual_chlorine", -0.1)),
    ),
}

DRAINAGE: dict[str, Kind] = {
    "blockage": Kind(
        "A sewer is blocked: sewage backs up behind it.",
        "a conduit",
        {
            "closed": Parameter(
                1.0, 0.05, 1.0, "-", "share of the section closed; in dry weather little shows below 0.9"
            ),
            "grow_s": GROW,
        },
        "drainage",
        (Sight("level", 0.1),),
    ),
    "inflow": Kind(
        "Water that should not be there enters a manhole: a pumped-out pit, an illegal connection.",
        "a manhole",
        {"inflow_m3h": Parameter(200.0, 1.0, 20_000.0, "m3/h", "how much"), "grow_s": GROW},
        "drainage",
        (Sight("level", 0.05),),
    ),
    "gully_clogged": Kind(
        "Gullies are clogged with leaves: rain that falls on the street cannot get down and stands there.",
        "a place with a ponding sensor",
        {
            "clogged": Parameter(0.9, 0.05, 1.0, "-", "share of the gullies' capacity that is gone"),
            "area_ha": Parameter(0.4, 0.01, 20.0, "ha", "street and yards that drain to them"),
        },
        "drainage",
        (Sight("ponding_depth", 0.03),),
    ),
    "storm": Kind(
        "A Chicago design storm over the whole town, as long as the event lasts.",
        "",
        {
            "depth_mm": Parameter(35.0, 0.5, 300.0, "mm", "rain in all, where no return period is given"),
            "return_years": Parameter(0.0, 0.0, 1000.0, "a", "return period from which the depth follows; 0: none"),
            "peak_share": Parameter(0.4, 0.05, 0.95, "-", "when the peak comes, as a share of the duration"),
        },
        "drainage",
        (Sight("rain", 2.0),),
    ),
}

PUMPS: dict[str, Kind] = {
    "pump_failure": Kind(
        "A pump stops, or runs and moves nothing. At a wet well it is visible when the level stands 0.05 m above the "
        "one at which the pump should have started.",
        PUMP,
        {"runs": Parameter(0.0, 0.0, 1.0, "-", "0: it stands still; 1: it runs and moves nothing")},
        "",
        (Sight("level", 0.05), Sight("pressure", -1.0)),
    ),
    "power_cut": Kind(
        "No electricity at a pump: it stops, and the gateway of its device lives on its battery.",
        PUMP,
        {},
        "",
        (Sight("battery", -0.2), Sight("level", 0.05), Sight("pressure", -1.0)),
    ),
}

DEVICES: dict[str, Kind] = {
    "gateway_dead": Kind(
        "A gateway loses its connection without a word: its last will is published and every device behind it falls "
        "silent; when it comes back it delivers what was stored meanwhile.",
        "a gateway",
        {},
        nature=Nature.DEVICE,
    ),
    "silence": Kind("A device says nothing any more, and forgets what it would have said.", DEVICE, {},
                    nature=Nature.DEVICE),
    "clock_skew": Kind(
        "A device's clock is wrong, and goes further wrong.",
        DEVICE,
        {
            "skew_s": Parameter(120.0, -86_400.0, 86_400.0, "s", "by how much, ahead where positive"),
            "drift_s_per_day": Parameter(0.0, -3600.0, 3600.0, "s/day", "and how much more each day"),
        },
        nature=Nature.DEVICE,
    ),
    "garbage": Kind("Broken firmware: a device sends bytes that are no reading.", DEVICE, {}, nature=Nature.DEVICE),
}  # fmt: skip

FAULTS: dict[str, Kind] = {
    "flatline": Kind("A sensor is stuck at its last value.", SENSOR, {}, nature=Nature.FAULT),
    "noise": Kind(
        "A sensor becomes noisy: a loose contact, a wet cable.",
        SENSOR,
        {"times": Parameter(12.0, 2.0, 1000.0, "-", "how many times its usual noise")},
        nature=Nature.FAULT,
    ),
    "drift": Kind(
        "A sensor drifts away in a straight line while the event lasts.",
        SENSOR,
        {"size": SIZE},
        nature=Nature.FAULT,
    ),
    "jumps": Kind(
        "A sensor jumps up and back now and then.",
        SENSOR,
        {"size": SIZE, "every_s": Parameter(120.0, 5.0, 86_400.0, "s", "mean time between two jumps")},
        nature=Nature.FAULT,
    ),
    "offset": Kind(
        "Somebody shifts what a sensor tells by a constant (cyber tampering).",
        SENSOR,
        {"size": SIZE},
        nature=Nature.TAMPERING,
    ),
    "replay": Kind(
        "Somebody records what a sensor tells and from then on plays it over and over, so that nothing is seen of what "
        "really happens (cyber tampering).",
        SENSOR,
        {"record_s": Parameter(600.0, 30.0, 7 * 86_400.0, "s", "for how long it is recorded before it is played")},
        nature=Nature.TAMPERING,
    ),
}

KINDS: dict[str, Kind] = {**GAS, **WATER, **DRAINAGE, **PUMPS, **DEVICES, **FAULTS}
"""Every kind of event by its name in scenario files."""
