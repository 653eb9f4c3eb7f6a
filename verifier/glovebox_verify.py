#!/usr/bin/env python3
"""Verify a Glovebox release, dataset certificate or exported ledger, offline, with this one file and Python's standard library.

    python3 glovebox_verify.py RELEASE.zip  --key KEY [--ledger LEDGER.jsonl]
    python3 glovebox_verify.py CERTIFICATE.json --key KEY [--ledger LEDGER.jsonl]
    python3 glovebox_verify.py LEDGER.jsonl --key KEY [--kept CHECKPOINTS]

KEY is the installation's public key (``name+id+base64``) or a file that holds it. Get it from the installation's people,
not from the file you check. Exit status: 0 everything holds, 1 something does not, 2 the question was wrong.

Written apart from Glovebox's own code, after docs/reference/ledger.md and docs/reference/certificate.md; Python 3.8 or later.
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import struct
import sys
import zlib
from pathlib import Path

MAX_FILE, MAX_MEMBERS, MAX_LINE, MAX_DEPTH = 1 << 30, 2000, 1 << 18, 32
MAX_CERTIFICATE = 1 << 26
CERTIFICATE_BEGINS = b'{"format":'


class Wrong(Exception):
    """What does not hold, in plain words."""


# ---- Ed25519 (RFC 8032), verification only ----------------------------------------------------------------------------
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
ZERO = (0, 1, 1, 0)


def add(a, b):
    """Points in extended coordinates (X, Y, Z, T)."""
    x1, y1, z1, t1 = a
    x2, y2, z2, t2 = b
    m, n = (y1 - x1) * (y2 - x2) % P, (y1 + x1) * (y2 + x2) % P
    c, d = 2 * t1 * t2 * D % P, 2 * z1 * z2 % P
    e, f, g, h = n - m, d - c, d + c, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def decompress(data):
    """The point, or None when ``data`` is not the one encoding of a point."""
    number = int.from_bytes(data, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if (v * x * x - u) % P:
        x = x * ROOT % P
    if (v * x * x - u) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def compress(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, "little")


def table(point):
    """16 multiples for each of 64 hexadecimal digits: then a multiplication is 64 additions."""
    rows = []
    for _ in range(64):
        row = [ZERO]
        for _ in range(15):
            row.append(add(row[-1], point))
        rows.append(row)
        point = add(row[-1], point)
    return rows


def times(rows, number):
    total = ZERO
    for row in rows:
        total = add(total, row[number & 15])
        number >>= 4
    return total


BASE = table(decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")))


class PublicKey:
    """A C2SP verifier key: ``name+hex key id+base64(0x01 || Ed25519 key)``."""

    def __init__(self, text):
        self.text = text.strip()
        name, _, rest = self.text.partition("+")
        key_id, _, encoded = rest.partition("+")
        material = one_base64(encoded)
        if not is_name(name) or material is None or len(material) != 33 or material[:1] != b"\x01":
            raise Wrong("the key is not an Ed25519 verifier key")
        self.name, self.raw = name, material[1:]
        self.key_id = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
        point = decompress(self.raw)
        if self.key_id.hex() != key_id or point is None:
            raise Wrong("the key's id does not belong to its name and key")
        x, y, z, t = point
        self.minus = table((P - x, y, z, P - t))

    def signed(self, message, signature):
        if len(signature) != 64:
            return False
        s = int.from_bytes(signature[32:], "little")
        if s >= ORDER:
            return False
        k = int.from_bytes(hashlib.sha512(signature[:32] + self.raw + message).digest(), "little") % ORDER
        return compress(add(times(BASE, s), times(self.minus, k))) == signature[:32]


# ---- signed notes and checkpoints (C2SP signed-note, tlog-checkpoint) -----------------------------------------------------
def one_base64(text):
    """The bytes, or None unless ``text`` is their one standard spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def is_name(name):
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)


def open_note(note, key, alone=False):
    """The text that ``key`` signed. ``alone``: no further signature may stand beside it."""
    text, blank, lines = note.rpartition("\n\n")
    text += "\n"
    if not blank or not lines.endswith("\n") or any((c < " " and c != "\n") or "\ud800" <= c <= "\udfff" for c in text):
        raise Wrong("it is not a signed note")
    signatures = lines[:-1].split("\n")
    if len(signatures) > (1 if alone else 100):
        raise Wrong("it carries too many signatures")
    found = []
    for line in signatures:
        name, blank, encoded = line[2:].partition(" ")
        blob = one_base64(encoded)
        if line[:2] != "\u2014 " or not blank or not is_name(name) or blob is None or len(blob) < 5:
            raise Wrong("a signature line is malformed")
        found.append((name, blob))
    for name, blob in found:
        if name == key.name and blob[:4] == key.key_id:
            if key.signed(text.encode(), blob[4:]):
                return text
            raise Wrong("its signature does not hold")
    raise Wrong(f"{key.name} did not sign it")


