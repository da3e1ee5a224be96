"""A tool is one typed function; its signature and docstring are its only declaration."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, ParamSpec, TypeVar, cast, overload

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from common.card import Card, CardReturns
from common.kinds import MEDIA_KINDS
from tools.core.errors import ArgumentsInvalid
from tools.runtime.declaration import Batch as Batch
from tools.runtime.declaration import Input as Input
from tools.runtime.declaration import Output as Output
from tools.runtime.declaration import Suggested as Suggested
from tools.runtime.declaration import function_name, invalid, placeholders, read_output, read_parameters
from tools.runtime.schema import arguments_schema, parameter_schemas
from tools.weights.needs import Needs

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class Tool(Generic[P, R]):
    """A typed function with its declaration, as planners, plans, batch runs and pages use it; `@tool` makes it.

    Attributes:
        fn: The function itself.
        name: Its name.
        doc: First line of its docstring.
        description: All of its docstring.
        inputs: Parameters that take values, by name.
        params: Pydantic model of the plain parameters.
        returns: What comes out.
        batch: Whether it takes many items at once.
        examples: Requests in words for this tool.
        one_of: Names of parameters of which at least one has to be given.
        isolated: Whether it runs in a process of its own.
        timeout: Seconds after which that process is killed; None for no limit.
        version: Part of every cache key. The version of a tool that is not built in ends with "+" and a hash of its
            source file.
        read_only: Whether it makes no picture, sound or video.
        words: Templates that say a call in words; see `tool`.
        planned: Whether planners are offered it; people can use any tool.
        needs: Yields the weights that a call takes; None where no call takes any.
    """

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        examples: Sequence[str] = (),
        one_of: Sequence[str] = (),
        version: str = "1",
        read_only: bool | None = None,
        isolated: bool = False,
        timeout: float | None = None,
        words: str | Sequence[str] = (),
        planned: bool = True,
        needs: Needs | None = None,
    ) -> None:
        """Read the declaration from the function.

        Raises:
            DeclarationInvalid: when it cannot be a tool as it is written; says what to change.
        """
        functools.update_wrapper(self, fn)
        self.fn = fn
        self.name = function_name(fn)
        self.description = inspect.getdoc(fn) or ""
        self.doc = self.description.partition("\n")[0].strip()
        if not self.doc:
            raise invalid(fn, "has no docstring", "Say in one line what it does; planners read it")
        self.inputs, self.params = read_parameters(fn, self.description)
        self.returns, returns_batch = read_output(fn, self.inputs)
        self.batch = any(i.batch for i in self.inputs.values())
        self.examples = tuple(examples)
        self.one_of = tuple(one_of)
        self.version = version
        self.words = (words,) if isinstance(words, str) else tuple(words)
        self.isolated, self.timeout, self.planned, self.needs = isolated, timeout, planned, needs
        self.read_only = self.returns.kind not in MEDIA_KINDS if read_only is None else read_only
        self._check_declaration(returns_batch)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function on values; an isolated tool runs in its own process.

        Raises:
            ArgumentsInvalid: when none of the `one_of` parameters is given.
        """
        if not (self.one_of or self.isolated):
            return self.fn(*args, **kwargs)
        given = inspect.signature(self.fn).bind(*args, **kwargs).arguments
        self.check_one_of([name for name, value in given.items() if value is not None])
        return self.run(**given)

    def run(self, **given: object) -> R:
        """Run the function here, or in the tool's own process if it is isolated; arguments are not checked.

        Raises:
            ToolCrashed: when that process ends before the function does.
            ToolTimedOut: when the function takes longer than `timeout`.
        """
        if not self.isolated:
            return cast(Callable[..., R], self.fn)(**given)
        from tools.runtime import isolation

        return cast(R, isolation.run(self, given))

    def __repr__(self) -> str:
        """Return the name and the signature."""
        return f"<tool {self.name}{inspect.signature(self.fn)}>"

    def accepts(self, name: str, kind: str) -> bool:
        """Whether the input of this name takes a value of this kind."""
        return name in self.inputs and self.inputs[name].accepts(kind)

    def arguments(self, plain: Mapping[str, object]) -> dict[str, object]:
        """Return the plain parameters, converted and with their defaults.

        Raises:
            ArgumentsInvalid: with one problem "name: what is wrong" for each fault.
        """
        try:
            model = self.params.model_validate(dict(plain))
        except ValidationError as error:
            raise ArgumentsInvalid(self.name, [self._problem(e) for e in error.errors()]) from error
        return {name: getattr(model, name) for name in self.params.model_fields}

    def check_one_of(self, given: Sequence[str]) -> None:
        """Check that at least one of the `one_of` parameters is among the names given.

        Raises:
            ArgumentsInvalid: when none is.
        """
        if self.one_of and not any(name in given for name in self.one_of):
            raise ArgumentsInvalid(self.name, [f"give at least one of {', '.join(self.one_of)}"])

    def card(self) -> Card:
        """Return the declaration as plain data, for planners and pages."""
        params, required = parameter_schemas(self.params)
        returns: CardReturns = {"kind": self.returns.kind, "many": self.returns.many}
        if self.returns.follows:
            returns["follows"] = self.returns.follows
        return {
            "name": self.name,
            "doc": self.doc,
            "inputs": {
                name: {"kinds": list(i.accepted), "many": i.many, "optional": i.optional, "literal": i.literal}
                for name, i in self.inputs.items()
            },
            "params": params,
            "required": required,
            "one_of": list(self.one_of),
            "returns": returns,
            "examples": list(self.examples),
            "read_only": self.read_only,
        }

    def json_schema(self) -> dict[str, object]:
        """Return the JSON schema of a call's arguments, as `arguments_schema` does."""
        return arguments_schema(self.inputs, self.params, self.one_of)

    def _problem(self, error: ErrorDetails) -> str:
        """Return a fault that pydantic found as "name: what is wrong"."""
        place = ".".join(str(part) for part in error["loc"])
        if error["type"] == "extra_forbidden":
            known = [*self.inputs, *self.params.model_fields]
            return f"{place}: there is no such parameter (parameters are {', '.join(known)})"
        if error["type"] == "missing":
            return f"{place}: is missing"
        return f"{place}: {error['msg'][0].lower()}{error['msg'][1:]}"

    def _check_declaration(self, returns_batch: bool) -> None:
        if self.batch != returns_batch:
            raise invalid(
                self.fn,
                "takes a Batch but does not return one, or the other way round",
                "A function over Batch inputs returns Batch[…] with one result for each item",
            )
        if self.batch and not all(i.batch for i in self.inputs.values()):
            raise invalid(self.fn, "mixes Batch inputs with single ones", "Make all value inputs Batch")
        for name in self.one_of:
            if name in self.inputs:
                open_ = self.inputs[name].optional
            elif name in self.params.model_fields:
                open_ = not self.params.model_fields[name].is_required()
            else:
                raise invalid(self.fn, f"names {name!r} in one_of, which is no parameter", "Correct the name")
            if not open_:
                raise invalid(self.fn, f"names {name!r} in one_of, which has no default", f"Write {name}=None")
        if self.timeout is not None and not (self.isolated and self.timeout > 0):
            raise invalid(
                self.fn,
                f"has the timeout {self.timeout}, but is not isolated or the timeout is not above 0",
                "Write isolated=True, timeout=60: only a process of its own can be ended",
            )
        if self.isolated and "<locals>" in self.fn.__qualname__:
            raise invalid(
                self.fn,
                "is isolated, but defined inside a function, where another process cannot find it",
                "Define it at the top of its file",
            )
        known = {*self.inputs, *self.params.model_fields}
        for template in self.words:
            if unknown := sorted(set(placeholders(self.fn, template)) - known):
                raise invalid(self.fn, f"names {unknown[0]!r} in its words, which is no parameter", "Correct the name")
        if isinstance(self.examples, str) or not all(isinstance(e, str) and e.strip() for e in self.examples):
            raise invalid(self.fn, "has examples that are no requests", "Give a list of requests in words")


