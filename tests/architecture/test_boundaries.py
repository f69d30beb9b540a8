"""Rules of the house that no linter knows, read off the source tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = [path for path in (ROOT / "services").iterdir() if path.is_dir()]
PRODUCT = sorted(
    path
    for folder in (ROOT / "shared/src", *(service / "src" for service in SERVICES))
    for path in folder.rglob("*.py")
    if "migrations" not in path.parts
)
MAX_LINES = 300


def within(path: Path, place: str) -> bool:
    return str(path.relative_to(ROOT)).startswith(place)


def calls(path: Path) -> Iterator[str]:
    """The dotted names that the file calls."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


ONLY_IN = [
    ({"RabbitBroker"}, "shared/src/shared/runtime/consumer.py"),
    ({"RabbitQueue", "RabbitExchange"}, "shared/src/shared/topology/"),
    ({"httpx.AsyncClient", "httpx.Client", "AsyncClient"}, "shared/src/shared/runtime/http.py"),
    ({"Redis", "Redis.from_url", "redis.from_url", "Redis.from_pool"}, "shared/src/shared/runtime/redis.py"),
    ({"create_async_engine", "sa.create_engine"}, "shared/src/shared/runtime/database.py"),
    ({"datetime.now", "datetime.utcnow", "date.today"}, "shared/src/shared/runtime/"),
]


@pytest.mark.parametrize(("names", "place"), ONLY_IN, ids=[place for _, place in ONLY_IN])
def test_an_effect_is_made_in_one_place(names: set[str], place: str) -> None:
    found = {
        f"{path.relative_to(ROOT)} calls {name}"
        for path in PRODUCT
        if not within(path, place)
        for name in calls(path)
        if name in names
    }
    assert found == set()


def test_handlers_publish_by_hand_not_by_decorator() -> None:
    decorated = [
        str(path.relative_to(ROOT))
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AsyncFunctionDef)
        for decorator in node.decorator_list
        if ".publisher" in ast.unparse(decorator)
    ]
    assert decorated == []


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_handlers_are_glue(service: Path) -> None:
    for path in service.rglob("handlers.py"):
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.Try)], f"{path}: handlers decide nothing"
        for node in ast.walk(tree):
            if isinstance(node, ast.AsyncFunctionDef):
                assert len(node.body) <= 12, f"{path}: {node.name} is too long for a handler"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_adapters_are_known_to_composition_roots_and_commands_alone(service: Path) -> None:
    package = service.name.replace("-", "_")
    roots = {"app.py", "wiring.py", "desk.py", "__main__.py"}
    commands = {"request.py", "link.py", "pdf.py", "budget.py", "why.py", "release.py", "answers.py", "schedule.py"}
    commands |= {"orders.py", "templates.py", "plan.py", "erasing.py", "forget.py", "answered.py", "approvals.py"}
    for path in (service / "src").rglob("*.py"):
        if path.name in roots | commands or "adapters" in path.parts:
            continue
        imported = {
            node.module or "" for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)
        }
        assert not {name for name in imported if name.startswith(f"{package}.adapters")}, path


def compared_digests(function: ast.AST) -> Iterator[str]:
    """Comparisons by == or in, of what hmac has made here or of what was made of that."""
    made: set[str] = set()

    def is_made(node: ast.AST) -> bool:
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        return "hmac.digest" in (text := ast.unparse(node)) or "hmac.new" in text or bool(names & made)

    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and is_made(node.value) and "compare_digest" not in ast.unparse(node.value):
            made |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and any(map(is_made, (node.left, *node.comparators))):
            yield ast.unparse(node)


def test_what_is_signed_is_compared_in_constant_time() -> None:
    functions = [
        (path, node)
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    found = {f"{path.relative_to(ROOT)}: {text}" for path, node in functions for text in compared_digests(node)}
    assert found == set()


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether it only cleans up."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_broad_excepts_stand_in_the_runtime_alone() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and not within(path, "shared/src/shared/runtime/")
        and not raises_again(node)
    ]
    assert found == []


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_what_it_is_for_and_stays_readable(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "a module opens with one sentence"
    assert len(text.splitlines()) <= MAX_LINES
