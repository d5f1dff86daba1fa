"""Reference: docs/configuration.md says what the code says, and its examples can be read."""

import re
from pathlib import Path

import pytest

from config.load import read_centre, read_site
from config.reference import EXAMPLES, reference
from config.settings import CentreSettings, GatewaySettings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
SIGNING = "whsec_" + "QUJDREVGR0hJSktMTU5PUA=="


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the examples take from the environment."""
    for path in EXAMPLES.glob("*.toml"):
        for name in re.findall(r'env = "(\w+)"', path.read_text("utf-8")):
            monkeypatch.setenv(name, SIGNING)


def test_the_committed_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == reference(), "run: python -m config.reference > docs/configuration.md"


def test_each_field_of_each_table_is_explained() -> None:
    for form in (GatewaySettings, CentreSettings):
        for table in form.model_fields.values():
            assert table.description
    rows = [line for line in reference().splitlines() if line.startswith("| `") and line.count(" | ") == 3]
    assert len(rows) > 60
    settings = reference().partition("## Kinds of")[0]
    unexplained = [line for line in settings.splitlines() if line.startswith("| `") and line.endswith("|  |")]
    assert unexplained == []


@pytest.mark.usefixtures("secrets")
def test_the_complete_gateway_example_is_a_site_that_could_start() -> None:
    site = read_site(EXAMPLES / "gateway.toml")

    assert site.warnings == ()
    assert {entry.kind for entry in site.settings.source} == {"modbus", "mqtt"}
    assert set(GatewaySettings.model_fields) == site.settings.model_fields_set
    assert set(site.channels.media) == {"gas", "water", "power", "wristband"}
    assert len(site.links) == 1
    assert len(site.planned) == 2


@pytest.mark.usefixtures("secrets")
def test_the_complete_centre_example_knows_the_gateway_example() -> None:
    centre = read_centre(EXAMPLES / "centre.toml")
    site = read_site(EXAMPLES / "gateway.toml")

    assert set(CentreSettings.model_fields) == centre.model_fields_set
    assert centre.gateway[0].id == site.settings.site.id
    assert site.settings.centre is not None
    assert centre.gateway[0].secret == site.settings.centre.secret
