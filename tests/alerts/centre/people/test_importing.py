"""Lists of people come in whole, every bad row is named, and a second import doubles nothing."""

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from alerts.centre.people.directory import Directory
from alerts.centre.people.importing import import_list
from config.errors import SettingsError
from tests.alerts.centre.people.district import bring, credit_code, organisations, people, settle, write


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "people.sqlite"
    bring(path, "organisations", list(organisations()))
    return path


def told(report_bad: object) -> str:
    return "\n".join(map(str, report_bad))  # type: ignore[call-overload]


def test_everybody_of_a_list_is_found_by_organisation_role_and_area(directory: Path) -> None:
    rows = list(people(100))
    rows.append({**rows[-1], "person": "helper", "areas": "510108002; 510108003"})

    report = bring(directory, "people", rows)

    assert (report.stored, report.bad) == (101, [])
    there = Directory(directory)
    assert [one.id for one in there.people_of("510108001", ["grid_1"])] == ["duty-510108001"]
    assert "helper" in [one.id for one in there.people_of("510108003")]
    assert there.person("helper").areas == ("510108002", "510108003")  # type: ignore[union-attr]
    assert [one.code for one in there.lineage("510108014002-01")] == [
        "510108014002-01", "510108014002", "510108014", "510108",
    ]  # fmt: skip
    assert directory.stat().st_mode & 0o077 == 0


def test_each_bad_row_is_named_by_file_row_column_and_what_to_do_and_the_good_ones_are_stored(
    directory: Path,
) -> None:
    good = list(people(60))[-1]
    rows = [
        good,
        {**good, "person": ""},
        {**good, "person": "w 1"},
        {**good, "person": "a", "role": "grid_4"},
        {**good, "person": "b", "org": "510109"},
        {**good, "person": "c", "contacts": "13800000000"},
        {**good, "person": "d", "role": "volunteer", "verified": "no"},
        {**good, "person": "e", "role": "duty", "contacts": ""},
        good,
    ]

    report = bring(directory, "people", rows)

    assert (report.stored, report.bad_rows) == (1, 8)
    said = [
        (3, "person", "missing; write it like w-00017"),
        (4, "person", '"w 1" must be 1 to 80 letters, digits or . _ - : @ without blanks'),
        (5, "role", '"grid_4" is not known; did you mean grid_3?'),
        (6, "org", "510109 is not among the organisations; import it there first, or correct it"),
        (7, "contacts", '"13800000000" must be written like sms:+8613800000000 or wecom:li.wei'),
        (8, "verified", "volunteers serve under their real name: verify it, then write yes"),
        (9, "contacts", "nobody can call this person; write at least one, such as sms:+8613800000000"),
        (10, "person", f"{good['person']} is in row 2 already; keep one of them"),
    ]
    assert [(one.row, one.column, one.text) for one in report.bad] == said
    assert str(report.bad[0]) == "people.csv: row 3: column person: missing; write it like w-00017"


def test_a_credit_code_with_one_changed_character_is_refused(directory: Path) -> None:
    right = credit_code(77)
    wrong = right[:9] + ("1" if right[9] != "1" else "2") + right[10:]
    rows = [
        {"code": "co-1", "kind": "owner", "name": "Co", "duty": "gas_company", "credit_code": right},
        {"code": "co-2", "kind": "owner", "name": "Co", "duty": "gas_company", "credit_code": wrong},
        {"code": "co-3", "kind": "owner", "name": "Co", "duty": "gas_company", "credit_code": ""},
    ]

    report = bring(directory, "organisations", rows)

    assert report.stored == 1
    assert "does not check" in told(report.bad)
    assert "an owner is known by its credit code" in told(report.bad)


def test_an_asset_of_an_unknown_owner_is_kept_and_said(directory: Path) -> None:
    asset = {"asset": "gas.a", "medium": "gas", "grid": "510108001001-01", "owner": credit_code(99)}

    report = bring(directory, "assets", [asset])

    assert report.stored == 1
    assert "is not among the organisations" in report.warnings[0]
    assert Directory(directory).asset("gas.a.riser.ch4") is not None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_list_is_read_in_whatever_encoding_offices_save_it(directory: Path, encoding: str) -> None:
    rows = list(people(60))

    report = import_list(directory, "people", write(directory.parent / "p.csv", rows, encoding))

    assert report.stored == 60
    assert Directory(directory).person("chief").name == "某chief"  # type: ignore[union-attr]


def test_bytes_of_another_encoding_cost_their_own_row_alone(directory: Path) -> None:
    path = write(directory.parent / "p.csv", list(people(60)))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7].replace("某".encode(), "李".encode("gb18030"))
    path.write_bytes(b"".join(lines))

    report = import_list(directory, "people", path)

    assert report.stored == 59
    assert "p.csv: row 8: column name: holds bytes that are not utf-8-sig" in told(report.bad)


