"""Load: a whole site from its files; every mistake at once, each with file, line, key and what to do."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.channels import ChannelTable
from config.errors import SettingsError
from config.forms import fill
from config.load import _read, is_centre, read_centre, read_gateway, read_settings, read_site, settings_hash
from config.profiles import ProfileFile
from config.settings import CentreSettings, GatewaySettings
from config.tomlfile import TomlFile

SIGNING = "whsec_" + "QUJDREVGR0hJSktMTU5PUA=="
SITE = """\
[site]
id = "north"
channels = "channels.csv"
"""
MODBUS = """
[[source]]
kind = "modbus"
host = "10.0.0.1"
place = "a"
profile = "gas_rtu"
"""
CHANNELS = "channel,medium,place,quantity,unit,period_s\na.pressure,gas,a,pressure,kPa,1\n"


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WL_TOKEN", "token-1234")
    monkeypatch.setenv("WL_SIGN", SIGNING)


def site(tmp_path: Path, text: str, channels: str = CHANNELS) -> Path:
    (tmp_path / "channels.csv").write_text(channels, "utf-8")
    path = tmp_path / "gateway.toml"
    path.write_text(text, "utf-8")
    return path


def mistakes(path: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refusal:
        read_site(path)
    return refusal.value.mistakes


def test_a_small_site_is_read_with_its_defaults(tmp_path: Path) -> None:
    settings = read_gateway(site(tmp_path, SITE + MODBUS))

    assert (settings.site.timezone, settings.site.warmup_s) == ("Asia/Shanghai", 3 * 86400)
    assert settings.site.channels == tmp_path / "channels.csv"
    assert settings.site.data == tmp_path / "data"
    assert (settings.source[0].kind, settings.source[0].options["host"]) == ("modbus", "10.0.0.1")
    assert settings.source[0].where == "gateway.toml:5: source[0]"
    assert (settings.influxdb, settings.archive, settings.centre) == (None, None, None)


def test_a_source_is_built_from_its_table(tmp_path: Path) -> None:
    source = read_gateway(site(tmp_path, SITE + MODBUS)).source[0].build()
    assert (source.host, source.port, source.profile.name) == ("10.0.0.1", 502, "gas_rtu")


def test_a_profile_of_ones_own_lies_beside_the_settings(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "config/profiles/gas_rtu.toml").read_text("utf-8")
    (tmp_path / "mine.toml").write_text(text, "utf-8")
    read = read_site(site(tmp_path, SITE + MODBUS.replace("gas_rtu", "./mine.toml")))
    assert read.sources[0].profile.name == "mine"


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = read_gateway(site(tmp_path, SITE))
    with pytest.raises(ValueError, match="frozen"):
        settings.site.id = "other"


def test_every_mistake_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    settings = """\
[site]
id = "no blanks please"
timezone = "Asia/Shangai"
chanels = "channels.csv"
warmup_s = "long"

[[source]]
kind = "modbus"
hots = "10.0.0.1"
place = "a"
profile = "gasrtu"

[[source]]
kind = "modbuss"

[[watching]]
kind = "jump"
warning = 0.9
alarm = 0.5
lesons = 3

[influxdb]
url = "influx"
bucket = 5
token = "in the open"

