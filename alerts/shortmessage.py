"""Shortmessage: how many SMS a text becomes, and a text shortened until it is one.

A text of the default alphabet alone is sent as GSM-7, any other as UCS-2. One SMS carries 140 octets: 160
septets or 70 UTF-16 units; of a text in several parts each gives 6 octets to the number of the part: 153
or 67. Sources: 3GPP TS 23.038 (alphabets), 23.040 §9.2.3.24.1 (parts).
"""

from dataclasses import dataclass

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")  # two septets each: an escape goes before
ALONE = {"GSM-7": 160, "UCS-2": 70}  # units of a text that is one SMS
IN_PARTS = {"GSM-7": 153, "UCS-2": 67}  # units of each part of a longer one


@dataclass(frozen=True, slots=True)
class Size:
    """What a text takes. units: septets of GSM-7, UTF-16 units of UCS-2."""

    alphabet: str
    units: int
    parts: int

    @property
    def most(self) -> int:
        """Units that one SMS of this alphabet holds."""
        return ALONE[self.alphabet]


def size_of(text: str) -> Size:
    """How a text is sent; no character is torn between two parts."""
    alphabet = "GSM-7" if set(text) <= BASIC | EXTENDED else "UCS-2"
    each = [_units(sign, alphabet) for sign in text]
    if sum(each) <= ALONE[alphabet]:
        return Size(alphabet, sum(each), 1)
    parts, room = 1, IN_PARTS[alphabet]
    for units in each:
        if units > room:
            parts, room = parts + 1, IN_PARTS[alphabet]
        room -= units
    return Size(alphabet, sum(each), parts)


def in_one(front: str, end: str) -> str:
    """`front` and `end` as one SMS: what is too long is left out of `front`, where `...` then says so."""
    if size_of(front + end).parts == 1:
        return front + end
    fitting, too_long = 0, len(front)
    while too_long - fitting > 1:  # more of `front` never takes less
        middle = (fitting + too_long) // 2
        fits = size_of(f"{front[:middle]}...{end}").parts == 1
        fitting, too_long = (middle, too_long) if fits else (fitting, middle)
    found = f"{front[:fitting].rstrip()}...{end}"
    return found if size_of(found).parts == 1 else in_one(end, "")


def _units(sign: str, alphabet: str) -> int:
    if alphabet == "UCS-2":
        return 2 if ord(sign) > 0xFFFF else 1
    return 2 if sign in EXTENDED else 1
