"""A YAML file of settings whose every key remembers its line, so that what is wrong can be pointed at."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from shared.errors import ConfigurationError

Place = tuple[str | int, ...]


class LinedYaml:
    """The nodes of one file as mappings, lists and texts; what the texts mean is for the models to say."""

    def __init__(self, file: Path) -> None:
        """Raises ConfigurationError with one line that names the file and, where there is one, the line."""
        self._file = file
        self._lines: dict[Place, int] = {(): 1}
        root = self._root()
        self._data: Any = {} if root is None else self._value(root, ())

    def mapping(self, *place: str) -> dict[str, Any]:
        """What stands at that place, empty where nothing does. Raises ConfigurationError for anything else."""
        value = self._data
        for key in place:
            value = value.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.error("must be a mapping of keys to values", place)
        return dict(value)

    def error(self, said: str, *places: Sequence[str | int]) -> ConfigurationError:
        """One line that names the first of ``places`` that is written in the file, else the nearest to the first."""
        tried = [tuple(place) for place in places]
        known = next((place for place in tried if place in self._lines), None)
        nearest = next(place for place in _shorter(known or tried[0]) if place in self._lines)
        name = ".".join(map(str, known or tried[0])) or "policy"
        return ConfigurationError(f"{self._file}:{self._lines[nearest]}: {name}: {said}")

    def _root(self) -> yaml.Node | None:
        try:
            return yaml.compose(self._file.read_text(encoding="utf-8"), yaml.SafeLoader)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self._file}: cannot be read ({type(error).__name__})") from error
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            said = getattr(error, "problem", None) or "unreadable"
            raise ConfigurationError(f"{self._file}:{line}: not YAML: {said}") from error

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, place))
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*place, index)) for index, child in enumerate(node.value)]
        # Texts are left to the models to read: YAML would make the number 1140 of an unquoted 19:00.
        return None if node.tag.endswith(":null") else node.value

    def _items(self, node: yaml.MappingNode, place: Place) -> Iterator[tuple[str, Any]]:
        for key, value in node.value:
            here = (*place, str(key.value))
            if here in self._lines:
                raise ConfigurationError(f"{self._file}:{key.start_mark.line + 1}: {'.'.join(map(str, here))}: twice")
            self._lines[here] = key.start_mark.line + 1
            yield str(key.value), self._value(value, here)


def _shorter(place: Place) -> Iterator[Place]:
    return (place[:length] for length in range(len(place), -1, -1))
