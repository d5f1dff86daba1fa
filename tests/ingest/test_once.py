"""What is worked out once is kept, by each object for itself."""

from dataclasses import dataclass

from ingest.once import once


@dataclass(frozen=True)
class Word:
    text: str

    @once
    def letters(self) -> list[str]:
        """Its letters."""
        return list(self.text)


def test_it_is_worked_out_once_for_each_object() -> None:
    one, other = Word("leak"), Word("seal")

    assert one.letters is one.letters
    assert (one.letters, other.letters) == (list("leak"), list("seal"))
