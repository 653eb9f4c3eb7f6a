"""What a column may identify, judged from its name and a sample of its values; a person confirms. Pure.

A value counts only when it passes its kind's own check (the check digit of an identity number, Luhn for cards), so that a
column of long numbers is not taken for one of identity numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from provisioning.domain.classification import Classification

DIRECT = "direct"
QUASI = "quasi"
SENSITIVE = "sensitive"
_ENOUGH = 0.6
_SOME = 0.02

_PROVINCES = frozenset(
    str(first * 10 + second)
    for first, seconds in (
        (1, "12345"),
        (2, "123"),
        (3, "1234567"),
        (4, "123456"),
        (5, "01234"),
        (6, "12345"),
        (7, "1"),
        (8, "123"),
    )
    for second in map(int, seconds)
)
_SURNAMES = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武莫孔向汤"
)
_COMPOUND = ("欧阳", "司马", "上官", "诸葛", "东方", "皇甫", "尉迟", "公孙", "令狐", "慕容", "司徒", "夏侯")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True)
class Proposal:
    """``role``: direct, quasi or sensitive; ``share`` of the sampled values that are of this kind, in per cent."""

    column: str
    kind: str
    role: str
    share: int
    masking: str

    def facts(self) -> dict[str, str | int]:
        return dict(vars(self))


def identity_number(value: str) -> bool:
    """A resident identity number (GB 11643): province, a date that existed, and the right check digit."""
    text = value.strip().upper()
    if not re.fullmatch(r"[1-9][0-9]{16}[0-9X]", text) or text[:2] not in _PROVINCES:
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    check = sum(int(digit) * weight for digit, weight in zip(text, _WEIGHTS, strict=False)) % 11
    return born.year >= 1850 and "10X98765432"[check] == text[17]


def mobile_number(value: str) -> bool:
    return re.fullmatch(r"(\+?86)?1[3-9][0-9]{9}", re.sub(r"[ -]", "", value.strip())) is not None


def bank_card(value: str) -> bool:
    """Thirteen to nineteen digits that satisfy Luhn's check and begin as cards do; never an identity number."""
    text = re.sub(r"[ -]", "", value.strip())
    if not re.fullmatch(r"[3-6][0-9]{12,18}", text) or len(set(text)) < 3 or identity_number(text):
        return False
    digits = [int(character) for character in reversed(text)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def plate_number(value: str) -> bool:
    text = re.sub(r"[·. ]", "", value.strip().upper())
    provinces = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
    return re.fullmatch(rf"[{provinces}][A-HJ-NP-Z][A-HJ-NP-Z0-9]{{4,5}}[A-HJ-NP-Z0-9挂学警港澳]", text) is not None


def mail_address(value: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}", value.strip()) is not None


def chinese_name(value: str) -> bool:
    text = value.strip()
    if not 2 <= len(text) <= 4 or not all("\u4e00" <= character <= "\u9fff" for character in text):
        return False
    return text[0] in _SURNAMES or text.startswith(_COMPOUND)


def postal_address(value: str) -> bool:
    text = value.strip()
    return len(text) >= 8 and len(re.findall(r"省|市|区|县|镇|乡|街|路|巷|号|室|栋|单元|村", text)) >= 3


_KINDS: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    ("identity number", identity_number, "pseudonym"),
    ("mobile number", mobile_number, "drop"),
    ("bank card", bank_card, "drop"),
    ("number plate", plate_number, "drop"),
    ("mail address", mail_address, "drop"),
    ("postal address", postal_address, "drop"),
    ("person's name", chinese_name, "drop"),
)
# By the column's name: kind, role, masking. Values decide over names where both speak.
_NAMED: tuple[tuple[str, str, str, str], ...] = (
    (r"身份证|证件号|id_?card|passport|护照|ssn|社保号|social_security", "identity number", DIRECT, "pseudonym"),
    (r"姓名|^name$|full_?name|first_?name|last_?name|surname", "person's name", DIRECT, "drop"),
    (r"手机|电话|phone|mobile|^tel$", "telephone number", DIRECT, "drop"),
    (r"邮箱|e_?mail", "mail address", DIRECT, "drop"),
    (r"住址|地址|address|street", "postal address", DIRECT, "drop"),
    (r"银行卡|卡号|card_?(no|number)|iban|账号", "bank card", DIRECT, "drop"),
    (r"车牌|plate", "number plate", DIRECT, "drop"),
    (r"出生|生日|birth|^dob$|born", "date of birth", QUASI, "truncate"),
    (r"年龄|^age$|(^|_)age($|_)", "age", QUASI, "bins"),
    (r"性别|^sex$|gender|^male$|^female$", "sex", QUASI, ""),
    (r"邮编|zip|postal|postcode|行政区|区县|街道|county|district|city|城市|region", "place", QUASI, "prefix"),
    (r"民族|ethnic|race|国籍|nationality|婚姻|marital|职业|occupation|学历|education", "trait", QUASI, ""),
    (r"诊断|疾病|病|diagnos|icd|disease|illness|death|hiv|药|drug|medication", "health", SENSITIVE, ""),
    (r"收入|工资|salary|income|余额|balance|纳税|tax|贷款|loan|信用|credit", "money", SENSITIVE, "clip"),
    (r"宗教|religion|政治|political|犯罪|crime|offen[cs]e|生物|biometric|基因|gene", "special", SENSITIVE, ""),
)


def propose(column: str, values: Sequence[str]) -> Proposal | None:
    """What the column looks like, from its name and sampled values that are not missing; None when like nothing."""
    best: Proposal | None = None
    for kind, test, rule in _KINDS:
        share = sum(map(test, values)) / len(values) if values else 0.0
        if share >= _ENOUGH or (share >= _SOME and kind not in ("person's name", "bank card")):
            found = Proposal(column, kind, DIRECT, round(100 * share), rule if share >= _ENOUGH else "redact")
            best = max(best, found, key=lambda p: p.share) if best else found
    return best or _by_name(column)


def classification_of(proposals: Sequence[Proposal]) -> Classification:
    """The level to start the talk from: people named or described make data sensitive, with what hurts them restricted."""
    roles = {proposal.role for proposal in proposals}
    if DIRECT in roles and SENSITIVE in roles:
        return Classification.RESTRICTED
    if roles & {DIRECT, SENSITIVE} or sum(proposal.role == QUASI for proposal in proposals) >= 3:
        return Classification.SENSITIVE
    return Classification.INTERNAL


def _by_name(column: str) -> Proposal | None:
    for pattern, kind, role, rule in _NAMED:
        if re.search(rf"(?<![a-z])(?:{pattern})", column, re.IGNORECASE):
            return Proposal(column, kind, role, 0, rule)
    return None
