"""What the pages say, and the catalogues that must say it in every language.

`python -m tests.support.catalogues` brings the `.po` files in line with templates and code: new ids are added empty
(English ones as they are), translations are kept, ids that nothing says any more are dropped.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("idp", "consent")
LANGUAGES: Final = ("id", "en")

KEYWORDS: Final[dict[str, Any]] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}
TEMPLATE_OPTIONS: Final = {"trimmed": "true", "silent": "false", "newstyle_gettext": "true"}


@dataclass(frozen=True, slots=True)
class Said:
    """One message id and the places that say it."""

    id: str | tuple[str, ...]
    context: str | None
    places: tuple[str, ...]


def path_of(package: str, language: str, root: Path = ROOT) -> Path:
    """Where a package keeps a language."""
    return root / package / "locales" / language / "LC_MESSAGES" / "messages.po"


def said_by(package: str, root: Path = ROOT) -> list[Said]:
    """Every message id in a package's templates and code."""
    places: dict[tuple[Any, str | None], list[str]] = {}
    for method, path in _sources(root / package):
        name = path.relative_to(root).as_posix()
        options = TEMPLATE_OPTIONS if method == "jinja2" else {}
        for _line, message, _comments, context in extract(
            method, BytesIO(path.read_bytes()), keywords=KEYWORDS, options=options
        ):
            if message:
                found = places.setdefault((message, context), [])
                if name not in found:
                    found.append(name)
    for path in sorted((root / package).rglob("*.py")):
        for message in sentences_in(path.read_text()):
            found = places.setdefault((message, None), [])
            name = path.relative_to(root).as_posix()
            if name not in found:
                found.append(name)
    return [Said(message, context, tuple(where)) for (message, context), where in sorted(places.items(), key=_order)]


def sentences_in(source: str) -> list[str]:
    """What code says on a page in English, which is its own message id.

    Every module constant that is a sentence (it begins with a capital and ends with a stop), and what `PageRefusal(…)`
    and `error(…, message=…)` are handed in quotation marks.
    """
    tree = ast.parse(source)
    found = list(_constants(tree).values())
    for said in _handed_to_pages(tree):
        found += _quoted(said)
    return found


def made_up_at_run_time(source: str) -> list[int]:
    """The lines that hand `PageRefusal` something that no catalogue can have: a person would read it in English."""
    tree = ast.parse(source)
    constants = _constants(tree)
    return [
        said.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _name(call.func) == "PageRefusal" and call.args
        for said in _alternatives(call.args[0])
        if not _quoted(said) and not (isinstance(said, ast.Name) and said.id in constants)
    ]


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) and _is_sentence(node.value.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }


def _handed_to_pages(tree: ast.Module) -> Iterator[ast.expr]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            if _name(call.func) == "PageRefusal" and call.args:
                yield from _alternatives(call.args[0])
            if _name(call.func) == "error":
                for keyword in call.keywords:
                    if keyword.arg == "message":
                        yield from _alternatives(keyword.value)


def _alternatives(node: ast.expr) -> list[ast.expr]:
    return [*_alternatives(node.body), *_alternatives(node.orelse)] if isinstance(node, ast.IfExp) else [node]


def _quoted(node: ast.expr) -> list[str]:
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _name(function: ast.expr) -> str | None:
    return getattr(function, "id", getattr(function, "attr", None))


def _is_sentence(text: str) -> bool:
    return text[:1].isupper() and text[-1:] in {".", "?", "!"} and " " in text


def _sources(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted((folder / "templates").rglob("*.html")):
        yield "jinja2", path
    for path in sorted(folder.rglob("*.py")):
        yield "python", path


def _order(entry: tuple[tuple[Any, str | None], list[str]]) -> tuple[str, str]:
    message, context = entry[0]
    return (message if isinstance(message, str) else message[0], context or "")


def read(package: str, language: str, root: Path = ROOT) -> Catalog:
    """A catalogue as it is in the repository; an empty one when there is none yet."""
    path = path_of(package, language, root)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def faults(package: str, language: str, root: Path = ROOT) -> list[str]:
    """What is wrong with a catalogue, a sentence each."""
    catalogue = read(package, language, root)
    said = said_by(package, root)
    found = []
    for message in said:
        entry = catalogue.get(message.id, message.context)
        where = f"{package}/{language}: {message.id!r} ({', '.join(message.places)})"
        if entry is None:
            found.append(f"{where} is missing")
        elif entry.fuzzy:
            found.append(f"{where} is marked fuzzy")
        elif not _is_full(entry.string):
            found.append(f"{where} is empty")
        else:
            found += [f"{where}: {error}" for error in entry.check(catalogue)]
    known = {(_first(message.id), message.context) for message in said}
    found += [
        f"{package}/{language}: {entry.id!r} is said nowhere"
        for entry in catalogue
        if entry.id and (_first(entry.id), entry.context) not in known
    ]
    return found


def _first(message: Any) -> str:
    return message if isinstance(message, str) else str(message[0])


def _is_full(translation: Any) -> bool:
    parts = [translation] if isinstance(translation, str) else list(translation)
    return bool(parts) and all(part.strip() for part in parts)


def updated(package: str, language: str, root: Path = ROOT) -> bytes:
    """The catalogue as it should be written: every id that is said, with the translation that it has."""
    old = read(package, language, root)
    new = Catalog(locale=language, project="satupintu", header_comment=f"# What {package} says, in {language}.")
    for message in said_by(package, root):
        entry = old.get(message.id, message.context)
        if entry is not None and _is_full(entry.string):
            translation = entry.string
        else:
            translation = message.id if language == "en" else ""
        new.add(message.id, translation, locations=[(p, 0) for p in message.places], context=message.context)
    written = BytesIO()
    write_po(written, new, width=0, omit_header=True, include_lineno=False)
    header = (
        f'# What {package} says, in {language}.\nmsgid ""\nmsgstr ""\n'
        f'"Language: {language}\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
        f'"Plural-Forms: {new.plural_forms}\\n"\n\n'
    )
    return header.encode() + written.getvalue().rstrip() + b"\n"


def update() -> list[Path]:
    """Writes every catalogue anew; returns those that changed."""
    changed = []
    for package in PACKAGES:
        for language in LANGUAGES:
            path = path_of(package, language)
            content = updated(package, language)
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                changed.append(path)
    return changed


def main() -> None:
    """Updates the catalogues and says what is left to translate."""
    for path in update():
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    for package in PACKAGES:
        for language in LANGUAGES:
            for fault in faults(package, language):
                sys.stdout.write(f"{fault}\n")


if __name__ == "__main__":
    main()
