"""What each user did last, kept in memory.

A service of several processes keeps it in a store that they share, for example lists in Redis, one for each user and
column: `RPUSH` and `LTRIM` to add, `LRANGE` to read.
"""

from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any


class HistoryStore:
    """The last values of each user.

    Parameters
    ----------
    user : str
        Column of the user.
    histories : dict of {str: str}
        The columns of histories and the column whose values each of them holds, as `CTREncoder` was given them.
    max_length : int, default=50
        How many values are kept, as in `CTREncoder`.
    """

    def __init__(
        self, user: str, histories: Mapping[str, str], max_length: int = 50
    ) -> None:
        self._user, self._histories = user, dict(histories)
        self._values: dict[Any, dict[str, deque[Any]]] = defaultdict(
            lambda: {history: deque(maxlen=max_length) for history in self._histories}
        )

    def add(self, user: Any, values: Mapping[str, Any]) -> None:
        """Note what a user clicked; a column without a value keeps its place, so that histories stay in step."""
        for history, column in self._histories.items():
            self._values[user][history].append(values.get(column))

    def complete(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """A context with the histories of its user, the most recent last; those that it has itself stay."""
        known = self._values.get(context.get(self._user), {})
        return {
            **{history: list(known.get(history, ())) for history in self._histories},
            **context,
        }
