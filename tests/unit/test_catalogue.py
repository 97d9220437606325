"""The catalogue is data, checked when it is read."""

import pytest

from lifeline.catalogue import load_catalogue, parse_catalogue, shipped_catalogue
from lifeline.errors import CatalogueError

GOOD = """
[network.heat]
en = "Heat"
zh = "供热"
[quantity.temperature]
en = "Temperature"
zh = "温度"
unit = "degC"
networks = ["heat"]
range = [-50, 250]
resolution = 0.1
max_silence_s = 900
max_rate = 5
"""


def test_the_shipped_catalogue_has_the_three_networks_and_their_main_quantities():
    catalogue = shipped_catalogue()
    assert set(catalogue.networks) == {"gas", "water", "drainage"}
    assert {"methane", "pressure", "level", "rain", "h2s", "battery", "signal"} <= set(catalogue.quantities)


def test_every_shipped_quantity_has_names_in_both_languages_and_a_unit():
    for quantity in shipped_catalogue().quantities.values():
        assert quantity.en
        assert quantity.zh
        assert quantity.unit
        assert quantity.zh != quantity.en


def test_a_new_network_is_an_entry_and_not_code(tmp_path):
    path = tmp_path / "catalogue.toml"
    path.write_text(GOOD, encoding="utf-8")
    catalogue = load_catalogue(path)
    assert catalogue.networks["heat"].zh == "供热"
    assert catalogue.quantities["temperature"].high == 250


def test_a_channel_may_carry_a_suffix():
    catalogue = shipped_catalogue()
    assert catalogue.quantity_of("pressure.outlet") is catalogue.quantities["pressure"]
    assert catalogue.quantity_of("nonsense.outlet") is None


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("range = [-50, 250]", "range = [250, -50]", "empty"),
        ("range = [-50, 250]", "range = [1]", "unpack"),
        ('unit = "degC"', "", "'unit' is missing"),
        ('networks = ["heat"]', 'networks = ["cold"]', "unknown networks"),
        ("max_rate = 5", "max_rate = 0", "above zero"),
        ("resolution = 0.1", 'resolution = "fine"', "could not convert"),
        ("[quantity.temperature]", '[quantity."temperature.x"]', "dot"),
        ("[network.heat]", "[network.heat", "not TOML"),
        ('zh = "供热"', "", "missing"),
    ],
)
def test_a_wrong_catalogue_is_refused_and_says_where(old, new, complaint):
    with pytest.raises(CatalogueError, match=complaint):
        parse_catalogue(GOOD.replace(old, new))


def test_a_catalogue_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(CatalogueError, match="No such file"):
        load_catalogue(tmp_path / "none.toml")
