"""SensorThings as its clients see it: frost-sta-client reads the city, and OData's options mean what they say."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import frost_sta_client
import pytest
import requests

from api.sensorthings import ROOT
from lifeline.catalogue import shipped_catalogue
from lifeline.model import Role
from lifeline.storage.database import connect
from lifeline.storage.sensorthings import SETS
from tests.api_process import Api, running_api
from tests.integration.city import add_reading
from tests.integration.town import build, empty

READINGS = 30
START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture(scope="module")
def town(database_dsn: str) -> dict[str, int]:
    """Sensor ids by network. The gas sensor has thirty readings more, 0 to 29, a minute apart."""
    empty(database_dsn)
    with connect(database_dsn) as connection:
        ids = build(connection)
        connection.execute("DELETE FROM reading")
        for n in range(READINGS):
            add_reading(connection, ids["gas"], START + timedelta(minutes=n), float(n), quality=2 if n == 3 else 0)
    return ids


@pytest.fixture(scope="module")
def api(database_dsn: str, town: dict[str, int]) -> Iterator[Api]:
    with running_api(database_dsn) as process:
        yield process


def ask(api: Api, path: str, **options: str) -> Any:
    answer = api.get(f"{ROOT}/{path}", params={f"${name}": value for name, value in options.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def results(api: Api, path: str, **options: str) -> list[float]:
    return [each["result"] for each in ask(api, path, **options)["value"]]


def local(api: Api, address: str) -> str:
    assert address.startswith(f"{api.url}{ROOT}/"), address
    return address.removeprefix(f"{api.url}{ROOT}/")


# ------------------------------------------------------------------------------------------------------ a real client


@pytest.mark.filterwarnings("ignore:furl.pathstr is deprecated")
def test_frost_sta_client_reads_things_datastreams_and_observations(api: Api, town: dict[str, int]) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {api.key(Role.VIEWER)}"
    service = frost_sta_client.SensorThingsService(f"{api.url}{ROOT}")
    service.execute = lambda method, url, **more: session.request(method, str(url), timeout=10, **more)
    things = service.things().query().list().entities
    assert {each.name for each in things} == {"rtu-gas", "rtu-water", "rtu-drainage"}
    stream = service.datastreams().find(town["gas"])
    assert stream.unit_of_measurement.symbol == "%VOL"
    newest = stream.get_observations().query().orderby("phenomenonTime", "desc").top(5).list().entities
    assert [each.result for each in newest][:5] == [29, 28, 27, 26, 25]


# ------------------------------------------------------------------------------------------------------------ paths


def test_the_root_lists_every_set_and_each_can_be_read(api: Api) -> None:
    told = api.get(ROOT).json()
    assert {each["name"] for each in told["value"]} == set(SETS)
    for each in told["value"]:
        page = ask(api, local(api, each["url"]), top="3", count="true")
        assert len(page["value"]) == min(3, page["@iot.count"])


def test_every_link_of_every_entity_leads_somewhere(api: Api) -> None:
    seen = 0
    for name, known in SETS.items():
        for entity in ask(api, name, top="1")["value"]:
            assert ask(api, local(api, entity["@iot.selfLink"]))["@iot.id"] == entity["@iot.id"]
            for link, leads in known.links.items():
                below = ask(api, local(api, entity[f"{link}@iot.navigationLink"]))
                assert ("value" in below) == leads.many
                seen += 1
    assert seen > 10


def test_a_path_is_walked_as_far_as_it_goes(api: Api, town: dict[str, int]) -> None:
    sensor = town["gas"]
    thing = ask(api, f"Datastreams({sensor})/Thing")
    assert ask(api, f"Things({thing['@iot.id']})/Datastreams({sensor})/ObservedProperty")["@iot.id"] == "methane"
    assert ask(api, f"Datastreams({sensor})/ObservedProperty/Datastreams({sensor})/Thing/name") == {"name": "rtu-gas"}
    value = api.get(f"{ROOT}/Things({thing['@iot.id']})/name/$value")
    assert value.text == "rtu-gas"
    assert value.headers["content-type"].startswith("text/plain")
    refs = ask(api, f"Things({thing['@iot.id']})/Datastreams/$ref")["value"]
    assert refs == [{"@iot.selfLink": f"{api.url}{ROOT}/Datastreams({sensor})"}]


def test_an_observation_leads_back_to_where_it_was_made(api: Api, town: dict[str, int]) -> None:
    [last] = ask(api, f"Datastreams({town['gas']})/Observations", orderby="phenomenonTime desc", top="1")["value"]
    assert last["result"] == READINGS - 1
    assert last["phenomenonTime"] == (START + timedelta(minutes=READINGS - 1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    there = local(api, last["@iot.selfLink"])
    assert ask(api, there) == last
    assert ask(api, f"{there}/Datastream")["@iot.id"] == town["gas"]
    assert ask(api, f"{there}/FeatureOfInterest")["feature"]["type"] == "Point"


@pytest.mark.parametrize(
    "path",
    [
        "Nothings", "Things(999999)", "Things('x')", "Things(1", "Things/name", "Datastreams(1)/Nothing", "things", "",
        "/",
        "Things(99999999999999999999)", "Observations('x')", "Observations('1-99999999999999999')", "Things($ref)",
        "Things/$ref/x", "ObservedProperties('no')",
    ],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_404(path: str, api: Api) -> None:
    assert api.get(f"{ROOT}/{path}").status_code == 404


def test_an_asset_without_a_sensor_is_no_feature_of_interest(api: Api, town: dict[str, int]) -> None:
    assert len(ask(api, "FeaturesOfInterest")["value"]) == len(town)


# ---------------------------------------------------------------------------------------------------------- options


def test_pages_follow_each_other_to_the_end(api: Api, town: dict[str, int]) -> None:
    where: str | None = f"Datastreams({town['gas']})/Observations?$top=7&$orderby=phenomenonTime"
    seen: list[float] = []
    while where:
        page = ask_raw(api, where)
        seen += [each["result"] for each in page["value"]]
        where = local(api, page["@iot.nextLink"]) if "@iot.nextLink" in page else None
    assert seen == [float(n) for n in range(READINGS)]


def ask_raw(api: Api, path: str) -> Any:
    answer = api.get(f"{ROOT}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("result gt 27", [28, 29]),
        ("result ge 28 and not (result eq 29)", [28]),
        ("result lt 1 or result eq 5", [0, 5]),
        ("result add 1 eq 3", [2]),
        ("result mod 10 eq 0", [0, 10, 20]),
        ("result div 0 eq 1", []),
        ("result in (1,2,77)", [1, 2]),
        ("-result eq -4", [4]),
        ("round(result div 10) eq 3", [26, 27, 28, 29]),
        ("resultQuality eq 'implausible'", [3]),
        ("startswith(resultQuality,'impl')", [3]),
        ("substringof('plaus',resultQuality)", [3]),
        ("endswith(toupper(resultQuality),'SIBLE') and length(resultQuality) eq 11", [3]),
        ("resultQuality eq '%' or resultQuality eq '''; DROP TABLE reading --'", []),
        ("result eq null", []),
        ("year(phenomenonTime) eq 1999", []),
        ("phenomenonTime gt now()", []),
    ],
)
def test_a_filter_means_what_it_says(condition: str, expected: list[float], api: Api, town: dict[str, int]) -> None:
    found = results(api, f"Datastreams({town['gas']})/Observations", filter=condition, orderby="result")
    assert found == expected


def test_time_is_a_filter(api: Api, town: dict[str, int]) -> None:
    since = (START + timedelta(minutes=28)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert results(api, f"Datastreams({town['gas']})/Observations", filter=f"phenomenonTime ge {since}") == [28, 29]


def test_the_id_behind_a_link_is_a_filter(api: Api, town: dict[str, int]) -> None:
    found = ask(api, "Datastreams", filter="ObservedProperty/id eq 'methane'")["value"]
    assert [each["@iot.id"] for each in found] == [town["gas"]]
    assert results(api, "Observations", filter=f"Datastream/id eq {town['gas']} and result gt 28") == [29]


@pytest.mark.parametrize(
    "options",
    [
        {"filter": "result gt 'x'"}, {"filter": "result"}, {"filter": "colour eq 1"}, {"filter": "result gt"},
        {"filter": "result gt null"}, {"filter": "year(result) eq 1"}, {"filter": "geo.distance(result,result) lt 1"},
        {"filter": "matchesPattern(resultQuality,'(a+)+$')"},
        {"filter": "result eq " + "1" * 2000}, {"filter": "not " * 400 + "result eq 1"}, {"filter": "result eq 1e999e"},
        {"filter": "Datastream/name eq 'x'"}, {"filter": "resultQuality in ('good',1)"},
        {"orderby": "colour"}, {"orderby": "result sideways"}, {"select": "colour"}, {"expand": "Things"},
        {"expand": "Datastream($top=x)"}, {"expand": "Datastream($colour=1)"}, {"expand": "Datastream("},
        {"expand": "Datastream/Thing/Datastreams/Thing/Datastreams"}, {"top": "-1"}, {"skip": "x"}, {"colour": "1"},
        {"resultFormat": "csv"},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_400_and_says_why(options: dict[str, str], api: Api, town: dict[str, int]) -> None:
    answer = api.get(
        f"{ROOT}/Datastreams({town['gas']})/Observations", params={f"${name}": value for name, value in options.items()}
    )
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "psycopg" not in answer.text
    assert "SELECT" not in answer.text


def test_select_leaves_out_what_was_not_asked_for(api: Api, town: dict[str, int]) -> None:
    shown = ask(api, f"Datastreams({town['gas']})", select="name,Thing")
    assert set(shown) == {"@iot.id", "@iot.selfLink", "name", "Thing@iot.navigationLink"}


def test_expand_brings_what_links_lead_to_each_with_options_of_its_own(api: Api, town: dict[str, int]) -> None:
    asked = "Datastreams($select=name;$expand=Observations($top=2;$orderby=result desc;$filter=result lt 20)),Locations"
    for thing in ask(api, "Things", expand=asked)["value"]:
        assert len(thing["Locations"]) == 1
        for stream in thing["Datastreams"]:
            found = [each["result"] for each in stream["Observations"]]
            assert found == ([19, 18] if stream["@iot.id"] == town["gas"] else [])
            if found:
                where = local(api, stream["Observations@iot.nextLink"])
                assert len(ask_raw(api, where)["value"]) == 2


def test_expand_takes_a_path_as_well(api: Api, town: dict[str, int]) -> None:
    stream = ask(api, f"Datastreams({town['gas']})", expand="Thing/Locations,ObservedProperty")
    assert stream["Thing"]["Locations"][0]["location"]["type"] == "Point"
    assert stream["ObservedProperty"]["@iot.id"] == "methane"


def test_a_data_array_says_the_same_in_less(api: Api, town: dict[str, int]) -> None:
    path = f"Datastreams({town['gas']})/Observations"
    [array] = ask(api, path, resultFormat="dataArray", select="phenomenonTime,result", top="4")["value"]
    assert array["components"] == ["id", "phenomenonTime", "result"]
    assert array["dataArray@iot.count"] == 4
    plain = ask(api, path, top="4")["value"]
    assert array["dataArray"] == [[each["@iot.id"], each["phenomenonTime"], each["result"]] for each in plain]
    assert array["Datastream@iot.navigationLink"] == f"{api.url}{ROOT}/Datastreams({town['gas']})"


def test_every_quantity_of_the_catalogue_is_an_observed_property(api: Api) -> None:
    found = {each["@iot.id"] for each in ask(api, "ObservedProperties")["value"]}
    assert found == set(shipped_catalogue().quantities)


def test_nobody_reads_without_a_key(api: Api) -> None:
    for path in ("", "/Things", "/Observations"):
        assert api.get(ROOT + path, role=None).status_code == 401
    assert api.call("POST", f"{ROOT}/Things", Role.ADMIN, json={"name": "x"}).status_code in (404, 405)
