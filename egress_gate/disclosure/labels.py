"""Names and labels leave with the table, so they are plain, short, and no two columns share one."""

from __future__ import annotations

import unicodedata

from egress_gate.disclosure.errors import UnknownColumn, refused

MAX_WORD, MAX_WORDS = 60, 1200


def unique_names(names: list[str]) -> None:
    folded = [name.casefold() for name in names]
    twice = sorted({n for n in folded if folded.count(n) > 1})
    if twice:
        raise UnknownColumn(
            f"Two columns are called {twice[0]}.",
            why="The file that leaves needs one name for each.",
            do="Rename one with AS.",
        )
    plain_words(names)
    hidden = [n for n in names if n.startswith("__")]
    if hidden:
        raise refused(
            f"the name {hidden[0]}", "Names that start with two underscores are the gate's own.", "Choose another name."
        )


def plain_words(words: list[str]) -> None:
    """Names and labels leave with the table, so they are short and hold nothing invisible. Raises DerivationRefused."""
    for word in words:
        visible = all(
            c.isprintable() and unicodedata.category(c) not in ("Cf", "Cc", "Zl", "Zp", "Co", "Cn") for c in word
        )
        if len(word) > MAX_WORD or not visible:
            raise refused(
                "a label like this",
                f"Labels leave with the table: at most {MAX_WORD} visible characters.",
                "Use a short plain label.",
            )
    if sum(len(word) for word in words) > MAX_WORDS:
        raise refused(
            "this much text in labels",
            f"Labels leave with the table: {MAX_WORDS} characters in all.",
            "Use fewer, shorter labels.",
        )