def open_checkpoint(note, key, alone=False):
    """(size, root) of a signed tree head."""
    lines = open_note(note, key, alone).split("\n")
    if len(lines) < 4 or lines[0] != key.name or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        raise Wrong("it is not a checkpoint of this log")
    root = one_base64(lines[2])
    if root is None or len(root) != 32:
        raise Wrong("its root is malformed")
    return int(lines[1]), root


# ---- the tree (RFC 6962) --------------------------------------------------------------------------------------------------
def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """Roots of the perfect subtrees, largest first."""

    def __init__(self):
        self.size, self.roots = 0, []

    def append(self, leaf):
        size = self.size
        while size & 1:
            leaf, size = node_hash(self.roots.pop(), leaf), size >> 1
        self.roots.append(leaf)
        self.size += 1

    def root(self):
        value = self.roots[-1] if self.roots else hashlib.sha256(b"").digest()
        for left in reversed(self.roots[:-1]):
            value = node_hash(left, value)
        return value


def root_by_path(leaf, index, size, path):
    """The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2)."""
    last = size - 1
    if not 0 <= index < size:
        raise Wrong("the entry's number is outside the tree")
    for sibling in path:
        if not last:
            raise Wrong("the inclusion proof is too long")
        if index & 1 or index == last:
            leaf = node_hash(sibling, leaf)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise Wrong("the inclusion proof is too short")
    return leaf


# ---- canonical JSON and entries ---------------------------------------------------------------------------------------------
def canonical(value):
    check_plain(value, 0)
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise Wrong("it holds what is not text") from None


