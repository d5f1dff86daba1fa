"""Admission: who may look at whose people; each look, and each refusal, is on the record."""

from alerts.centre.accounts import Account
from alerts.centre.desk import Desk
from alerts.centre.people.directory import Directory

SEEN, REFUSED = "city.linkage.people.seen.v1", "city.linkage.people.refused.v1"


class OutOfArea(Exception):
    """Somebody asked beyond the area that they are kept to."""

    def __init__(self, area: str, org: str) -> None:
        self.area, self.org = area, org
        super().__init__(f"your account is kept to {area}; {org} lies outside of it")


class Admission:
    """By the area of the account; one without sees the whole district."""

    def __init__(self, desk: Desk, directory: Directory) -> None:
        self.desk = desk
        self.directory = directory

    async def admit(self, account: Account, org: str, what: str) -> None:
        """OutOfArea where `org` lies outside the account's area."""
        if not self.directory.inside(org, account.area):
            reason = f"{what} of {org}: outside {account.area}"
            await self.desk.note(REFUSED, actor=account.name, reason=reason)
            raise OutOfArea(account.area, org)
        await self.desk.note(SEEN, actor=account.name, reason=f"{what} of {org}")
