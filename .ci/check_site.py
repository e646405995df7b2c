"""Links within a built site lead somewhere, and it names no folder of this machine: `.ci/check_site.py FOLDER`."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Links and anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.links.add(value)
            if value and name in ("id", "name"):
                self.anchors.add(value)


def broken_links(site: Path) -> list[str]:
    """A line for each link to a file or an anchor that isn't there."""
    written = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    pages = {path.resolve(): Page(path) for path in written}
    return [
        f"{path.relative_to(site.resolve())}: no {link}"
        for path, page in pages.items()
        for link in sorted(page.links)
        if not leads_somewhere(path, link, pages)
    ]


def leads_somewhere(path: Path, link: str, pages: dict[Path, Page]) -> bool:
    """Whether a link of a page leads out of the site, or to a file and an anchor of it."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in pages:
        return target.is_file()
    return not parts.fragment or unquote(parts.fragment) in pages[target].anchors


def named_folders(site: Path) -> list[str]:
    """A line for each file that names the folder of the project, of the interpreter or of the user."""
    folders = {str(Path(folder)) for folder in (Path.cwd(), sys.prefix, Path.home())}
    texts = [
        path for path in sorted(site.rglob("*")) if path.suffix in (".html", ".js", ".ipynb", ".py", ".txt", ".rst")
    ]
    return [
        f"{path.relative_to(site)}: names {folder}"
        for path in texts
        for folder in folders
        if folder in path.read_text(encoding="utf-8")
    ]


if __name__ == "__main__":
    site = Path(sys.argv[1])
    sys.exit("\n".join(broken_links(site) + named_folders(site)) or 0)