def check_plain(value, depth):
    if depth > MAX_DEPTH:
        raise Wrong("it is nested too deeply")
    if isinstance(value, dict):
        for inner in value.values():
            check_plain(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            check_plain(inner, depth + 1)
    elif isinstance(value, float) or (isinstance(value, int) and abs(value) > 2**53):
        raise Wrong("it holds a number that is not kept exactly")


def read_json(data):
    """The value, when ``data`` is its canonical form."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise Wrong("it is not JSON") from None
    if canonical(value) != data:
        raise Wrong("it is not in canonical form")
    return value


def read_entry(body, seq):
    entry = read_json(body)
    shaped = (
        isinstance(entry, dict)
        and set(entry) == {"actor", "facts", "kind", "seq", "subject", "time", "v"}
        and entry["v"] == 1
        and type(entry["v"]) is int
        and type(entry["seq"]) is int
        and all(isinstance(entry[k], str) and entry[k] for k in ("actor", "kind", "time"))
        and re.fullmatch(r"[a-z_]+\.[a-z_]+", entry["kind"])
        and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry["time"])
        and isinstance(entry["facts"], dict)
        and isinstance(entry["subject"], dict)
        and entry["subject"]
        and all(re.fullmatch(r"[a-z][a-z_]*", k) for k in entry["subject"])
        and all(isinstance(v, str) and v for v in entry["subject"].values())
    )
    if not shaped:
        raise Wrong("its content is not an entry")
    if entry["seq"] != seq:
        raise Wrong(f"its content says it is entry {entry['seq']}")
    return entry


# ---- an exported ledger -------------------------------------------------------------------------------------------------------
def verify_ledger(path, key, kept, look=lambda entry: None):
    """(number of entries that hold, newest checkpoint). Raises Wrong, naming the first entry that does not hold.

    ``look`` is shown every entry; believe what it saw only when this returns.
    """
    remembered, tree, newest = {}, Tree(), ""
    for note in kept:
        size, root = open_checkpoint(note, key)
        if remembered.setdefault(size, root) != root:
            raise Wrong(f"Two kept checkpoints of {size} entries contradict each other: the log showed two histories")
    with open(path, "rb") as file:
        while True:
            line = file.readline(MAX_LINE)
            if not line:
                break
            number = tree.size
            try:
                newest, entry = take_line(line, tree, key)
                if remembered.get(tree.size, tree.root()) != tree.root():
                    raise Wrong("the log does not extend a checkpoint that was kept: its history was rewritten")
            except Wrong as wrong:
                raise Wrong(f"Entry {number}: {wrong}") from None
            look(entry)
    if max(remembered, default=0) > tree.size:
        raise Wrong(f"Entry {tree.size}: the log ends here, but a kept checkpoint covers {max(remembered)} entries")
    return tree.size, newest


def take_line(line, tree, key):
    """Check one line as the next entry, and append it."""
    try:
        found = json.loads(line.decode("utf-8"))
        body, leaf = base64.b64decode(found["body"], validate=True), bytes.fromhex(found["leaf"])
        seq, checkpoint = found["seq"], found["checkpoint"]
        again = {"seq": seq, "body": base64.b64encode(body).decode(), "leaf": leaf.hex(), "checkpoint": checkpoint}
        known = type(seq) is int and isinstance(checkpoint, str)
        known = known and (json.dumps(again, ensure_ascii=False) + "\n").encode("utf-8") == line
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise Wrong("its line is not one that an export writes")
    if seq != tree.size:
        raise Wrong(f"it is missing (the next entry found is {seq})")
    if leaf_hash(body) != leaf:
        raise Wrong("its content was altered: it does not hash to its leaf")
    after = Tree()
    after.size, after.roots = tree.size, list(tree.roots)
    after.append(leaf)
    if open_checkpoint(checkpoint, key) != (after.size, after.root()):
        raise Wrong("it was altered: the tree ending with it is not the one that was signed")
    entry = read_entry(body, seq)
    tree.size, tree.roots = after.size, after.roots
    return checkpoint, entry


def read_kept(path):
    text = Path(path).read_text("utf-8", "replace")
    notes = re.findall("(?:[^\n\u2014][^\n]*\n){3,}\n(?:\u2014 [^\n]+\n)+", text)
    if "".join(notes).replace("\n", "") != text.replace("\n", ""):
        raise Wrong("the file of kept checkpoints holds something else")
    return notes


# ---- a release ------------------------------------------------------------------------------------------------------------------
LOCAL, CENTRAL, END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")


def unpack(data):
    """The zip's members, when no byte of it could be otherwise."""
    members, folded, central, at = {}, set(), [], 0
    while data[at : at + 4] == b"PK\x03\x04":
        try:
            fields = LOCAL.unpack_from(data, at)
            encoded = data[at + LOCAL.size : at + LOCAL.size + fields[9]]
            name = encoded.decode("utf-8")
        except (struct.error, UnicodeDecodeError):
            raise Wrong("the zip breaks off") from None
        parts = name.split("/")
        if any(p in ("", ".", "..") for p in parts) or "\\" in name or ":" in name or not name.isprintable():
            raise Wrong("a name in the zip could be written outside its folder")
        if len(encoded) > 255 or name.casefold() in folded or len(members) >= MAX_MEMBERS:
            raise Wrong("a name stands twice in the zip, or it holds too much")
        start = at + LOCAL.size + len(encoded)
        content = data[start : start + fields[8]]
        flags = 0 if all(c < "\x80" for c in name) else 0x800
        shared = (20, flags, 0, 0, 33, zlib.crc32(content), len(content), len(content), len(encoded), 0)
        if data[at:start] != LOCAL.pack(b"PK\x03\x04", *shared) + encoded:
            raise Wrong(f"the header of {name} was altered, or the zip breaks off")
        central.append(CENTRAL.pack(b"PK\x01\x02", 3 << 8 | 20, *shared, 0, 0, 0, 0o100644 << 16, at) + encoded)
        members[name] = content
        folded.add(name.casefold())
        at = start + len(content)
    directory, count = b"".join(central), len(central)
    closing = directory + END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), at, 0)
    if not members or list(members) != sorted(members) or data[at:] != closing:
        raise Wrong("the zip's directory was altered, or it holds something beside its files")
    return members


def verify_release(data, key):
    """(statement, key). ``key`` None: the file's own key, which proves it whole but not who signed it."""
    members = unpack(data)
    statement, key, receipt, digest = open_certificate(members.pop("certificate.json", b""), key)
    check_receipt(receipt, digest, "request.released", "request", statement.get("request"), key)
    check_files(statement.get("files"), members)
    check_record(statement)
    return statement, key