def test_a_workbook_is_read_as_its_csv_would_be(directory: Path, tmp_path: Path) -> None:
    rows: list[list[object]] = [["person", "name", "org", "role", "contacts", "verified"]]
    rows.append(["w-1", "李伟", 510108001, "grid_3", "sms:13800000000", True])
    book = workbook(tmp_path / "people.xlsx", rows)

    report = import_list(directory, "people", book)

    assert report.bad == []
    person = Directory(directory).person("w-1")
    assert person is not None
    assert (person.org, person.name, person.verified) == ("510108001", "李伟", True)


def test_what_is_no_workbook_and_what_is_no_table_stops_the_import_in_a_line(directory: Path) -> None:
    folder = directory.parent
    (folder / "a.xlsx").write_bytes(b"PK not really")
    (folder / "b.csv").write_text("")
    (folder / "c.csv").write_text("person,nmae,org,role\n")
    (folder / "d.csv").write_text("pseudonym,grid,姓名\nr-1,510108001001-01,王\n")

    for name, kind, said in (
        ("a.xlsx", "people", "cannot be read as a workbook"),
        ("b.csv", "people", "is empty"),
        ("c.csv", "people", "no column name; did you mean nmae?"),
        ("d.csv", "residents", "by pseudonym alone; remove it"),
    ):
        with pytest.raises(SettingsError, match=said.replace("?", r"\?")):
            import_list(directory, kind, folder / name)


def test_the_same_list_again_changes_nothing_and_replace_forgets_who_left(directory: Path) -> None:
    rows = list(people(60))
    bring(directory, "people", rows)

    again = bring(directory, "people", rows)
    assert Directory(directory).counts()["people"] == 60
    shorter = bring(directory, "people", rows[:-2], replace=True)
    spoilt = bring(directory, "people", [*rows[:10], {**rows[0], "person": "x", "role": "?"}], replace=True)

    assert again.stored == 60
    assert shorter.dropped == 2
    assert spoilt.dropped == 0
    assert "nothing was removed" in spoilt.warnings[0]
    assert Directory(directory).counts()["people"] == 58


def test_a_dry_run_reports_and_stores_nothing(directory: Path) -> None:
    report = bring(directory, "people", list(people(60)), dry=True)

    assert (report.rows, report.stored) == (60, 0)
    assert Directory(directory).counts()["people"] == 0


def test_a_reader_sees_the_list_of_before_until_the_new_one_is_whole(directory: Path) -> None:
    bring(directory, "people", list(people(60)))
    there = Directory(directory)
    before = there.version

    bring(directory, "people", list(people(80)))

    assert there.counts()["people"] == 80
    assert there.version != before


def test_the_command_names_bad_rows_on_stderr_and_ends_with_2(tmp_path: Path) -> None:
    settle(tmp_path / "people.sqlite", 60)
    settings = tmp_path / "centre.toml"
    settings.write_text(
        '[store]\npath = "c.db"\n[people]\ndirectory = "people.sqlite"\ndesk = "hub"\nlast = "chief"\n'
    )
    cameras = [
        {
            "camera": "cam-1",
            "grid": "510108001001-01",
            "lat": 30.66,
            "lon": 104.12,
            "link": "https://v.example/1",
        },
        {
            "camera": "cam-2",
            "grid": "510108001001-01",
            "lat": 300,
            "lon": 104.12,
            "link": "https://u:p@v.example",
        },
    ]
    file = write(tmp_path / "cameras.csv", cameras)

    def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "gateway.cli", "import", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    done = run("cameras", file, "--centre", settings, "--report", tmp_path / "bad.csv")
    template = run("people", "--template")

    assert done.returncode == 2
    assert done.stdout == "cameras.csv (utf-8-sig): 2 rows, 1 stored, 1 bad\n"
    assert "cameras.csv: row 3: column lat: 300 lies outside -90 … 90 degrees" in done.stderr
    assert "holds a user or password" in done.stderr
    assert "Traceback" not in done.stderr
    assert len((tmp_path / "bad.csv").read_text("utf-8-sig").splitlines()) == 3
    assert template.stdout.startswith("person,name,org,role,contacts,skills,areas,verified\n") or (
        template.stdout.startswith("person,name,org,role,contacts,skills,areas,verified\r\n")
    )
    assert [one.id for one in Directory(tmp_path / "people.sqlite").cameras_near(30.6601, 104.1201)] == [
        "cam-1"
    ]


def workbook(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    """The least of an XLSX that spreadsheet programs read."""

    def cell(column: int, row: int, value: object) -> str:
        at = f"{chr(65 + column)}{row}"
        if isinstance(value, bool):
            return f'<c r="{at}" t="b"><v>{int(value)}</v></c>'
        if isinstance(value, int | float):
            return f'<c r="{at}"><v>{value}</v></c>'
        return f'<c r="{at}" t="inlineStr"><is><t>{value}</t></is></c>'

    sheet = "".join(
        f'<row r="{n}">{"".join(cell(c, n, value) for c, value in enumerate(row))}</row>'
        for n, row in enumerate(rows, start=1)
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    links = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{links}"><Relationship Id="r1" Type="{office}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="people" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{links}"><Relationship Id="r1"'
        f' Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as book:
        for name, text in parts.items():
            book.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)
    return path
