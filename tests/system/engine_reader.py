# SPDX-License-Identifier: Apache-2.0
"""An extractor for the hiding engine's carriers, written from docs/engine.md and nothing else.

It is slow and says what it does in the page's terms; the numbers in comments are the page's sections. It shows that
the page is complete, so it is mended together with the page and never from the engine's sources.

    image = Image(columns, rows, bits_stored=12)
    payload, bits = extract(image, planes)      # planes: lists of samples, restored in place
"""
import zlib
from dataclasses import dataclass, field
from math import isqrt

import numpy as np

MARK_HEAD = 0xC5A719E23DB46F
MARK = 0xC5A719E23DB46F3C
MASK64 = (1 << 64) - 1


class Nothing(Exception):
    """The image carries nothing."""


class Altered(Exception):
    """It carries something that was changed since."""


def require(condition, what):
    if not condition:
        raise Altered(what)


# ---- 4. conventions ----

@dataclass
class Image:
    columns: int
    rows: int
    frames: int = 1
    components: int = 1
    bits_stored: int = 8
    signed: bool = False
    halved: bool = False  # YBR_FULL_422

    @property
    def low(self):
        return -(1 << (self.bits_stored - 1)) if self.signed else 0

    @property
    def high(self):
        return self.low + (1 << self.bits_stored) - 1

    def plane_columns(self, index):
        return self.columns // 2 if self.halved and index % self.components else self.columns


def W(n):
    return n.bit_length()


def clamp(v, a, b):
    return min(max(v, a), b)


def to_bytes(bits):
    bits = bits + [0] * (-len(bits) % 8)
    return bytes(int("".join(map(str, bits[i:i + 8])), 2) for i in range(0, len(bits), 8))


def field_bits(value, width):
    return [value >> (width - 1 - i) & 1 for i in range(width)]


class Reader:
    """Fields from the front of a string of bits."""

    def __init__(self, bits):
        self.bits, self.at = bits, 0

    def get(self, width):
        require(self.at + width <= len(self.bits), "a string is too short for what is in it")
        value = 0
        for bit in self.bits[self.at:self.at + width]:
            value = value * 2 + bit
        self.at += width
        return value

    def take(self, count):
        require(self.at + count <= len(self.bits), "a string is too short for what is in it")
        self.at += count
        return self.bits[self.at - count:self.at]

    def number(self):
        width = self.get(5)
        return 1 << (width - 1) | self.get(width - 1) if width else 0

    def rest(self):
        return self.take(len(self.bits) - self.at)