# Format of the statement: the entry that records it, the noun in its subject, what leads its time and author, further texts.
DATASETS = {
    "glovebox-registration/1": ("dataset.registered", "version", "registered", ()),
    "glovebox-masking/1": ("dataset.masked", "version", "masked", ("from", "project", "recipe")),
    "glovebox-twin/1": ("dataset.twinned", "twin", "made", ("twin_of",)),
    "glovebox-destruction/1": ("dataset.destroyed", "version", "destroyed", ("reason",)),
}


def verify_dataset(data, key):
    """(statement, key, receipt) of a certificate of a dataset version; ``key`` as in `verify_release`."""
    if len(data) > MAX_CERTIFICATE:
        raise Wrong("the certificate is larger than one can be")
    statement, key, receipt, digest = open_certificate(data, key)
    if statement.get("format") not in DATASETS:
        raise Wrong("the statement has another format")
    kind, noun, verb, texts = DATASETS[statement["format"]]
    check_receipt(receipt, digest, kind, noun, statement.get("version"), key)
    need_texts(statement, "version", "digest", f"{verb}_at", f"{verb}_by", *texts)
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", statement[f"{verb}_at"]):
        raise Wrong("its time is malformed")
    tables = need_rows(statement, "tables")
    for table in tables:
        need_texts(table, "name")
    digests = [statement["digest"], *(table.get("digest", table.get("sha256")) for table in tables)]
    if not tables or not all(isinstance(d, str) and re.fullmatch("[0-9a-f]{64}", d) for d in digests):
        raise Wrong("it does not name its tables with their digests")
    return statement, key, receipt


def open_certificate(data, key):
    """(statement, key, receipt, digest of the statement) of what the key signed."""
    envelope = read_json(data)
    if not isinstance(envelope, dict) or set(envelope) != {"format", "key", "receipt", "signature", "statement"}:
        raise Wrong("the certificate is not one")
    texts = isinstance(envelope["key"], str) and isinstance(envelope["signature"], str)
    if envelope["format"] != "glovebox-certificate/1" or not texts or not isinstance(envelope["statement"], dict):
        raise Wrong("the certificate has another format")
    key = key or PublicKey(envelope["key"])
    if envelope["key"] != key.text:
        raise Wrong("the certificate names another key than the one you trust")
    statement = envelope["statement"]
    digest = hashlib.sha256(canonical(statement)).hexdigest()
    if open_note(envelope["signature"], key, alone=True) != f"glovebox-certificate/1\n{digest}\n":
        raise Wrong("another statement was signed")
    return statement, key, envelope["receipt"], digest


def look_up(path, key, kept, data, statement):
    """What a newer export says of the release. Raises Wrong unless it extends the release's own checkpoint, or if revoked."""
    receipt = json.loads(unpack(data)["certificate.json"])["receipt"]
    downloads, revoked = [], []

    def look(entry):
        if entry["subject"].get("request") == statement["request"] and entry["seq"] > receipt["seq"]:
            {"release.downloaded": downloads, "release.revoked": revoked}.get(entry["kind"], []).append(entry)

    size, newest = verify_ledger(path, key, [*kept, receipt["checkpoint"]], look)
    if revoked:
        first = revoked[0]
        raise Wrong(f"it was revoked: entry {first['seq']}, by {first['actor']} at {first['time']}")
    return size, newest, [{"person": e["actor"], "time": e["time"], "entry": e["seq"]} for e in downloads]


def look_up_version(path, key, kept, statement, receipt):
    """What a newer export says of the version: its destruction, if any. Raises Wrong unless it extends the certificate's own checkpoint."""
    destroyed = []

    def look(entry):
        if entry["kind"] == "dataset.destroyed" and entry["subject"].get("version") == statement["version"]:
            destroyed.append({"person": entry["actor"], "time": entry["time"], "entry": entry["seq"]})

    size, newest = verify_ledger(path, key, [*kept, receipt["checkpoint"]], look)
    return size, newest, destroyed


