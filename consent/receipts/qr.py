"""The square on a printed receipt: an address at which, and facts by which, anybody can look the event up in the log.

It carries the leaf's place and its commitment, and nothing else: enough to find the leaf in the public log and see that
it is the one, with this provider's page or without it; and nothing of a person, so that the paper may be left lying.
The whole receipt would not fit: signed record, event and proof are some 3 kB that do not compress (signatures and
hashes), beyond what the largest square holds, and the larger squares are not read off paper by every telephone.
Spec: ISO/IEC 18004 (QR code).
"""

from urllib.parse import urlencode

import segno

from consent.receipts.receipt import IssuedReceipt


def check_address(base: str, receipt: IssuedReceipt) -> str | None:
    """Where the event can be looked up; None while it has no place in the log."""
    if receipt.proof is None:
        return None
    return f"{base}/receipts/check?{urlencode({'index': receipt.proof.index, 'commitment': receipt.commitment})}"


def qr_svg(text: str) -> str:
    """The square as an SVG element to be put into a page: no style, no script, black on white in any colour scheme."""
    square = segno.make(text, error="m", micro=False)
    svg: str = square.svg_inline(scale=4, dark="#000", light="#fff", svgclass=None, lineclass=None)
    return svg