[[sources]]
"""
    assert [
        mistake.split(": ")[0] + ": " + mistake.split(": ")[1]
        for mistake in mistakes(site(tmp_path, settings))
    ] == [
        "gateway.toml:1: site.channels",
        "gateway.toml:2: site.id",
        "gateway.toml:3: site.timezone",
        "gateway.toml:4: site.chanels",
        "gateway.toml:5: site.warmup_s",
        "gateway.toml:7: source[0].host",
        "gateway.toml:9: source[0].hots",
        "gateway.toml:11: source[0].profile",
        "gateway.toml:14: source[1].kind",
        "gateway.toml:19: watching[0].alarm",
        "gateway.toml:20: watching[0].lesons",
        "gateway.toml:23: influxdb.url",
        "gateway.toml:24: influxdb.bucket",
        "gateway.toml:25: influxdb.token",
        "gateway.toml:27: sources",
    ]


def test_mistakes_of_the_lists_are_told_with_those_of_the_settings(tmp_path: Path) -> None:
    settings = SITE.replace('"north"', '"the north"') + 'links = "links.csv"\n'
    told = mistakes(site(tmp_path, settings, CHANNELS.replace("kPa", "kpa")))
    assert [mistake.partition(": ")[0] for mistake in told] == ["gateway.toml:2", "channels.csv:2"]


def test_a_list_that_is_not_there_is_told_at_its_key(tmp_path: Path) -> None:
    path = site(tmp_path, SITE.replace("channels.csv", "none.csv"))
    assert mistakes(path) == (f"gateway.toml:3: site.channels: there is no file {tmp_path}/none.csv",)


def test_a_source_that_feeds_no_channel_is_a_mistake(tmp_path: Path) -> None:
    told = mistakes(site(tmp_path, SITE + MODBUS.replace('place = "a"', 'place = "b"')))
    assert told[0].startswith('gateway.toml:5: source[0]: no channel of channels.csv belongs to place "b"')


def test_a_watching_that_fits_no_channel_is_warned_of(tmp_path: Path) -> None:
    watching = '\n[[watching]]\nkind = "jump"\nchannels = "water.*"\n'
    assert read_site(site(tmp_path, SITE + watching)).warnings == (
        'gateway.toml:5: watching[0].channels: no channel fits "water.*"',
    )


def test_options_stand_beside_the_kind_or_in_a_table_of_their_own(tmp_path: Path) -> None:
    beside = SITE + '[[watching]]\nkind = "jump"\nlessons = 90\n'
    below = SITE + '[[watching]]\nkind = "jump"\n[watching.options]\nlessons = 90\n'
    for text in (beside, below):
        assert read_gateway(site(tmp_path, text)).watching[0].options == {"lessons": 90}
    told = mistakes(site(tmp_path, below.replace("90", "true")))
    assert told == ("gateway.toml:7: watching[0].options.lessons: must be a whole number, not true",)
    both = below.replace('kind = "jump"\n', 'kind = "jump"\nlessons = 80\n')
    assert "stands both in options and beside them" in mistakes(site(tmp_path, both))[0]


def test_wristbands_have_a_bucket_and_a_token_of_their_own(tmp_path: Path) -> None:
    influx = SITE + '[influxdb]\nurl = "http://x"\nbucket = "a"\n'
    for more, told in (
        ('wristband_bucket = "w"', "go together"),
        (
            'wristband_bucket = "a"\nwristband_token = { env = "WL_TOKEN" }',
            "must not be the bucket of all else",
        ),
    ):
        assert told in mistakes(site(tmp_path, influx + more))[0]


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (told,) = mistakes(site(tmp_path, SITE + '[influxdb]\nurl = "http://me:hunter2@x"\nbucket = "a"\n'))
    assert "must not hold a user or password" in told
    assert "hunter2" not in told


def test_two_notifiers_need_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "wl_pagers"
    folder.mkdir()
    code = "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Pager:\n    number: str\n"
    (folder / "pager.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    pager = '[[notifier]]\nkind = "wl_pagers.pager"\nnumber = "1"\n'

    told = mistakes(site(tmp_path, SITE + pager + pager))

    taken = '"wl_pagers.pager" is the notifier of line 4 already; give each its own name'
    assert told == (f"gateway.toml:7: notifier[1].name: {taken}",)
    named = SITE + pager + 'name = "night"\n' + pager + 'name = "day"\n'
    assert [one.label for one in read_gateway(site(tmp_path, named)).notifier] == ["night", "day"]


def test_a_notifier_may_not_be_called_what_the_centre_is_called(tmp_path: Path) -> None:
    centre = '[centre]\nurl = "http://c"\nsecret = { env = "WL_SIGN" }\n'
    webhook = (
        '[[notifier]]\nkind = "webhook"\nurl = "http://w"\nsecret = { env = "WL_SIGN" }\nname = "centre"\n'
    )
    (told,) = mistakes(site(tmp_path, SITE + centre + webhook))
    assert told.startswith('gateway.toml:11: notifier[0].name: "centre" is what [centre] is called')


CENTRE = """\
[listen]
port = 8443
[store]
path = "casebook.sqlite"
[[gateway]]
id = "north"
secret = { env = "WL_SIGN" }
"""


def test_a_centre_is_read(tmp_path: Path) -> None:
    path = tmp_path / "centre.toml"
    path.write_text(CENTRE, "utf-8")
    centre = read_centre(path)
    assert (centre.listen.host, centre.listen.port) == ("127.0.0.1", 8443)
    assert centre.store.path == tmp_path / "casebook.sqlite"
    assert centre.gateway[0].secret.reveal() == SIGNING
    assert SIGNING not in repr(centre) + str(centre.model_dump()) + centre.model_dump_json()


def test_two_gateways_of_one_id_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "centre.toml"
    path.write_text(CENTRE + CENTRE[CENTRE.index("[[gateway]]") :], "utf-8")
    with pytest.raises(SettingsError, match='"north" is the gateway of line 5 already'):
        read_centre(path)


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    path = tmp_path / "centre.toml"
    path.write_text(CENTRE.replace("port = 8443", 'certificate = "c.pem"'), "utf-8")
    with pytest.raises(SettingsError, match=r"centre\.toml:1: listen: certificate and key go together"):
        read_centre(path)


def test_files_are_told_apart_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "any.toml"
    path.write_text(CENTRE, "utf-8")
    assert isinstance(read_settings(path), CentreSettings)
    assert isinstance(read_settings(site(tmp_path, SITE)), GatewaySettings)
    assert not is_centre({})
    assert not is_centre({"notifier": []})


def hash_of(tmp_path: Path, settings: str, channels: str = CHANNELS) -> str:
    return read_site(site(tmp_path, settings, channels)).hash


def test_the_hash_follows_what_decides_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = SITE + '[influxdb]\nurl = "http://x"\nbucket = "a"\ntoken = { env = "WL_TOKEN" }\n'
    first = hash_of(tmp_path, token)

    monkeypatch.setenv("WL_TOKEN", "another")
    assert hash_of(tmp_path, "# a remark\n" + token) == first
    (tmp_path / "moved").mkdir()
    assert hash_of(tmp_path / "moved", token) == first
    assert hash_of(tmp_path, token.replace('"north"', '"south"')) != first
    assert hash_of(tmp_path, token, CHANNELS.replace(",1\n", ",2\n")) != first
    channels: ChannelTable = read_site(tmp_path / "gateway.toml").channels
    louder = ChannelTable([replace(channels[0], high=5.0)])
    assert settings_hash(None, channels) != settings_hash(None, louder)


WORDS = (
    "id channels kind options host profile secret env file url bucket token alarm warning hold_s place zzz"
)
NAMES = st.sampled_from(
    [*GatewaySettings.model_fields, *CentreSettings.model_fields, *WORDS.split(" "), "a b", ""]
)
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(
        ["modbus", "mqtt", "jump", "gas_rtu", "5s", "", "a.b", "../x", "*", "WL_SIGN", "config.load"]
    ),
    st.text(max_size=5),
    st.dates(),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(NAMES, ANYTHING, max_size=6))
def test_nothing_that_toml_can_say_makes_the_reader_crash(data: dict[str, Any]) -> None:
    file = TomlFile(Path("any.toml"), data, {})
    for read in (lambda: _read(GatewaySettings, file), lambda: _read(CentreSettings, file)):
        try:
            read()
        except SettingsError as error:
            assert error.mistakes
            assert all(mistake.startswith("any.toml:1: ") for mistake in error.mistakes)
    try:
        fill(ProfileFile, data, file.mistake)
    except SettingsError as error:
        assert error.mistakes


def test_reading_settings_imports_nothing_slow() -> None:
    code = "import sys, config.settings, config.load; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    slow = {
        "pyarrow",
        "scipy",
        "influxdb_client",
        "numba",
        "starlette",
        "rich",
        "apscheduler",
        "pymodbus",
        "paho",
    }
    assert not slow & set(loaded)
