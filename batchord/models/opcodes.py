"""Reads which modules and names a pickle would import, by its opcodes. Nothing of the pickle is imported or called.

The opcodes of a pickle are a program for a stack. Here the program is followed with stand-ins in place of objects, as
far as names need it: Python's pickletools says what each opcode takes from the stack and puts there. joblib writes the
bytes of an array among the opcodes; the array's shape and type, which the opcodes before them give, say how many.
"""

import io
import math
import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

#: What stands between two opcodes of a joblib file.
_ARRAY = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_WORDS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PUTS, _GETS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"}), frozenset({"GET", "BINGET", "LONG_BINGET"})
_TUPLES = frozenset({"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"})
#: The place of the flags in the state of a numpy.dtype, and the flag for "holds objects of Python".
_FLAGS, _HAS_OBJECTS = 7, 1


class Unreadable(Exception):
    """The opcodes cannot be followed any further."""


@dataclass(frozen=True)
class Name:
    """What an opcode imports."""

    module: str
    name: str


@dataclass(eq=False)
class _Made:
    """Stands for an object: which call would make it, and with which state."""

    callable: Any = None
    arguments: Any = None
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


_MARK = object()
#: What the first protocols of pickle make objects by. The class is the first argument.
_RECONSTRUCTORS = (Name("copyreg", "_reconstructor"), Name("copy_reg", "_reconstructor"))


def names_in(file: BinaryIO) -> Iterator[Name]:
    """What loading the pickle in ``file`` would import, in its order. A name that the pickle computes is ``?``.

    Raises Unreadable, after what it has read so far, if this is no pickle, or is damaged or cut off.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(file):
            yield from machine.follow(opcode, argument)
            if opcode.name == "BUILD" and machine.stack and _is_array(machine.stack[-1]):
                yield from _array(machine.stack[-1], file)
    except (ValueError, OverflowError) as error:
        raise Unreadable(f"{error} (at byte {file.tell():,})") from None
    except (IndexError, KeyError, TypeError, RecursionError):
        raise Unreadable(f"an opcode uses what is not there (at byte {file.tell():,})") from None


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[Any, Any] = {}

    def follow(self, opcode: pickletools.OpcodeInfo, argument: Any) -> Iterator[Name]:
        """Does what the opcode does to the stack. Yields what it imports."""
        name, stack = opcode.name, self.stack
        if name in _PUTS or name == "MEMOIZE":
            self._memo[len(self._memo) if name == "MEMOIZE" else int(argument)] = stack[-1]
        elif name in _GETS:
            stack.append(self._memo[int(argument)])
        elif name in _WORDS:
            stack.append(_WORDS[name])
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in ("GLOBAL", "INST"):
            imported = Name(*argument.split(" ", 1))
            yield imported
            self._apply(opcode, [_Made(imported) if name == "INST" else imported])
        elif name in ("EXT1", "EXT2", "EXT4"):
            imported = Name("copyreg", f"extension {argument}")
            yield imported
            stack.append(imported)
        elif name == "STACK_GLOBAL":
            attribute, module = self._pop(), self._pop()
            texts = [each if isinstance(each, str) else "?" for each in (module, attribute)]
            imported = Name(*texts)
            yield imported
            stack.append(imported)
        elif opcode.arg is not None and opcode.stack_after and not opcode.stack_before:
            stack.append(argument)  # a constant
        else:
            taken = self._take(opcode)
            self._put(name, opcode, taken)

    def _put(self, name: str, opcode: pickletools.OpcodeInfo, taken: list[Any]) -> None:
        if name in _TUPLES:
            self.stack.append(tuple(taken))
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ"):
            self.stack.append(_Made(taken[0], taken[1] if len(taken) > 1 else None))
        elif name == "BUILD":
            made, state = taken
            if isinstance(made, _Made):
                made.state = state
            self.stack.append(made)
        elif name in ("DICT", "SETITEM", "SETITEMS"):
            made, pairs = (_Made(), taken) if name == "DICT" else (taken[0], taken[1:])
            if isinstance(made, _Made):
                made.items |= {key: value for key, value in zip(pairs[::2], pairs[1::2], strict=True) if _plain(key)}
            self.stack.append(made)
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            self.stack.append(taken[0])
        else:
            self._results(opcode)

    def _apply(self, opcode: pickletools.OpcodeInfo, results: list[Any]) -> None:
        self._take(opcode)
        self.stack += results

    def _results(self, opcode: pickletools.OpcodeInfo) -> None:
        self.stack += [_MARK if each is pickletools.markobject else _Made() for each in opcode.stack_after]

    def _take(self, opcode: pickletools.OpcodeInfo) -> list[Any]:
        """Takes from the stack what the opcode takes, in the order of the stack, without the mark."""
        before = opcode.stack_before
        if pickletools.markobject not in before:
            return [self._pop() for _ in before][::-1]
        taken: list[Any] = []
        while (top := self.stack.pop()) is not _MARK:
            taken.append(top)
        taken += [self._pop() for _ in range(before.index(pickletools.markobject))]
        return taken[::-1]

    def _pop(self) -> Any:
        top = self.stack.pop()
        if top is _MARK:
            raise ValueError("a mark where a value is needed")
        return top


def _plain(key: Any) -> bool:
    return isinstance(key, str | int | bytes)


def _is_array(made: Any) -> bool:
    if not isinstance(made, _Made):
        return False
    kind = made.callable
    if kind in _RECONSTRUCTORS and isinstance(made.arguments, tuple) and made.arguments:
        kind = made.arguments[0]
    return isinstance(kind, Name) and (kind.module, kind.name) == _ARRAY


def _array(wrapper: _Made, file: BinaryIO) -> Iterator[Name]:
    """Passes over the bytes of joblib's array, or reads the pickle that stands for them if they are objects."""
    state = wrapper.state.items if isinstance(wrapper.state, _Made) else {}
    shape, kind = state.get("shape"), state.get("dtype")
    if not isinstance(shape, tuple) or not isinstance(kind, _Made) or not isinstance(kind.arguments, tuple):
        raise Unreadable("an array of joblib's without a shape or a type")
    code = str(kind.arguments[0])
    flags = kind.state[_FLAGS] if isinstance(kind.state, tuple) and len(kind.state) > _FLAGS else 0
    if code.lstrip("<>=|")[:1] == "O" or flags & _HAS_OBJECTS:
        yield from names_in(file)
        return
    digits = "".join(filter(str.isdigit, code))
    size = int(digits or 1) * (4 if "U" in code else 1)
    if state.get("numpy_array_alignment_bytes") is not None:
        file.seek(int.from_bytes(file.read(1), "little"), io.SEEK_CUR)
    file.seek(size * math.prod(shape), io.SEEK_CUR)