@overload
def tool(fn: Callable[P, R], /) -> Tool[P, R]: ...
@overload
def tool(
    *,
    examples: Sequence[str] = (),
    one_of: Sequence[str] = (),
    version: str = "1",
    read_only: bool | None = None,
    isolated: bool = False,
    timeout: float | None = None,
    words: str | Sequence[str] = (),
    planned: bool = True,
    needs: Needs | None = None,
) -> Callable[[Callable[P, R]], Tool[P, R]]: ...
def tool(
    fn: Callable[P, R] | None = None,
    /,
    *,
    examples: Sequence[str] = (),
    one_of: Sequence[str] = (),
    version: str = "1",
    read_only: bool | None = None,
    isolated: bool = False,
    timeout: float | None = None,
    words: str | Sequence[str] = (),
    planned: bool = True,
    needs: Needs | None = None,
) -> Tool[P, R] | Callable[[Callable[P, R]], Tool[P, R]]:
    """Make a typed function a tool.

    Args:
        fn: The function, when used as plain `@tool`.
        examples: Requests in words for this tool. The planner reads them.
        one_of: Parameters of which at least one has to be given; each needs the default None.
        version: Raise it when results change for a reason outside the tool's own file, so that cached results are not
            used again. A change of that file is noticed by its hash.
        read_only: Whether approval may be skipped; by default when no picture, sound or video is made.
        isolated: Whether to run it in a process of its own, started by the first call and kept. A crash there, or the
            end of memory, is a failed step; the next call starts a new process.
        timeout: Seconds after which a call of an isolated tool is given up and its process killed.
        words: How a plan says a call, such as "Find: {labels}"; by default the first line of the docstring. Names in
            braces stand for arguments. Of several templates the first counts whose arguments are all given.
            "{which:left=leftmost,best=clearest}" words the values of an argument.
        planned: Whether planners are offered it; without, only people use it, in plans that they write or edit.
        needs: Yields the weights that a call takes (`tools.weights.needs`), so that a person learns which of them are
            missing before the plan runs.

    Raises:
        DeclarationInvalid: when the function cannot be a tool as it is written.
    """
    make = functools.partial(
        Tool,
        examples=examples,
        one_of=one_of,
        version=version,
        read_only=read_only,
        isolated=isolated,
        timeout=timeout,
        words=words,
        planned=planned,
        needs=needs,
    )
    return make if fn is None else make(fn)


AnyTool = Tool[..., object]
"""A tool with any parameters and any result."""
