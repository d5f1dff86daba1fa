"""`watchline score`: a row out for a row in, as written, and a clear word about a file that can't be used."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from config.errors import InputError
from gateway.commands.score import score_file

HEADER = "timestamp,value\n"


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def scored(tmp_path: Path, text: str, **options: bool) -> list[dict[str, str]]:
    readings, out = tmp_path / "readings.csv", tmp_path / "scores.csv"
    readings.write_text(text, encoding="utf-8")
    rows = score_file(readings, out, **options)
    result = table(out)
    assert rows == len(result)
    return result


def test_every_row_comes_back_in_order_and_as_it_was_written(tmp_path: Path) -> None:
    rows = [
        "2014-04-10 00:04:00,91.958",
        "2014-04-10 00:04:00,94.798",
        "2014-04-09T23:00:00Z,92.208",
        "2014-05-01,1e3",
    ]
    result = scored(tmp_path, HEADER + "\n".join(rows) + "\n")

    assert [f"{row['timestamp']},{row['value']}" for row in result] == rows
    assert all(0 <= float(row["anomaly_score"]) <= 1 for row in result)


def test_scores_are_written_with_all_their_digits(tmp_path: Path) -> None:
    lines = [f"2026-01-05T{n // 60:02}:{n % 60:02}:00Z,{20 + n % 7 * 0.1 + n * 1e-4}" for n in range(600)]
    result = scored(tmp_path, HEADER + "\n".join(lines))

    assert all(repr(float(row["anomaly_score"])) == row["anomaly_score"] for row in result)
    assert len({row["anomaly_score"] for row in result[100:]}) > 50


def test_several_columns_give_one_score(tmp_path: Path) -> None:
    lines = [f"2026-01-05T00:{n // 60:02}:{n % 60:02},{n % 5},{n % 3}" for n in range(300)]
    lines[250] = "2026-01-05T00:04:10,0,77"
    result = scored(tmp_path, "timestamp,flow, pressure\n" + "\n".join(lines), multivariate=True)

    assert list(result[0]) == ["timestamp", "anomaly_score"]
    assert 250 <= max(range(300), key=lambda n: float(result[n]["anomaly_score"])) < 270


def test_missing_values_are_legal_and_score_nothing(tmp_path: Path) -> None:
    result = scored(tmp_path, HEADER + "2026-01-05,1\n2026-01-06,\n2026-01-07,NaN\n\n2026-01-08,2\n")

    assert [row["value"] for row in result] == ["1", "", "NaN", "2"]
    assert float(result[1]["anomaly_score"]) == float(result[2]["anomaly_score"]) == 0.0


def test_missing_times_are_legal_too(tmp_path: Path) -> None:
    lines = [f"2026-01-05T00:{n // 60:02}:{n % 60:02},{20 + n % 7 * 0.1 + n * 1e-4}" for n in range(300)]
    whole = scored(tmp_path, HEADER + "\n".join(lines))
    lines[200] = lines[200][lines[200].index(",") :]
    gappy = scored(tmp_path, HEADER + "\n".join(lines))

    assert gappy[200]["timestamp"] == ""
    assert [row["anomaly_score"] for row in gappy[:200]] == [row["anomaly_score"] for row in whole[:200]]
    assert float(gappy[200]["anomaly_score"]) == float(whole[200]["anomaly_score"])
    assert all(0 <= float(row["anomaly_score"]) <= 1 for row in scored(tmp_path, HEADER + ",1\n,2\n"))


@pytest.mark.parametrize(
    "text, said",
    [
        ("", r"readings\.csv:1: no column timestamp"),
        ("time,value\n", r"readings\.csv:1: no column timestamp among time, value"),
        ("timestamp,flow\n", r"readings\.csv:1: no column value.*--multivariate"),
        (HEADER + "2026-01-05,1\n2026-01-06,wet\n", r'readings\.csv:3: value: "wet" is not a number'),
        (HEADER + "yesterday,1\n", r'readings\.csv:2: timestamp: "yesterday" is not a time'),
        (HEADER + "2026-01-05,1,2\n", r"readings\.csv:2: 3 fields, the header has 2"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    readings, out = tmp_path / "readings.csv", tmp_path / "scores.csv"
    readings.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        score_file(readings, out)

    assert sorted(tmp_path.iterdir()) == [readings]


@pytest.mark.parametrize(
    ("multivariate", "header"), [(True, "timestamp,flow,flow"), (False, "timestamp,value,value")]
)
def test_two_columns_of_one_name_are_refused(tmp_path: Path, multivariate: bool, header: str) -> None:
    readings = tmp_path / "readings.csv"
    readings.write_text(f"{header}\n2026-01-05,1,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"readings\.csv:1: more than one column (flow|value); give each"):
        score_file(readings, tmp_path / "scores.csv", multivariate=multivariate)


def test_other_bad_files_are_refused_too(tmp_path: Path) -> None:
    latin, out = tmp_path / "latin.csv", tmp_path / "scores.csv"
    latin.write_bytes(HEADER.encode() + b"2026-01-05,\xff\n")
    with pytest.raises(InputError, match="not UTF-8"):
        score_file(latin, out)
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        score_file(tmp_path / "nowhere.csv", out)
    with pytest.raises(InputError, match="must not be the file that is read"):
        score_file(latin, latin)
    with pytest.raises(InputError, match=r"folder .* does not exist"):
        score_file(latin, tmp_path / "nowhere" / "scores.csv")