def check_receipt(receipt, digest, kind, noun, name, key):
    try:
        body, path, seq = one_base64(receipt["body"]), [bytes.fromhex(h) for h in receipt["path"]], receipt["seq"]
        shaped = set(receipt) == {"body", "checkpoint", "path", "seq"} and type(seq) is int and body is not None
        shaped = shaped and isinstance(receipt["checkpoint"], str) and [h.hex() for h in path] == receipt["path"]
        shaped = shaped and all(len(h) == 32 for h in path)
    except (ValueError, KeyError, TypeError):
        shaped = False
    if not shaped:
        raise Wrong("the receipt is malformed")
    size, root = open_checkpoint(receipt["checkpoint"], key, alone=True)
    if root_by_path(leaf_hash(body), seq, size, path) != root:
        raise Wrong("the ledger does not hold this entry: the inclusion proof leads elsewhere")
    entry = read_entry(body, seq)
    said = (entry["kind"], entry["facts"].get("certificate"), entry["subject"].get(noun))
    if said != (kind, digest, name):
        raise Wrong("the ledger entry records something else")


def check_files(listed, members):
    rows = [f for f in listed if isinstance(f, dict)] if isinstance(listed, list) else []
    signed = {str(f.get("name")): f for f in rows}
    if set(signed) != set(members) or len(signed) != len(rows):
        raise Wrong(f"the files are not those that were signed: {sorted(set(signed) ^ set(members))}")
    for name, data in members.items():
        if (hashlib.sha256(data).hexdigest(), len(data)) != (signed[name].get("sha256"), signed[name].get("bytes")):
            raise Wrong(f"{name} is not the file that was signed")


def check_record(statement):
    """The parts that a reader relies on are there and agree."""
    need_texts(statement, "request", "project", "author", "released_at")
    timed = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", statement["released_at"])
    if statement.get("format") != "glovebox-release/1" or type(statement.get("revision")) is not int or not timed:
        raise Wrong("the statement has another format")
    lineage, checks, reviews = (need_rows(statement, name) for name in ("lineage", "checks", "reviews"))
    for row in need_rows(statement, "files"):
        need_texts(row, "name")
    for row in [*lineage, *statement["files"]]:
        need_texts(row, "sha256")
        if not re.fullmatch("[0-9a-f]{64}", row["sha256"]):
            raise Wrong("a digest in the statement is malformed")
    for row in lineage:
        need_texts(row, "version")
    versions = [row["version"] for row in lineage]
    if not versions or not checks or len(set(versions)) != len(versions):
        raise Wrong("the statement names no data or no check, or a version twice")
    for check in checks:
        check_code(check, versions)
    for review in reviews:
        need_texts(review, "reviewer", "verdict", "at")
    check_decision(statement, reviews)


def check_code(check, versions):
    need_texts(check, "item", "checked_at")
    sql, digest, read = check.get("sql"), check.get("sql_sha256"), check.get("versions")
    if sql is not None and not isinstance(sql, str):
        raise Wrong("the code in the statement is not text")
    if digest != (None if sql is None else hashlib.sha256(sql.encode()).hexdigest()):
        raise Wrong(f"the digest of the code of {check['item']} is not that of its code")
    if not isinstance(read, list) or any(version not in versions for version in read):
        raise Wrong(f"{check['item']} comes from data that is not in the lineage")


def check_decision(statement, reviews):
    decision = statement.get("decision")
    need_texts(decision, "outcome", "engine", "policy")
    obligations = decision.get("obligations")
    needed = obligations.get("approvals") if isinstance(obligations, dict) else None
    if type(needed) is not int or decision["outcome"] not in ("release", "review"):
        raise Wrong("policy did not let it leave")
    if statement["author"] in {review["reviewer"] for review in reviews}:
        raise Wrong("its author reviewed it")
    approving = {review["reviewer"] for review in reviews if review["verdict"] == "approve"}
    if decision["outcome"] == "review" and len(approving) < max(needed, 1):
        raise Wrong("the approvals it needed are not in it")


def need_rows(statement, name):
    rows = statement.get(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise Wrong(f"the statement has no list of {name}")
    return rows


def need_texts(row, *names):
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) and row[name] for name in names):
        raise Wrong(f"the statement does not say its {', '.join(names)}")


# ---- the command ------------------------------------------------------------------------------------------------------------------
def read_key(text):
    if text is None:
        return None
    return PublicKey(text if text.count("+") >= 2 and "\n" not in text.strip() else Path(text).read_text("utf-8"))


OWN_KEY = "BUT this key came from the file itself: compare it with the one the installation's people gave you (--key)."


