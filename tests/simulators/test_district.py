"""The demo district, as its gateway reads it."""

import tomllib
from pathlib import Path

from config.load import read_channels, read_gateway, read_links
from config.profiles import read_profile
from gateway.registers import plan
from simulators.district import demo_district, main
from simulators.site import read_site


def test_it_is_a_whole_district_with_chinese_nominal_values() -> None:
    channels = demo_district().channels

    assert 45 <= len(channels) <= 65
    assert len(channels.places) == 16
    assert set(channels.zone) == {"north", "centre", "south"}
    assert set(channels.medium) == {"gas", "water", "power", "wristband"}
    nominal = dict(zip(channels.ids, channels.nominal))
    assert nominal["power.centre.market.voltage_a"] == 220
    assert nominal["gas.centre.regulator.outlet_pressure"] == 2.0
    assert nominal["gas.centre.regulator.pressure"] == 200
    assert nominal["water.north.inlet.pressure"] == 300


def test_one_period_for_all_or_what_is_usual_for_each_device() -> None:
    assert set(demo_district(10.0).channels.period_s) == {10.0}
    usual = demo_district().channels
    assert set(usual.period_s) == {60.0, 300.0}
    for place in usual.places:
        assert len({usual.period_s[number] for number in usual.at_place(place)}) == 1


def test_what_it_writes_can_be_read_back(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path), "--period", "10", "--site", "here", "--modbus-port", "5021"]) == 0

    district = demo_district(10.0)
    channels, warnings = read_channels(tmp_path / "channels.csv")
    links, more = read_links(tmp_path / "links.csv", channels)
    assert (channels.channels, links) == (district.channels.channels, district.links)
    assert warnings == more == []
    site = read_site(tmp_path)
    assert (site.id, len(site.devices)) == ("here", 12)
    assert {device.port for device in site.devices} == {5021}


def test_its_gateway_settings_are_valid(tmp_path: Path) -> None:
    demo_district(10.0).write(tmp_path, site="demo", modbus_port=5020, mqtt_port=1884)

    settings = read_gateway(tmp_path / "gateway.toml")

    assert settings.site.id == "demo"
    assert [source.kind for source in settings.source] == ["modbus"] * 12 + ["mqtt"]
    assert tomllib.loads((tmp_path / "gateway.toml").read_text())["source"][-1]["port"] == 1884


def test_every_fixed_channel_is_a_point_of_its_device() -> None:
    district = demo_district()
    fed = {
        number
        for place, profile, _ in district.devices
        for block in plan(read_profile(profile), place, district.channels)
        for number in block.channel.tolist()
    }

    assert fed == {number for number, medium in enumerate(district.channels.medium) if medium != "wristband"}
