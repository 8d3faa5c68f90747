"""The small mistakes that can be made in a source text."""

import ast
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from difflib import unified_diff
from itertools import chain
from typing import Final

COMPARISONS: Final[Mapping[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: Final[Mapping[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
CALLS: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}

NO_LOGIC: Final = ("_LOGGER.", "logging.")
"""How statements begin that nothing depends on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A source text with one mistake in it."""

    line: int
    what: str
    """The mistake in a few words."""
    text: str
    """The whole source."""

    def diff(self, source: str, name: str) -> str:
        """Return the mistake as a patch of its source."""
        lines = unified_diff(source.splitlines(), self.text.splitlines(), name, name, n=2, lineterm="")
        return "\n".join(lines)


def mutants(source: str) -> list[Mutant]:
    """Return every mistake that can be made, in the order of the source."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[str, Mutant] = {}
    tree = ast.parse(source)
    conditions = {id(condition) for condition in _conditions(tree)}
    for node in _logic(tree):
        for what, new in _mistakes(node, is_condition=id(node) in conditions):
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
            text = (source.encode()[:start] + new.encode() + source.encode()[end:]).decode()
            if text not in found and text != source:
                found[text] = Mutant(line=node.lineno, what=what, text=text)
    return sorted(found.values(), key=lambda mutant: mutant.line)


type _Place = ast.expr | ast.stmt


def _logic(node: ast.AST) -> Iterator[_Place]:
    """Yield what is executed: no annotation, docstring, log line, or import for a type checker."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_no_logic(child):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            yield from _logic(child)


def _is_no_logic(node: ast.AST) -> bool:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.TypeAlias() | ast.JoinedStr():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=func)):
            return ast.unparse(func).startswith(NO_LOGIC)
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name == "_LOGGER"
    return False


def _conditions(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield what decides something and has no operator that could be wrong: names, attributes, calls."""
    for node in ast.walk(tree):
        match node:
            case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
                found = [test]
            case ast.BoolOp(values=values):
                found = values
            case ast.comprehension(ifs=ifs):
                found = ifs
            case ast.match_case(guard=ast.expr() as guard):
                found = [guard]
            case _:
                continue
        yield from (each for each in found if not isinstance(each, ast.Compare | ast.BoolOp | ast.UnaryOp))


def _mistakes(node: _Place, *, is_condition: bool) -> Iterator[tuple[str, str]]:
    """Yield the mistakes of one place: in words, and what stands there then."""
    found = chain(_of_values(node), _of_operators(node), _of_slices(node), _of_statements(node))
    if is_condition and isinstance(node, ast.expr):
        found = chain([("turned round", ast.UnaryOp(ast.Not(), node))], found)
    for what, new in found:
        # Parentheses keep together what belonged together; a statement has none.
        text = ast.unparse(ast.fix_missing_locations(new))
        yield what, text if isinstance(new, ast.stmt) else f"({text})"


type _Mistake = tuple[str, _Place]


def _changed[T: ast.AST](node: T, change: Callable[[T], None]) -> T:
    copy = deepcopy(node)
    change(copy)
    return copy


def _of_values(node: _Place) -> Iterator[_Mistake]:
    match node:
        case ast.Constant(value=bool(value)):
            yield f"{value} is {not value}", ast.Constant(not value)
        case ast.Constant(value=int(value)):
            for other in (value + 1, value - 1):
                yield f"{value} is {other}", ast.Constant(other)
        case ast.Call(func=ast.Name(id=name) as func, args=args, keywords=keywords) if name in CALLS:
            other_call = ast.Call(ast.copy_location(ast.Name(CALLS[name]), func), args, keywords)
            yield f"{name} is {CALLS[name]}", other_call


def _of_operators(node: _Place) -> Iterator[_Mistake]:
    match node:
        case ast.Compare(ops=ops):
            for place, operator in enumerate(ops):
                for other in COMPARISONS[type(operator)]:

                    def compare(copy: ast.Compare, place: int = place, other: type[ast.cmpop] = other) -> None:
                        copy.ops[place] = other()

                    yield f"{type(operator).__name__} is {other.__name__}", _changed(node, compare)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in ARITHMETIC:
            counterpart = ARITHMETIC[type(operator)]
            yield f"{type(operator).__name__} is {counterpart.__name__}", ast.BinOp(left, counterpart(), right)
        case ast.AugAssign(target=target, op=operator, value=value) if type(operator) in ARITHMETIC:
            counterpart = ARITHMETIC[type(operator)]
            yield f"{type(operator).__name__} is {counterpart.__name__}", ast.AugAssign(target, counterpart(), value)
        case ast.BoolOp(op=ast.And(), values=values):
            yield "and is or", ast.BoolOp(ast.Or(), values)
        case ast.BoolOp(op=ast.Or(), values=values):
            yield "or is and", ast.BoolOp(ast.And(), values)
        case ast.UnaryOp(op=ast.Not() | ast.USub() as operator, operand=operand):
            yield f"no {type(operator).__name__}", operand


def _of_slices(node: _Place) -> Iterator[_Mistake]:
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
        return

    def one_more(bound: ast.expr | None, missing: int) -> ast.expr:
        return ast.Constant(missing) if bound is None else ast.BinOp(bound, ast.Add(), ast.Constant(1))

    lower, upper = one_more(node.slice.lower, 1), one_more(node.slice.upper, -1)
    begins = ast.Slice(lower, node.slice.upper, node.slice.step)
    ends = ast.Slice(node.slice.lower, upper, node.slice.step)
    yield "begins one later", ast.Subscript(node.value, begins, node.ctx)
    yield "ends elsewhere", ast.Subscript(node.value, ends, node.ctx)


def _of_statements(node: _Place) -> Iterator[_Mistake]:
    match node:
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "returns None", ast.Return(ast.Constant(None))
        case ast.Expr() | ast.AugAssign() | ast.Continue() | ast.Break() | ast.Raise() | ast.Delete():
            if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Yield | ast.YieldFrom):
                yield "left out", ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "left out", ast.Pass()
