"""The second app: counts what the first one collected, in its journal and in PostgreSQL, and keeps a summary."""

from __future__ import annotations

import json
import os
import pathlib
import threading
import typing as t

import database
import web


def summary(journal: pathlib.Path) -> dict[str, t.Any]:
    """How many ticks there are: by the journal's files and by the database, which must agree."""
    files = {
        str(path.relative_to(journal)): path.read_bytes().count(b"\n") for path in sorted(journal.glob("*/*.jsonl"))
    }
    connection = database.connect()
    try:
        ((rows,),) = connection.run("SELECT count(*) FROM ticks")
    finally:
        connection.close()
    return {"files": files, "journal": sum(files.values()), "database": int(rows or 0)}


def main() -> None:
    told = web.until_told()
    journal, own = pathlib.Path(os.environ["OBSERVER_DATA"]), pathlib.Path(os.environ["REVIEW_DATA"])

    def page() -> web.Page:
        try:
            body = summary(journal)
            part = own / f".summary-{threading.get_ident()}.json"  # requests come in threads of their own
            part.write_text(json.dumps(body), encoding="utf-8")
            part.replace(own / "summary.json")
        except (OSError, database.DatabaseError) as error:
            return web.Page(503, {"error": str(error)})
        return web.Page(200, body)

    def metrics() -> web.Page:
        found = page()
        counts = {"review_ok": float(found.status == 200), "review_journal": float(found.body.get("journal", 0))}
        return web.Page(200, web.metrics(counts))

    web.serve({"/health": page, "/summary": page, "/metrics": metrics})
    told.wait()


if __name__ == "__main__":
    main()
