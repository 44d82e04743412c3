"""Write an .ort file anew, in one order: ONNX Runtime lists its operators as a hash table of the moment has them.

The file is a flatbuffer, laid out from its end: the model first, then the list of operators and the root, which come to
lie at the head of the file. The model is kept, byte for byte, and what lies before it is made again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["write_in_order"]

IDENTIFIER = b"ORTM"
ROOM = 2**20  # bytes for what lies before the model; it has some thousands
ALIGNMENT = 16  # bytes: what ONNX Runtime aligns tensors to


def write_in_order(file: Path) -> None:
    """Replace an .ort file by one that is the same for the same graph, on every run."""
    import flatbuffers  # type: ignore[import-untyped]
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs import (
        ArgTypeAndIndex,
        InferenceSession,
        KernelTypeStrArgsEntry,
        KernelTypeStrResolver,
        OpIdKernelTypeStrArgsEntry,
    )

    content = file.read_bytes()
    root = InferenceSession.InferenceSession.GetRootAs(content, 0)
    resolver = root.KernelTypeStrResolver()
    if resolver is None:
        return
    model = root.Model()._tab.Pos
    layout = model - int.from_bytes(content[model : model + 4], "little", signed=True)  # of the model's fields
    begin = layout if layout < model else model
    builder = flatbuffers.Builder(len(content) - begin + ROOM)
    builder.Prep(ALIGNMENT, 0)
    builder.head -= len(content) - begin
    builder.Bytes[builder.head :] = content[begin:]

    def arguments(entry: Any) -> int:
        made = []
        for place in range(entry.ArgsLength()):
            argument = entry.Args(place)
            ArgTypeAndIndex.Start(builder)
            ArgTypeAndIndex.AddArgType(builder, argument.ArgType())
            ArgTypeAndIndex.AddIndex(builder, argument.Index())
            made.append(ArgTypeAndIndex.End(builder))
        name = builder.CreateString(entry.KernelTypeStr())
        listed = _vector(builder, KernelTypeStrArgsEntry.StartArgsVector, made)
        KernelTypeStrArgsEntry.Start(builder)
        KernelTypeStrArgsEntry.AddKernelTypeStr(builder, name)
        KernelTypeStrArgsEntry.AddArgs(builder, listed)
        return int(KernelTypeStrArgsEntry.End(builder))

    def operator(entry: Any) -> int:
        entries = [entry.KernelTypeStrArgs(place) for place in range(entry.KernelTypeStrArgsLength())]
        made = [arguments(each) for each in sorted(entries, key=lambda each: bytes(each.KernelTypeStr()))]
        name = builder.CreateString(entry.OpId())
        listed = _vector(builder, OpIdKernelTypeStrArgsEntry.StartKernelTypeStrArgsVector, made)
        OpIdKernelTypeStrArgsEntry.Start(builder)
        OpIdKernelTypeStrArgsEntry.AddOpId(builder, name)
        OpIdKernelTypeStrArgsEntry.AddKernelTypeStrArgs(builder, listed)
        return int(OpIdKernelTypeStrArgsEntry.End(builder))

    entries = [resolver.OpKernelTypeStrArgs(place) for place in range(resolver.OpKernelTypeStrArgsLength())]
    made = [operator(each) for each in sorted(entries, key=lambda each: bytes(each.OpId()))]
    listed = _vector(builder, KernelTypeStrResolver.StartOpKernelTypeStrArgsVector, made)
    KernelTypeStrResolver.Start(builder)
    KernelTypeStrResolver.AddOpKernelTypeStrArgs(builder, listed)
    operators = KernelTypeStrResolver.End(builder)
    version = builder.CreateString(root.OrtVersion())
    InferenceSession.Start(builder)
    InferenceSession.AddOrtVersion(builder, version)
    InferenceSession.AddModel(builder, len(content) - model)
    InferenceSession.AddKernelTypeStrResolver(builder, operators)
    builder.Finish(InferenceSession.End(builder), file_identifier=IDENTIFIER)
    file.write_bytes(builder.Output())


def _vector(builder: Any, start: Callable[[Any, int], Any], offsets: Sequence[int]) -> int:
    start(builder, len(offsets))
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
