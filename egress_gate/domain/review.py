"""What a reviewer said about one revision. One review each; a verdict always has a reason in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from egress_gate.domain.request import Party, Verb
from installation.fault import Fault

MAX_REASON = 4_000


class ReviewVerdict(StrEnum):
    APPROVE = "approve"
    RETURN = "return"
    REJECT = "reject"


VERB_OF = {
    ReviewVerdict.APPROVE: Verb.APPROVE,
    ReviewVerdict.RETURN: Verb.RETURN,
    ReviewVerdict.REJECT: Verb.REJECT,
}


class ReviewRefused(Fault):
    code = "review-refused"


@dataclass(frozen=True)
class Review:
    reviewer: str
    verdict: ReviewVerdict
    reason: str

    def facts(self) -> dict[str, str]:
        return {"reviewer": self.reviewer, "verdict": self.verdict.value}


def checked_note(item: str, verdict: ReviewVerdict, note: str) -> str:
    """What is said of one output. Raises ReviewRefused for a return without its question or a reject without its reason."""
    text = note.strip()
    if not text and verdict is not ReviewVerdict.APPROVE:
        wanted = "question" if verdict is ReviewVerdict.RETURN else "reason"
        raise ReviewRefused(
            f"The verdict on {item} has no {wanted}.",
            why="The author must know what to change in this output.",
            do=f"Write the {wanted} beside it and send the review again.",
        )
    return checked_reason(text) if text else ""


def checked_reason(reason: str) -> str:
    """The reason without surrounding space. Raises ReviewRefused when there is none or too much of it."""
    text = reason.strip()
    if not text:
        raise ReviewRefused(
            "The review has no reason.",
            why="The author, the auditor and you in a year need to know why.",
            do="Write one sentence and send it again.",
        )
    if len(text) > MAX_REASON or "\x00" in text:
        raise ReviewRefused(
            "The reason is too long.",
            why=f"At most {MAX_REASON} characters are kept.",
            do="Shorten it and send it again.",
        )
    return text


def checked_reviewer(reviewer: str, author: str, earlier: Iterable[Review]) -> None:
    """Four eyes, whatever policy says: never the author, never the same person twice."""
    if reviewer == author:
        raise ReviewRefused(
            "You cannot review this request.",
            why="You are its author, and nobody approves their own request.",
            do="Ask another steward to review it.",
        )
    if any(r.reviewer == reviewer for r in earlier):
        raise ReviewRefused(
            "You have already reviewed this revision.",
            why="Each reviewer is counted once, so that two approvals are two people.",
            do="Wait for the other reviewers, or for a new revision.",
        )


def parties_of(person: str, groups: Iterable[str], author: str) -> frozenset[Party]:
    """What `person` is to a request by `author`. The author is never a reviewer, however many groups they are in."""
    held = set(groups)
    found: set[Party] = set()
    if person == author:
        found.add(Party.AUTHOR)
    elif "stewards" in held:
        found.add(Party.REVIEWER)
    if "admins" in held and person != author:
        found.add(Party.ADMIN)
    if "auditors" in held:
        found.add(Party.AUDITOR)
    return frozenset(found)
