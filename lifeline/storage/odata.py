"""``$filter`` and ``$orderby`` of OData (as SensorThings uses them) as SQL.

odata-query parses. Here a name becomes a column of a known set or is refused, a literal becomes a parameter, and the
kinds of both sides are compared: no text of a request becomes part of a statement, and no comparison fails there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from odata_query import ast
from odata_query.exceptions import ODataException
from psycopg import sql

from lifeline.errors import RejectedDataError

LONGEST = 2000
"""Characters in a filter at most."""


class Expression(NamedTuple):
    """A piece of SQL and what it gives: ``text``, ``number``, ``time``, ``boolean``, ``null`` or ``json``."""

    text: sql.Composable
    kind: str


class Function(NamedTuple):
    """A function of OData: kinds of its arguments, its own kind, its SQL with a place for each argument."""

    arguments: tuple[str, ...]
    kind: str
    template: str


_FUNCTIONS = {
    "substringof": Function(("text", "text"), "boolean", "strpos({1}, {0}) > 0"),
    "contains": Function(("text", "text"), "boolean", "strpos({0}, {1}) > 0"),
    "startswith": Function(("text", "text"), "boolean", "starts_with({0}, {1})"),
    "endswith": Function(("text", "text"), "boolean", "right({0}, length({1})) = {1}"),
    "indexof": Function(("text", "text"), "number", "strpos({0}, {1}) - 1"),
    "length": Function(("text",), "number", "length({0})"),
    "tolower": Function(("text",), "text", "lower({0})"),
    "toupper": Function(("text",), "text", "upper({0})"),
    "trim": Function(("text",), "text", "trim({0})"),
    "concat": Function(("text", "text"), "text", "{0} || {1}"),
    "round": Function(("number",), "number", "round({0})"),
    "floor": Function(("number",), "number", "floor({0})"),
    "ceiling": Function(("number",), "number", "ceil({0})"),
    **{
        part: Function(("time",), "number", f"extract({part} FROM {{0}})")
        for part in ("year", "month", "day", "hour", "minute", "second")
    },
    "now": Function((), "time", "now()"),
}
_COMPARED = {ast.Eq: "=", ast.NotEq: "<>", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_CALCULATED = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%%"}


class Values:
    """The parameters of a statement, each under a name of its own."""

    def __init__(self, **given: Any) -> None:
        self.by_name: dict[str, Any] = given

    def add(self, value: Any) -> sql.Placeholder:
        """Note a value; give the place that stands for it."""
        name = f"v{len(self.by_name)}"
        self.by_name[name] = value
        return sql.Placeholder(name)


@dataclass(frozen=True, slots=True)
class Field:
    """A column, and what it holds."""

    column: str
    kind: str


def condition(text: str, fields: Mapping[str, Field], values: Values) -> sql.Composable:
    """A filter as a condition over the columns of ``fields``. Raises RejectedDataError, which says what is wrong."""
    if len(text) > LONGEST:
        raise RejectedDataError(f"$filter is longer than {LONGEST} characters")
    try:
        found = _Compiler(fields, values).visit(_parsed(text))
    except ODataException as error:
        raise RejectedDataError(f"$filter cannot be read: {error}") from error
    except (RecursionError, ValueError, OverflowError) as error:
        raise RejectedDataError("$filter cannot be read") from error
    if found.kind != "boolean":
        raise RejectedDataError("$filter must be a condition, such as result gt 5")
    return found.text


def _parsed(text: str) -> Any:
    # Its tables of the grammar are built as it is imported: a sixth of the API's start, for what few ask.
    from odata_query.grammar import ODATA_FUNCTIONS, ODataLexer, ODataParser

    # SensorThings kept this function of OData 2, its arguments the other way round.
    ODATA_FUNCTIONS.setdefault("substringof", 2)
    return ODataParser().parse(ODataLexer().tokenize(text))


def order(text: str, fields: Mapping[str, Field]) -> list[sql.Composable]:
    """``$orderby``: names with ``asc`` or ``desc``, between commas. Raises RejectedDataError."""
    found: list[sql.Composable] = []
    for each in text.split(","):
        name, _, direction = each.strip().partition(" ")
        column = _field(name, fields)
        if direction.strip().lower() not in ("", "asc", "desc"):
            raise RejectedDataError(f"$orderby: {each.strip()!r} must end in asc or desc")
        # Null counts as less than anything else, as OData has it.
        suffix = " DESC NULLS LAST" if direction.strip().lower() == "desc" else " ASC NULLS FIRST"
        if column.kind == "json":
            raise RejectedDataError(f"$orderby: {name} cannot be ordered")
        found.append(sql.SQL("e.{}" + suffix).format(sql.Identifier(column.column)))
    return found


def _field(name: str, fields: Mapping[str, Field]) -> Field:
    if name not in fields:
        raise RejectedDataError(f"there is no {name!r} to filter or order by; there are: {', '.join(sorted(fields))}")
    return fields[name]


class _Compiler:
    """Walks the tree; every method gives an Expression or raises RejectedDataError."""

    def __init__(self, fields: Mapping[str, Field], values: Values) -> None:
        self._fields = fields
        self._values = values

    def visit(self, node: Any) -> Expression:
        method: Callable[[Any], Expression] | None = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise RejectedDataError(f"$filter: {type(node).__name__} is not supported")
        return method(node)

    def _identifier(self, node: ast.Identifier) -> Expression:
        found = _field(".".join((*node.namespace, node.name)), self._fields)
        return Expression(sql.SQL("e.{}").format(sql.Identifier(found.column)), found.kind)

    def _attribute(self, node: ast.Attribute) -> Expression:
        names = [node.attr]
        owner = node.owner
        while isinstance(owner, ast.Attribute):
            names.append(owner.attr)
            owner = owner.owner
        names.append(owner.name if isinstance(owner, ast.Identifier) else "")
        found = _field("/".join(reversed(names)), self._fields)
        return Expression(sql.SQL("e.{}").format(sql.Identifier(found.column)), found.kind)

    def _string(self, node: ast.String) -> Expression:
        if "\0" in node.py_val:
            raise RejectedDataError("$filter holds a NUL byte")
        return Expression(sql.SQL("{}::text").format(self._values.add(node.py_val)), "text")

    def _integer(self, node: ast.Integer) -> Expression:
        return self._number(node.val)

    def _float(self, node: ast.Float) -> Expression:
        return self._number(node.val)

    def _number(self, digits: str) -> Expression:
        return Expression(sql.SQL("{}::float8").format(self._values.add(float(digits))), "number")

    def _boolean(self, node: ast.Boolean) -> Expression:
        return Expression(sql.SQL("TRUE" if node.py_val else "FALSE"), "boolean")

    def _null(self, _node: ast.Null) -> Expression:
        return Expression(sql.SQL("NULL"), "null")

    def _datetime(self, node: ast.DateTime) -> Expression:
        moment: datetime = node.py_val
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return Expression(sql.SQL("{}::timestamptz").format(self._values.add(moment)), "time")

    def _boolop(self, node: ast.BoolOp) -> Expression:
        left, right = self._of("boolean", node.left), self._of("boolean", node.right)
        word = "({} AND {})" if isinstance(node.op, ast.And) else "({} OR {})"
        return Expression(sql.SQL(word).format(left, right), "boolean")

    def _unaryop(self, node: ast.UnaryOp) -> Expression:
        if isinstance(node.op, ast.Not):
            return Expression(sql.SQL("(NOT {})").format(self._of("boolean", node.operand)), "boolean")
        return Expression(sql.SQL("(- {})").format(self._of("number", node.operand)), "number")

    def _binop(self, node: ast.BinOp) -> Expression:
        left, right = self._of("number", node.left), self._of("number", node.right)
        if isinstance(node.op, ast.Div | ast.Mod):  # by nothing gives null, which meets no condition
            right = sql.SQL("nullif({}, 0)").format(right)
        if isinstance(node.op, ast.Mod):
            return Expression(sql.SQL("mod({}::numeric, {}::numeric)::float8").format(left, right), "number")
        operator = sql.SQL(_CALCULATED[type(node.op)])
        return Expression(sql.SQL("({} {} {})").format(left, operator, right), "number")

    def _compare(self, node: ast.Compare) -> Expression:
        if isinstance(node.comparator, ast.In):
            return self._among(node)
        left, right = self.visit(node.left), self.visit(node.right)
        operator = _COMPARED[type(node.comparator)]
        if "null" in (left.kind, right.kind):
            if operator not in ("=", "<>"):
                raise RejectedDataError("$filter: null can only be compared by eq and ne")
            word = "IS NOT DISTINCT FROM" if operator == "=" else "IS DISTINCT FROM"
            return Expression(sql.SQL("({} {} {})").format(left.text, sql.SQL(word), right.text), "boolean")
        if left.kind != right.kind or left.kind == "json":
            raise RejectedDataError(f"$filter compares {left.kind} with {right.kind}")
        return Expression(sql.SQL("({} {} {})").format(left.text, sql.SQL(operator), right.text), "boolean")

    def _among(self, node: ast.Compare) -> Expression:
        left = self.visit(node.left)
        if not isinstance(node.right, ast.List) or left.kind == "json":
            raise RejectedDataError("$filter: in takes a list of values")
        choices = [self._of(left.kind, each) for each in node.right.val]
        return Expression(sql.SQL("({} IN ({}))").format(left.text, sql.SQL(", ").join(choices)), "boolean")

    def _call(self, node: ast.Call) -> Expression:
        name = ".".join((*node.func.namespace, node.func.name))
        function = _FUNCTIONS.get(name)
        if function is None:
            raise RejectedDataError(f"$filter: {name} is not supported; there are: {', '.join(sorted(_FUNCTIONS))}")
        given = [self._of(kind, each) for kind, each in zip(function.arguments, node.args, strict=True)]
        return Expression(sql.SQL("(" + function.template + ")").format(*given), function.kind)

    def _of(self, kind: str, node: Any) -> sql.Composable:
        found = self.visit(node)
        if found.kind != kind:
            raise RejectedDataError(f"$filter: {kind} is wanted where there is {found.kind}")
        return found.text