def say_release(statement, key, given):
    yield f"{statement['request']}, revision {statement['revision']}, project {statement['project']}: everything holds."
    yield f"released  {statement['released_at']} for {statement['author']}"
    yield from (f"data      {v['version']} sha256:{v['sha256']}" for v in statement["lineage"])
    yield f"policy    {statement['decision']['policy']}: {statement['decision']['outcome']}"
    yield from (f"review    {r['verdict']} by {r['reviewer']} at {r['at']}" for r in statement["reviews"])
    yield from (f"file      {f['name']} sha256:{f['sha256']}" for f in statement["files"])
    yield f"signed by {key.text}"
    if not given:
        yield OWN_KEY


def say_dataset(statement, key, given):
    kind, _, verb, texts = DATASETS[statement["format"]]
    yield f"{statement['version']}, {kind}: everything holds."
    yield f"done      {statement[verb + '_at']} by {statement[verb + '_by']}"
    yield from (f"{name:<9} {statement[name]}" for name in texts)
    yield f"data      sha256:{statement['digest']}"
    yield from (f"table     {t['name']} sha256:{t.get('digest', t.get('sha256'))}" for t in statement["tables"])
    yield f"signed by {key.text}"
    if not given:
        yield OWN_KEY


def answer_dataset(arguments, data, key, kept):
    statement, used, receipt = verify_dataset(data, key)
    given = key is not None
    facts = {"ok": True, "kind": "dataset", "key": used.text, "key_given": given, "statement": statement}
    lines = list(say_dataset(statement, used, given))
    if arguments.ledger:
        size, newest, destroyed = look_up_version(arguments.ledger, used, kept, statement, receipt)
        facts.update(entries=size, checkpoint=newest, destroyed=destroyed)
        lines += [f"destroyed by {d['person']} at {d['time']}, entry {d['entry']}" for d in destroyed]
        lines += [] if destroyed else [f"not destroyed in the ledger's {size} entries"]
    return facts, lines


def answer(arguments):
    """(facts, lines). Raises Wrong and OSError."""
    key, kept = read_key(arguments.key), read_kept(arguments.kept) if arguments.kept else []
    with open(arguments.file, "rb") as file:
        begins = file.read(len(CERTIFICATE_BEGINS))
        is_zip = begins[:2] == b"PK"
    if begins == CERTIFICATE_BEGINS:
        with open(arguments.file, "rb") as file:
            return answer_dataset(arguments, file.read(MAX_CERTIFICATE + 1), key, kept)
    if is_zip:
        with open(arguments.file, "rb") as file:
            data = file.read(MAX_FILE + 1)
        statement, used = verify_release(data, key)
        facts = {"ok": True, "kind": "release", "key": used.text, "key_given": key is not None, "statement": statement}
        lines = list(say_release(statement, used, key is not None))
        if arguments.ledger:
            size, newest, downloads = look_up(arguments.ledger, used, kept, data, statement)
            facts.update(entries=size, checkpoint=newest, downloads=downloads)
            lines += [f"download  by {d['person']} at {d['time']}, entry {d['entry']}" for d in downloads]
            lines.append(f"not revoked in the ledger's {size} entries")
        return facts, lines
    if key is None:
        raise Wrong("a ledger is verified with a key: give --key")
    size, newest = verify_ledger(arguments.file, key, kept)
    facts = {"ok": True, "kind": "ledger", "key": key.text, "key_given": True, "entries": size, "checkpoint": newest}
    return facts, [
        f"{size} entries: every hash, signature and checkpoint holds.",
        "Keep the newest checkpoint:",
        "",
        newest,
    ]


def shown(text):
    """Names in a file are other people's text: nothing in them moves the cursor or hides what was said."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description="Verify a Glovebox release (.zip), certificate (.json) or exported ledger (.jsonl), offline."
    )
    parser.add_argument("file")
    parser.add_argument("--key", help="the installation's public key, or a file that holds it")
    parser.add_argument("--kept", help="a file of checkpoints you kept: the ledger must extend each of them")
    parser.add_argument(
        "--ledger",
        help="with a release or certificate: a newer exported ledger, to see whether it was revoked or destroyed",
    )
    parser.add_argument("--json", action="store_true", help="answer as JSON")
    arguments = parser.parse_args(argv)
    try:
        facts, lines = answer(arguments)
    except Wrong as wrong:
        facts, lines = {"ok": False, "message": str(wrong)}, [f"DOES NOT HOLD: {wrong}."]
    except (OSError, UnicodeDecodeError) as error:
        parser.exit(2, f"{arguments.file} was not verified: {error}.\n")
    sys.stdout.write((json.dumps(facts) if arguments.json else shown("\n".join(lines))) + "\n")
    return 0 if facts["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