def whiten(bits, seed, stage):
    stream = []
    for i in range((len(bits) + 63) // 64):
        z = (seed << 56) + (stage << 48) + (i + 1) * 0x9E3779B97F4A7C15 & MASK64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK64
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK64
        word = z ^ z >> 31
        for k in range(8):
            stream += field_bits(word >> 8 * k & 255, 8)
    return [a ^ b for a, b in zip(bits, stream)]


class Chance:
    def __init__(self, q=32768, n=0):
        self.q, self.n = q, n

    def learn(self, bit):
        s = 2 + (self.n > 1) + (self.n > 5) + (self.n > 13) + (self.n > 60)
        q = self.q + (65536 - self.q >> s) if bit else self.q - (self.q >> s)
        self.q, self.n = clamp(q, 64, 65472), min(self.n + 1, 255)


class Decoder:
    """Decodes, and encodes again what it decoded."""

    def __init__(self, data):
        self.data, self.at = data, 0
        self.low, self.high, self.value = 0, 0xFFFFFFFF, 0
        self.again = bytearray()
        for _ in range(4):
            self.value = self.value << 8 | self.next_byte()

    def next_byte(self):
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def bit(self, chance):
        cut = self.low + ((self.high - self.low) * chance.q >> 16)
        bit = int(self.value <= cut)
        if bit:
            self.high = cut
        else:
            self.low = cut + 1
        chance.learn(bit)
        while self.low >> 24 == self.high >> 24:
            self.again.append(self.high >> 24)
            self.low = self.low << 8 & 0xFFFFFFFF
            self.high = (self.high << 8 | 255) & 0xFFFFFFFF
            self.value = (self.value << 8 | self.next_byte()) & 0xFFFFFFFF
        return bit

    def plain(self, width):
        value = 0
        for _ in range(width):
            value = value * 2 + self.bit(Chance())
        return value

    def spelling(self):
        """What the encoder writes for what was decoded so far."""
        for length in range(5):
            unit = 1 << (32 - 8 * length)
            value = (self.low + unit - 1) // unit * unit
            if value <= self.high:
                break
        return bytes(self.again + value.to_bytes(4, "big")[:length]).rstrip(b"\0")


# ---- 5. the run ----

@dataclass
class Lead:
    codec: str = "board"
    stages: int = 0
    bits: int = 0
    blob_bytes: int = 0
    seed: int = 0
    padding: tuple = None
    rectangle: tuple = None  # x, y, width, height, frame
    map_bytes: int = 0
    filled: bool = False
    count: int = 0
    part: bool = False
    first: int = 0
    total: int = 0
    fields: list = field(default_factory=list)  # mark and lead as they were read


@dataclass
class Plane:
    image: Image
    index: int
    v: list  # the samples
    lead: Lead = None
    still: list = None
    begin: int = 0  # of the run
    end: int = 0
    details: dict = field(default_factory=dict)  # for who wants to know what was in it

    def __post_init__(self):
        self.columns, self.rows = self.image.plane_columns(self.index), self.image.rows
        self.samples = self.columns * self.rows
        self.low, self.high = self.image.low, self.image.high
        self.still = [False] * self.samples

    def is_padding(self, x):
        return self.lead.padding is not None and self.lead.padding[0] <= x <= self.lead.padding[1]

    def may_hold(self, i):
        cleared = self.v[i] & ~1
        return not (self.still[i] or self.is_padding(cleared) or self.is_padding(cleared + 1))

    def in_run(self, i):
        return self.begin <= i < self.end


def find_mark(v):
    """The first sample of the mark; None when there is no mark."""
    window, nearly = 0, False
    for i, x in enumerate(v):
        window = (window << 1 | x & 1) & MASK64
        if i < 63:
            continue
        if window == MARK:
            return i - 63
        version = window >> 4 & 15
        foreign = window >> 8 == MARK_HEAD and window & 15 == version ^ 15
        nearly = nearly or foreign or (window ^ MARK).bit_count() <= 4
    require(not nearly, "nearly a mark")
    return None


def read_head(plane):
    """Mark, padding and rectangle; returns the sample behind them."""
    image, lead = plane.image, Lead()
    r = Reader([x & 1 for x in plane.v[plane.begin:]])
    r.get(64)
    if r.get(1):
        first = plane.low + r.get(W(plane.high - plane.low))
        span = 0
        if r.get(1):
            span = r.get(W(plane.high - plane.low))
            require(span, "an empty range")
        require(first + span <= plane.high, "padding above the range")
        lead.padding = (first, first + span)
    if r.get(1):
        x, width = r.get(W(image.columns)), r.get(W(image.columns))
        y, height = r.get(W(image.rows)), r.get(W(image.rows))
        frame = r.get(W(image.frames - 1))
        require(width and height and x + width <= image.columns and y + height <= image.rows
                and frame < image.frames, "a rectangle outside the image")
        lead.rectangle = (x, y, width, height, frame)
    lead.fields, plane.lead = r.bits[:r.at], lead
    return plane.begin + r.at


def read_rest(plane, at):
    """The rest of the lead, from sample `at` on; returns the sample behind it."""
    image, lead = plane.image, plane.lead
    holders = [i for i in range(at, plane.samples) if plane.may_hold(i)]
    r = Reader([plane.v[i] & 1 for i in holders])
    if r.get(1):
        lead.codec, lead.bits = "chain", r.number()
    else:
        lead.stages = 2 * r.get(2) + 2
        lead.bits = r.get(W(plane.samples))
        lead.blob_bytes = r.number()
    if r.get(1):
        lead.seed = r.get(8)
        require(lead.seed, "a seed of 0")
    if r.get(1):
        lead.map_bytes = r.number()
        require(lead.map_bytes, "an empty map")
    lead.filled = bool(r.get(1))
    lead.count = r.get(30) if lead.filled else 0
    if image.frames * image.components > 1:
        lead.part = bool(r.get(1))
    if lead.part:
        lead.first, lead.total = (r.get(30), r.get(30)) if lead.filled else (r.number(), r.number())
        require(lead.first <= lead.total, "a part behind the payload")
    lead.fields += r.bits[:r.at]
    return holders[r.at - 1] + 1


def exclude(plane):
    if plane.lead.rectangle is None:
        return
    x, y, width, height, frame = plane.lead.rectangle
    if plane.index // plane.image.components != frame:
        return
    first, last = x, x + width - 1
    if plane.columns != plane.image.columns:
        first, last = x // 2, (x + width + 1) // 2 - 1
    for row in range(y, y + height):
        for column in range(first, last + 1):
            plane.still[row * plane.columns + column] = True


def read_on(plane, at, count):
    """The bits 0 of the next samples that may hold, and where it goes on."""
    bits = []
    while len(bits) < count:
        require(at < plane.samples, "a run beyond the plane")
        if plane.may_hold(at):
            bits.append(plane.v[at] & 1)
        at += 1
    return bits, at


def read_map(plane, data, lead_and_map):
    across, down = (plane.columns + 7) // 8, (plane.rows + 7) // 8
    coder, chances = Decoder(data), [Chance() for _ in range(8)]
    block = [[0] * (across + 1) for _ in range(down + 1)]  # index -1 is outside
    for y in range(down):
        for x in range(across):
            near = block[y][x - 1] + 2 * block[y - 1][x] + 4 * block[y - 1][x - 1]
            block[y][x] = coder.bit(chances[near])
    mapped = [bool(block[i // plane.columns // 8][i % plane.columns // 8]) for i in range(plane.samples)]
    require(not any(mapped[i] for i in lead_and_map), "a map over its own run")
    plane.still = [a or b for a, b in zip(plane.still, mapped)]


def read_run(plane):
    """Sets lead, still pixels and run; returns the map's bytes and the blob's bits."""
    at = read_head(plane)
    exclude(plane)
    require(all(plane.may_hold(i) for i in range(plane.begin, at)), "a head with gaps")
    at = read_rest(plane, at)
    lead = plane.lead
    bits, at = read_on(plane, at, 8 * lead.map_bytes)
    data = to_bytes(bits)
    if data:
        read_map(plane, data, range(plane.begin, at))
    blob, plane.end = read_on(plane, at, 208 if lead.codec == "chain" else 8 * lead.blob_bytes)
    return data, blob


# ---- 7. the board ----

OPERATIONS = ([(0, 0)] + [(b, 1) for b in range(9)]
              + [(b, t) for t in (2, 3, 4, 5, 6, 8) for b in range(5)]
              + [(0, t) for t in (10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128, 160, 192, 256, 384, 512,
                                  768, 1024, 4096, 65536)])


def mirrored(i, n):
    i = -i if i < 0 else 2 * (n - 1) - i if i > n - 1 else i
    return i if 0 <= i < n else None


class Stage:
    def __init__(self, plane, number, blob):
        self.plane, self.colour = plane, number % 2
        self.top = plane.high - plane.low
        padding = plane.lead.padding
        self.padding = padding and (padding[0] - plane.low, padding[1] - plane.low)
        self.blob, self.coder = blob, Decoder(blob)
        self.flags = {(k, a, b): Chance() for k in range(4) for a in (0, 1) for b in (0, 1)}
        self.before = (0, 0)
        self.plan = []
        same, last = Chance(58000, 3), 0
        for _ in range(54):
            if not self.coder.bit(same):
                last = self.coder.plain(6)
            self.plan.append(last)

    def neighbour(self, row, column):
        p = self.plane
        row, column = mirrored(row, p.rows), mirrored(column, p.columns)
        if row is None or column is None:
            return None
        i = row * p.columns + column
        x = p.v[i] & ~1 if p.in_run(i) else p.v[i]
        return None if p.is_padding(x) else x - p.low

    def predict(self, row, column):
        """base and class; None when the pixel takes no part."""
        def at(dy, dx):
            return self.neighbour(row + dy, column + dx)

        def either(a, b):
            return b if a is None else a
        u, d, l, r = at(-1, 0), at(1, 0), at(0, -1), at(0, 1)
        u, d, l, r = either(u, d), either(d, u), either(l, r), either(r, l)
        if u is None and l is None:
            return None
        u, d, l, r = either(u, l), either(d, r), either(l, u), either(r, d)
        mean = (u + d + l + r + 3) // 4
        c = abs(u - l) + abs(u - r) + abs(d - l) + abs(d - r)
        for x, dy, dx, other in ((u, -2, -1, l), (u, -2, 1, r), (d, 2, -1, l), (d, 2, 1, r),
                                 (l, -1, -2, u), (l, 1, -2, d), (r, -1, 2, u), (r, 1, 2, d)):
            c += abs(x - either(at(dy, dx), other))
        v = min(6 + c, 65535)
        e = max(W(v) - 3, 0)
        return (mean - 1 if mean < self.top else self.top), 4 * e + (v >> e) - 6

    def rooms(self, x):
        """How far x may move down and up."""
        down, up = x, self.top - x
        if self.padding is not None:
            down = min(down, x - self.padding[1] - 1) if x > self.padding[1] else down
            up = min(up, self.padding[0] - 1 - x) if x < self.padding[0] else up
        return down, up

    def was_moved(self, x, above, k, b, t, way):
        def reach(rank):
            return 0 if rank < b else min(rank - b + 1, t)
        inward, outward = self.rooms(x) if above else self.rooms(x)[::-1]
        could = inward >= way and reach(k - way) <= outward + way
        if reach(k) <= outward:
            require(could, "a value that no embedder makes")
            return True
        if not could:
            return False
        flag = self.coder.bit(self.flags[min(k - b, 3), *self.before])
        self.before = (self.before[1], flag)
        return not flag

    def read_pixel(self, i, out):
        p = self.plane
        if p.is_padding(p.v[i]) or p.still[i] or p.in_run(i):
            return
        predicted = self.predict(*divmod(i, p.columns))
        if predicted is None:
            return
        base, klass = predicted
        b, t = OPERATIONS[self.plan[klass]]
        x = p.v[i] - p.low
        above = x > base
        k = x - base - 1 if above else base - x
        if t == 0 or k < b:
            return
        m = k - b
        way = m - m // 2 if m < 2 * t else t
        if not self.was_moved(x, above, k, b, t, way):
            return
        if m < 2 * t:
            out.append(m % 2)
        p.v[i] += -way if above else way

    def read(self, count):
        p, out = self.plane, []
        require(count <= p.samples, "more bits than samples")
        if count == 0:
            require(not self.blob, "a blob of nothing")
            self.plan = [0] * 54
            return out
        for i in range(p.samples):
            if sum(divmod(i, p.columns)) % 2 == self.colour:
                self.read_pixel(i, out)
            if len(out) == count:
                break
        require(len(out) == count, "fewer bits than told")
        spelling = self.coder.spelling()
        require(self.blob == spelling + bytes(len(self.blob) - len(spelling)), "another spelling of a blob")
        return out


def read_board(plane, blob):
    """6: displaced bits, checksum, message, plans."""
    lead, message = plane.lead, []
    bits, blob = lead.bits, to_bytes(blob)
    plans = [None] * lead.stages
    for number in reversed(range(lead.stages)):
        stage = Stage(plane, number, blob)
        r = Reader(whiten(stage.read(bits), lead.seed, number))
        plans[number] = bytes(stage.plan)
        last = number == lead.stages - 1
        if last:
            displaced = r.take(held(plane))
        if number:
            bits = r.get(W(plane.samples))
            blob = to_bytes(r.take(8 * r.number()))
        if last:
            checksum = r.get(32)
        message = r.rest() + message
    plane.details["operations"] = sorted({n for plan in plans for n in plan})
    return displaced, checksum, message, plans


def held(plane):
    """How many samples of the run may hold."""
    return sum(plane.may_hold(i) for i in range(plane.begin, plane.end))


# ---- 8.7 logarithm, power ----

POWERS = [[int(n) for n in digits.split()] for digits in (
    "1073741824 1028218693 984625594 942880699 902905651 864625413 827968132 792865000 "
    "759250125 727060411 696235434 666717336 638450708 611382493 585461881 560640218",
    "1073741824 1070838486 1067942999 1065055341 1062175491 1059303428 1056439131 1053582579 "
    "1050733751 1047892626 1045059183 1042233401 1039415261 1036604740 1033801819 1031006477",
    "1073741824 1073560135 1073378477 1073196849 1073015252 1072833686 1072652151 1072470646 "
    "1072289173 1072107729 1071926317 1071744935 1071563584 1071382264 1071200974 1071019715",
    "1073741824 1073730468 1073719111 1073707755 1073696399 1073685043 1073673687 1073662331 "
    "1073650976 1073639620 1073628265 1073616910 1073605554 1073594199 1073582844 1073571490")]
ONE = 1 << 30


def log16(v):
    if v == 0:
        return 0
    o = W(v) - 1
    f = (v << 8 >> o) & 255
    return 16 * o + (f + (88 * f * (256 - f) >> 16) >> 4)


def exp2(x):
    if x >> 16 >= 30:
        return 0
    digits = [x >> shift & 15 for shift in (12, 8, 4, 0)]
    v = POWERS[0][digits[0]]
    for table, digit in zip(POWERS[1:], digits[1:]):
        v = v * table[digit] + (1 << 29) >> 30
    return v >> (x >> 16)


# ---- 8.3 predictor ----

TAPS = [(0, -1), (-1, 0), (1, 0), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1), (0, -2), (-2, 0), (2, 0), (0, 2),
        (-1, -2), (1, -2), (-2, -1), (2, -1), (-2, 1), (2, 1), (-1, 2), (1, 2), (-2, -2), (2, -2), (-2, 2), (2, 2),
        (0, -3), (-3, 0), (3, 0), (0, 3), (-1, -3), (1, -3), (-3, -1), (3, -1), (-3, 1), (3, 1), (-1, 3), (1, 3),
        (-2, -3), (2, -3), (-3, -2), (3, -2), (-3, 2), (3, 2), (-2, 3), (2, 3), (-3, -3), (3, -3), (-3, 3), (3, 3)]
PREDICTORS = [(8, 1, 2, 6, 4), (12, 2, 1, 6, 4), (24, 2, 1, 6, 8), (48, 3, 2, 8, 8)]
WITNESSES = [(-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)]
RING = [(-1, -1), (0, -1), (1, -1), (1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1)]
SHARE = [0, 16384, 8192, 5462, 4096, 3277, 2731, 2341, 2048]
EDGE = 8  # rows and columns of missing pixels around the plane
MISSING = -1


def mean_of(values):
    seen = [v for v in values if v >= 0]
    if not seen:
        return MISSING
    return sum(seen) >> 2 if len(seen) == 4 else sum(seen) * (0, 16384, 8192, 5462)[len(seen)] >> 14


def mean_miss(misses, unit):
    return min(255, log16((sum(misses) * unit * SHARE[len(misses)] >> 14) + 2))


class Predictor:
    def __init__(self, plane, number):
        self.plane = plane
        self.taps, self.radius, self.side, self.window, self.witnesses = PREDICTORS[number]
        self.v = np.full((plane.rows + 2 * EDGE, plane.columns + 2 * EDGE), MISSING, np.int64)
        for i, x in enumerate(plane.v):
            if not plane.is_padding(x):
                self.put(*divmod(i, plane.columns), (x & ~1 if plane.in_run(i) else x) - plane.low)
        self.places = np.array(TAPS[:self.taps])
        self.row, self.solved, self.taught = None, {}, {}

    def put(self, row, column, value):
        self.v[row + EDGE, column + EDGE] = value

    def at(self, row, column):
        return int(self.v[row + EDGE, column + EDGE])

    def local_mean(self, row, column):
        return mean_of([self.at(row, column - 1), self.at(row - 1, column), self.at(row, column + 1),
                        self.at(row + 1, column)])

    def around(self, row, column):
        return self.v[row + EDGE + self.places[:, 1], column + EDGE + self.places[:, 0]]

    def begin_row(self, row):
        self.row, self.solved, self.taught = row, {}, {}

    def teach(self, strip):
        """The vectors of one strip of all rows that teach."""
        if strip not in self.taught:
            vectors = []
            near, far = self.radius + 1, self.radius + self.window
            for row in [*range(self.row - far, self.row - near + 1), *range(self.row + near, self.row + far + 1)]:
                for column in range(16 * strip, min(16 * strip + 16, self.plane.columns)):
                    if not 0 <= row < self.plane.rows or self.at(row, column) < 0:
                        continue
                    m = self.local_mean(row, column)
                    if m >= 0:
                        t = self.around(row, column)
                        inputs = np.where(t < 0, 0, np.clip(t - m, -8191, 8191))
                        vectors.append([*inputs, clamp(self.at(row, column) - m, -8191, 8191)])
            self.taught[strip] = vectors
        return self.taught[strip]

    def weights(self, strip):
        """Weights, and feature 2 or None."""
        if strip not in self.solved:
            last = (self.plane.columns - 1) // 16
            vectors = [v for s in range(max(strip - self.side, 0), min(strip + self.side, last) + 1)
                       for v in self.teach(s)]
            count = len(vectors)
            if count < 2 * self.taps:
                self.solved[strip] = np.zeros(self.taps, np.int64), None
            else:
                m = np.array(vectors, np.int64)
                weights, residue, shift = least_squares((m.T @ m).tolist(), self.taps, count)
                l = log16(residue) + 16 * shift - log16(count)
                half = l // 2 if l >= 0 else -(-l // 2)
                self.solved[strip] = np.array(weights, np.int64), min(255, max(16, half + 64))
        return self.solved[strip]

    def predict(self, row, column, m, weights):
        t = self.around(row, column)
        products = weights * np.where(t < 0, 0, np.clip(t - m, -32768, 32767))
        total = int(products.sum()) + (1 << 31) & 0xFFFFFFFF
        return clamp(16 * m + (total - (1 << 31) >> 8), 0, 16 * (self.plane.high - self.plane.low))

    def look(self, column):
        """Prediction and features; None when there is none."""
        row = self.row
        m = self.local_mean(row, column)
        if m < 0:
            return None
        weights, fit = self.weights(column // 16)
        prediction = self.predict(row, column, m, weights)
        own = self.at(row, column)
        self.put(row, column, prediction + 8 >> 4)
        misses = ([], [])
        for k, (dx, dy) in enumerate(WITNESSES[:self.witnesses]):
            v, m = self.at(row + dy, column + dx), self.local_mean(row + dy, column + dx)
            if v >= 0 and m >= 0:
                misses[k // 4].append(abs(16 * v - self.predict(row + dy, column + dx, m, weights)))
        self.put(row, column, own)
        ring = [self.at(row + dy, column + dx) for dx, dy in RING]
        features = [mean_miss(misses[0], 1), mean_miss(misses[1], 1) if self.witnesses > 4 else 0]
        features.append(features[0] if fit is None else fit)
        features.append(mean_miss([abs(a - b) for a, b in zip(ring, ring[1:]) if a >= 0 and b >= 0], 16))
        return prediction, features


# ---- 8.4 least squares ----

def scaled(v, e):
    return v << 30 - e if e <= 30 else v >> e - 30


def least_squares(S, n, count):
    """Weights, residue, residue shift."""
    exp, shift, inverse = [], [], []
    mixed, lower = np.zeros((n + 1, n + 1), np.int64), np.zeros((n + 1, n + 1), np.int64)
    ridge = 1 << 17
    for i in range(n + 1):
        square = S[i][i] + count // 64 + 1
        exp.append((W(square - 1) + 1) // 2)
        d = 0
        for j in range(i):
            a = int((mixed[i, :j] * lower[j, :j] >> 8).sum())
            mixed[i, j] = scaled(S[i][j], exp[i] + exp[j]) - (a >> 22)
            lower[i, j] = int(mixed[i, j]) * inverse[j] >> shift[j]
            d += int(mixed[i, j]) * int(lower[i, j]) >> 8
        pivot = scaled(square, 2 * exp[i]) + ridge - (d >> 22)
        if i < n:
            pivot = max(pivot, ridge // 2)
            shift.append(W(pivot))
            inverse.append((1 << W(pivot) + 30) // pivot)
    z, weights = [0] * n, [0] * n
    for i in reversed(range(n)):
        z[i] = (int(lower[n, i]) >> 10) - sum((int(lower[k, i]) >> 8) * z[k] >> 22 for k in range(i + 1, n))
        up = exp[n] - exp[i] - 8
        weights[i] = clamp(z[i] << up if up >= 0 else z[i] >> -up, -32767, 32767)
    return weights, max(pivot - ridge, 0), 2 * exp[n] - 30


# ---- 8.1 blob, 8.5 scale, 8.6 coupling ----

REACHES = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 64, 128, 255]
EIGHTHS = [1024, 1117, 1218, 1328, 1448, 1579, 1722, 1878]
SLOTS = 1 << 20


class Parameters:
    def __init__(self, blob, samples):
        r = Reader(blob)
        self.predictor, self.shape, self.lam = r.get(2), r.get(2), r.get(10)
        self.reach = REACHES[r.get(4)]
        self.offset = r.get(9) - 256
        self.slope = [r.get(6) - 16 for _ in range(4)]
        self.knot = r.get(7)
        self.correction = [r.get(4) - 6 for _ in range(8)]
        self.stop, self.state = r.get(31), r.get(64)
        fields = sum(bit << (191 - i) for i, bit in enumerate(blob[:185])).to_bytes(24, "big")
        require(r.get(23) == zlib.crc32(fields) & 0x7FFFFF, "a blob with another sum")
        require(self.stop <= samples and self.shape < 3 and self.state >= 1 << 32, "a blob that no embedder writes")

    def scale(self, features):
        l = 32 * self.offset + 1088 + sum(a * b for a, b in zip(self.slope, features))
        klass = 0 if l < 0 else min(l // 128, 79)
        f = klass - self.knot
        if f <= 0:
            c = 4 * self.correction[0]
        elif f >= 28:
            c = 4 * self.correction[7]
        else:
            c = self.correction[f // 4] * (4 - f % 4) + self.correction[f // 4 + 1] * (f % 4)
        return clamp(2 * klass + (c + 24) // 4 - 6, 0, 159)


class Couplings:
    def __init__(self, parameters):
        self.parameters, self.known = parameters, {}
        h = exp2((1024 - parameters.lam) * 1024) >> 8
        self.power = [exp2(h * k) for k in range(600)]
        self.sum = [sum(self.power[:k]) for k in range(600)]

    def get(self, scale, fraction, below, above):
        """down, p, q; None when there is none."""
        w = EIGHTHS[scale % 8] << scale // 8 >> 8
        window = min(w * 8 // 256 + 4, 256)
        grain = max(window // 16, 1)
        f = 8 if window > 128 else fraction - fraction % 4 + 2 if window > 32 else fraction
        down = window if below >= window else below - below % grain
        up = window if above >= window else above - above % grain
        if down + up == 0:
            return None
        key = (scale, f, down, up)
        if key not in self.known:
            p = self.make_p(w, f, down, down + up + 1)
            self.known[key] = down, p, self.make_q(p, clamp(down + (f >= 8), 0, down + up))
        return self.known[key]

    def tail(self, d, w):
        if self.parameters.shape == 1:
            z = min(d, w * 4096) * 4096 // w
            g = z * 2 ** 15 // isqrt(2 ** 26 + z * z)
            return max(2 ** 29 - (3 * g - (g ** 3 >> 30) << 13), 0)
        e = exp2(d * 2 ** 17 // w)
        return e // 2 if self.parameters.shape == 2 else e * ONE // (ONE + e)

    def make_p(self, w, f, down, count):
        def part(i):
            e = 256 * (i - down) - 128 - (16 * f + 8)
            return self.tail(-e, w) if e <= 0 else ONE - self.tail(e, w)
        begin = part(0)
        whole = max(part(count) - begin, 1)
        inner = [i + clamp(part(i) - begin, 0, whole) * (SLOTS - count) // whole for i in range(1, count)]
        return [0, *inner, SLOTS]

    def violates(self, outer_mass, outer_length, S, inner_mass, steps):
        return outer_mass * S < inner_mass * self.sum[outer_length] * self.power[steps] >> 30

    def pool(self, masses):
        """Blocks [start, length, mass] of one side, from the mode outward."""
        blocks = []
        for k, mass in enumerate(masses, 1):
            blocks.append([k, 1, mass])
            while len(blocks) > 1:
                inner, outer = blocks[-2:]
                if not self.violates(outer[2], outer[1], self.sum[inner[1]], inner[2], inner[1]):
                    break
                blocks[-2:] = [[inner[0], inner[1] + outer[1], inner[2] + outer[2]]]
        return blocks

    def make_q(self, p, m):
        mass = [b - a for a, b in zip(p, p[1:])]
        count = len(mass)
        sides = [self.pool(mass[:m][::-1]), self.pool(mass[m + 1:])]
        centre, S, reached = mass[m], self.sum[1], [0, 0]
        merged = True
        while merged:
            merged = False
            for s in (0, 1):
                if sides[s] and self.violates(sides[s][0][2], sides[s][0][1], S, centre, sides[s][0][0]):
                    block = sides[s].pop(0)
                    centre += block[2]
                    reached[s] += block[1]
                    S = self.sum[reached[0] + 1] + self.sum[reached[1] + 1] - self.sum[1]
                    merged = True
        new = [0] * count
        for s, way in enumerate((-1, 1)):
            for k in range(1, reached[s] + 1):
                new[m + way * k] = centre * self.power[k] // S
            for start, length, block_mass in sides[s]:
                for j in range(length):
                    new[m + way * (start + j)] = (block_mass * self.sum[j + 1] // self.sum[length]
                                                  - block_mass * self.sum[j] // self.sum[length])
        new[m] = centre - sum(new[m - reached[0]:m] + new[m + 1:m + reached[1] + 1])
        q = [0]
        for v in new:
            q.append(q[-1] + v)
        R = self.parameters.reach
        for i in range(1, count):
            if i > m:
                q[i] = clamp(q[i], p[m] if R == 0 or i < R + m else p[i - R], p[i])
            else:
                q[i] = clamp(q[i], p[i], p[m + 1] if R == 0 or i + R > m + 1 else p[i + R])
        return q


# ---- 8.2 the walk ----

class Chain:
    def __init__(self, plane, blob):
        require(plane.columns >= 4 and plane.rows >= 4 and plane.high - plane.low < 65536, "no plane for the chain")
        self.plane = plane
        self.parameters = Parameters(blob, plane.samples)
        self.predictor = Predictor(plane, self.parameters.predictor)
        self.couplings = Couplings(self.parameters)
        self.state, self.stack = self.parameters.state, []

    def interval(self, x, prediction):
        p = self.plane
        first, last = 0, p.high - p.low
        if p.lead.padding is not None:
            if x < p.lead.padding[0]:
                last = p.lead.padding[0] - 1 - p.low
            else:
                first = p.lead.padding[1] + 1 - p.low
        base, fraction = prediction >> 4, prediction % 16
        if not first <= base <= last:
            base, fraction = clamp(base, first, last), 0
        return base, fraction, base - first, last - base

    def restore(self, i, p, q):
        size = q[i + 1] - q[i]
        require(size, "a value that no embedder makes")
        if size < SLOTS and self.state >> 44 >= size:
            self.stack.append(self.state & 0xFFFFFFFF)
            self.state >>= 32
        self.state = self.state // size * SLOTS + q[i] + self.state % size
        slot = self.state % SLOTS
        j = next(j for j in range(len(p)) if p[j] <= slot < p[j + 1])
        self.state = (p[j + 1] - p[j]) * (self.state >> 20) + slot - p[j]
        if self.state < 1 << 32:
            require(self.stack, "a word from an empty stack")
            self.state = self.state << 32 | self.stack.pop()
        return j

    def read_pixel(self, at):
        plane, x = self.plane, self.plane.v[at]
        row, column = divmod(at, plane.columns)
        if plane.in_run(at) or plane.is_padding(x) or plane.still[at]:
            return
        look = self.predictor.look(column)
        if look is None:
            return
        base, fraction, below, above = self.interval(x, look[0])
        coupling = self.couplings.get(self.parameters.scale(look[1]), fraction, below, above)
        if coupling is None:
            return
        down, p, q = coupling
        i = x - plane.low - (base - down)
        if p == q or not 0 <= i < len(p) - 1:
            return
        value = base - down + self.restore(i, p, q)
        plane.v[at] = plane.low + value
        self.predictor.put(row, column, value)

    def read(self):
        for at in reversed(range(self.parameters.stop)):
            row = at // self.plane.columns
            if row != self.predictor.row:
                self.predictor.begin_row(row)
            self.read_pixel(at)
        odd = W(self.state) - 33
        bits = field_bits(self.state, 32 + odd)
        for word in reversed(self.stack):
            bits += field_bits(word, 32)
        require(len(bits) == self.plane.lead.bits, "another number of bits")
        return bits


def read_chain(plane, blob):
    """6: displaced bits, checksum, message, no plans."""
    chain = Chain(plane, blob)
    r = Reader(whiten(chain.read(), plane.lead.seed, 0))
    p = chain.parameters
    plane.details.update(predictor=p.predictor, shape=p.shape, reach=p.reach, couplings=len(chain.couplings.known))
    return r.take(held(plane)), r.get(32), r.rest(), []


# ---- 6. what is hidden ----

def check_sum(plane, checksum, message, plans, map_bytes):
    total = zlib.crc32(to_bytes(message))
    for plan in plans[:-1]:
        total = zlib.crc32(plan, total)
    total ^= zlib.crc32(map_bytes, zlib.crc32(to_bytes(field_bits(plane.index, 32) + plane.lead.fields)))
    for plan in plans[-1:]:
        total = zlib.crc32(plan, total)
    require(total == checksum, "another checksum")


def read_plane(plane):
    """Restores it; its payload bits, or None when it carries nothing."""
    plane.begin = find_mark(plane.v)
    if plane.begin is None:
        return None
    map_bytes, blob = read_run(plane)
    read = read_chain if plane.lead.codec == "chain" else read_board
    displaced, checksum, message, plans = read(plane, blob)
    check_sum(plane, checksum, message, plans, map_bytes)
    holders = [i for i in range(plane.begin, plane.end) if plane.may_hold(i)]
    for i, bit in zip(holders, displaced):
        plane.v[i] = plane.v[i] & ~1 | bit
    if not plane.lead.filled:
        return message
    require(plane.lead.count <= len(message), "a count above the message")
    return message[:plane.lead.count]


def join(found):
    """found: (lead, payload bits) of each plane that carries."""
    if len(found) == 1 and not found[0][0].part:
        return found[0][1]
    found = sorted(found, key=lambda f: (f[0].first, len(f[1])))
    payload = []
    for lead, bits in found:
        require(lead.part and lead.total == found[0][0].total and lead.first == len(payload), "parts do not join")
        payload += bits
    require(len(payload) == found[0][0].total, "a part is missing")
    return payload


def read_image(image, samples):
    """samples: a list for each plane, restored in place. Payload bits, and the planes that carry."""
    planes = [Plane(image, i, v) for i, v in enumerate(samples)]
    parts = [(plane, read_plane(plane)) for plane in planes]
    found = [(plane.lead, bits) for plane, bits in parts if bits is not None]
    if not found:
        raise Nothing("no plane has a mark")
    return join(found), [plane for plane, bits in parts if bits is not None]


def extract(image, samples):
    """Payload bytes, their number of bits; restores samples in place."""
    bits, _ = read_image(image, samples)
    return to_bytes(bits), len(bits)
