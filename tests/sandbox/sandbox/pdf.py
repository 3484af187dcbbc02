"""A PDF of one page of text, by hand: enough for every reader, and nothing to install."""

_MARGIN, _LEADING = 36, 12
_WIDTH, _HEIGHT_MIN = 842, 595  # A4 on its side: 160 characters of this font, an id and a quantity at their longest
_ESCAPED = {character: b"\\" + bytes([character]) for character in b"\\()"}


def document(lines):
    """The page is as high as its lines need: 200 inches, beyond which some readers give up, hold 1,190 lines."""
    height = max(_HEIGHT_MIN, 2 * _MARGIN + _LEADING * len(lines))
    shown = b"".join(b"(%s) '\n" % _string(line) for line in lines)
    text = b"BT\n/F1 8 Tf\n%d TL\n%d %d Td\n%sET\n" % (_LEADING, _MARGIN, height - _MARGIN, shown)
    return _file(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents 5 0 R"
        b" /Resources << /Font << /F1 4 0 R >> >> >>" % (_WIDTH, height),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
        b"<< /Length %d >>\nstream\n%sendstream" % (len(text), text),
    )


def _string(line):
    """The inside of a literal string. What Western Europe does not write becomes a question mark."""
    return b"".join(_ESCAPED.get(byte, bytes([byte])) for byte in line.encode("cp1252", "replace"))


def _file(*objects):
    """The first object is the catalog. The table at the end says at which byte each object starts."""
    data = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"  # the second line tells programs that copy files: this is not text
    table = b"0000000000 65535 f \n"
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(data))
    return data + b"xref\n0 %d\n" % size + table + trailer
