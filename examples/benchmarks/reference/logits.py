"""The streams against the reference implementation, FuxiCTR: logits of the same models with the same weights.

Each model of FuxiCTR is built with random weights, its weights are copied into a `TwoStreamNetwork`, and both score the
same rows in evaluation mode. Where one of our parts leaves out what the reference has, it is said beside the model.

    FUXICTR_HOME=... PYTHONPATH=.:$FUXICTR_HOME venv/bin/python examples/benchmarks/reference/logits.py

`fuxictr.py` says what environment the reference needs; this library must be importable there, too. None of the
reference's code is used but by calling its models.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sk_finalmlp.nn import TwoStreamNetwork
from sk_finalmlp.schema import Field
from sk_finalmlp.streams import CIN, MLP, QNN, CrossNet, Final, GatedCrossNet, MaskNet, SelfAttention

HOME = "FUXICTR_HOME"
_SIZES = [17, 40, 5, 9]
_DIM = 6
_WIDTH = len(_SIZES) * _DIM
_N_ROWS = 1000
_TOLERANCE = 1e-5
_MLP = MLP((24, 16), dropout=0.0)


@dataclass(frozen=True)
class Case:
    """A model of the reference, the same of ours, and how the weights go from one to the other."""

    model: str
    parameters: dict[str, Any]
    network: dict[str, Any]
    copy: Callable[[TwoStreamNetwork, Any], None]
    class_name: str = ""


def main() -> None:
    """Print the largest difference of the logits of each model."""
    torch.manual_seed(0)
    print(f"{'model':24} {'largest |logit|':>16} {'largest difference':>19}")
    worst = 0.0
    for name, case in CASES.items():
        theirs = _reference(case)
        _draw_weights(theirs)
        ours = TwoStreamNetwork(_fields(), **{"embedding_dim": _DIM, "feature_selection": False, **case.network})
        with torch.no_grad():
            _copy_tables(ours, theirs)
            case.copy(ours, theirs)
        codes = torch.stack([torch.randint(1, size, (_N_ROWS,)) for size in _SIZES], dim=1)
        expected, actual = _reference_logits(theirs, codes), _our_logits(ours, codes)
        difference = (expected - actual).abs().max().item()
        worst = max(worst, difference)
        print(f"{name:24} {expected.abs().max().item():16.3f} {difference:19.1e}")
    print(f"all within {_TOLERANCE}" if worst <= _TOLERANCE else f"NOT within {_TOLERANCE}")


def _fields() -> list[Field]:
    return [Field(f"f{position}", "categorical", n_codes=size) for position, size in enumerate(_SIZES)]


def _reference(case: Case) -> Any:
    """A model of the reference in evaluation mode, which gives logits."""
    folder = Path(os.environ[HOME], "model_zoo", case.model)
    # Every model's package is called src.
    for module in [module for module in sys.modules if module == "src" or module.startswith("src.")]:
        del sys.modules[module]
    sys.path.insert(0, str(folder))
    try:
        model_class = getattr(importlib.import_module("src"), case.class_name or case.model)
    finally:
        sys.path.pop(0)
    kept = {
        "verbose": 0,
        "model_root": "unused",
        "metrics": ["AUC"],
        "optimizer": "adam",
        "loss": "binary_crossentropy",
    }
    model = model_class(_feature_map(), embedding_dim=_DIM, **case.parameters, **kept)
    model.output_activation = nn.Identity()
    if hasattr(model, "mask_net"):  # where the sigmoid is one of the layers
        layers = model.mask_net.dnn.mlp if hasattr(model.mask_net, "dnn") else model.mask_net.fc
        layers[-1] = nn.Identity()
    return model.eval()


def _feature_map() -> Any:
    feature_map = importlib.import_module("fuxictr.features").FeatureMap("logits", ".")
    for field in _fields():
        feature_map.features[field.name] = {
            "type": "categorical",
            "source": "",
            "vocab_size": field.n_codes,
            "padding_idx": 0,
        }
    feature_map.labels = ["label"]
    feature_map.num_fields = len(_SIZES)
    feature_map.default_emb_dim = _DIM
    feature_map.set_column_index()
    return feature_map


def _draw_weights(model: nn.Module) -> None:
    """Random weights of a size at which every part matters, the running statistics of batch norm included."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.normal_(std=0.4)
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                module.weight[0] = 0
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 2)


def _reference_logits(model: Any, codes: Tensor) -> Tensor:
    inputs = {field.name: codes[:, position] for position, field in enumerate(_fields())}
    with torch.inference_mode():
        if hasattr(model, "qnn"):  # whose own forward calls an older embedding layer
            logits: Tensor = model.qnn(model.embedding_layer(inputs, flatten_emb=True))
        else:
            logits = model({**inputs, "label": torch.zeros(len(codes))})["y_pred"]
    return logits.view(-1)


def _our_logits(network: TwoStreamNetwork, codes: Tensor) -> Tensor:
    with torch.inference_mode():
        return network.eval()(codes, torch.empty(len(codes), 0)).view(-1)


def _copy_tables(ours: TwoStreamNetwork, theirs: Any) -> None:
    _copy_table(ours.embedding, theirs.embedding_layer)
    if ours.linear_term is not None:
        _copy_table(ours.linear_term, theirs.lr_layer.embedding_layer)


def _copy_table(ours: Any, theirs: Any) -> None:
    tables = theirs.embedding_layer.embedding_layers
    ours.table.copy_(torch.cat([tables[field.name].weight for field in _fields()]))


def _copy(ours: Any, theirs: Any) -> None:
    """Weight and bias of a layer."""
    ours.weight.copy_(theirs.weight)
    if ours.bias is not None:
        ours.bias.copy_(theirs.bias)
    elif theirs.bias is not None:
        theirs.bias.zero_()  # before batch norm, which takes it out again but for its running mean
    if hasattr(ours, "running_mean"):
        ours.running_mean.copy_(theirs.running_mean)
        ours.running_var.copy_(theirs.running_var)


def _copy_mlp(ours: Any, theirs: Any) -> None:
    """Layers of an MLP; the last linear one of theirs is an output, which the caller copies."""
    theirs = [layer for layer in theirs if isinstance(layer, nn.Linear | nn.BatchNorm1d)]
    for layer in ours:
        if isinstance(layer, nn.Linear):
            _copy(layer, theirs.pop(0))
        elif layer.norm is not None:
            _copy(layer.norm, theirs.pop(0))


def _copy_concat_output(ours: TwoStreamNetwork, theirs: Any) -> None:
    """An output of the cross network and then the MLP; ours has the MLP first."""
    weight = theirs.weight
    ours.fusion.weight.copy_(torch.cat([weight[:, _WIDTH:], weight[:, :_WIDTH]], dim=1))
    ours.fusion.bias.copy_(theirs.bias)


def _dcnv2(ours: TwoStreamNetwork, theirs: Any) -> None:
    for own, other in zip(ours.stream2.layers, theirs.crossnet.cross_layers, strict=True):
        _copy(own.linear, other)
    _copy_mlp(ours.stream1, theirs.parallel_dnn.mlp)
    _copy_concat_output(ours, theirs.fc)


def _dcnv2_mix(ours: TwoStreamNetwork, theirs: Any) -> None:
    mix = theirs.crossnet
    ours.stream2.gate.weight.copy_(torch.cat([gate.weight for gate in mix.gating]))
    for number, own in enumerate(ours.stream2.layers):
        for letter in "uvc":
            getattr(own, letter).copy_(getattr(mix, f"{letter.upper()}_list")[number])
        own.bias.copy_(mix.bias[number][:, 0])
    _copy_mlp(ours.stream1, theirs.parallel_dnn.mlp)
    _copy_concat_output(ours, theirs.fc)


def _gdcn(ours: TwoStreamNetwork, theirs: Any) -> None:
    net = theirs.cross_net
    for number, layer in enumerate(ours.stream2.layers):
        layer.cross.weight.copy_(net.w[number].weight)
        layer.cross.bias.copy_(net.b[number])
        layer.gate.weight.copy_(net.wg[number].weight)
    _copy_mlp(ours.stream1, theirs.dnn.mlp)
    _copy_concat_output(ours, theirs.fc)


def _xdeepfm(ours: TwoStreamNetwork, theirs: Any) -> None:
    n_rows = len(_SIZES)
    for own, other in zip(ours.stream2.layers, theirs.cin.cin_layer.values(), strict=True):
        weight = other.weight.view(len(other.weight), len(_SIZES), n_rows)
        own.weight.copy_(weight.transpose(1, 2).flatten(start_dim=1))
        own.bias.copy_(other.bias)
        n_rows = len(other.weight)
    _copy_mlp(ours.stream1, theirs.dnn.mlp)
    _copy(ours.fusion.linear_x, theirs.dnn.mlp[-1])
    _copy(ours.fusion.linear_y, theirs.cin.fc)


def _autoint(ours: TwoStreamNetwork, theirs: Any) -> None:
    names = {"query": "W_q", "key": "W_k", "value": "W_v", "residual": "W_res", "norm": "layer_norm"}
    for own, other in zip(ours.stream2.layers, theirs.self_attention, strict=True):
        for name, their_name in names.items():
            if getattr(own, name) is not None:
                _copy(getattr(own, name), getattr(other, their_name))
    _copy_mlp(ours.stream1, theirs.dnn.mlp)
    _copy(ours.fusion.linear_x, theirs.dnn.mlp[-1])
    _copy(ours.fusion.linear_y, theirs.fc)


def _copy_masks(ours: TwoStreamNetwork, theirs: Any) -> None:
    for own, other in zip(ours.stream1.blocks, theirs.mask_net.mask_blocks, strict=True):
        _copy(own.mask[0], other.mask_layer[0])
        _copy(own.mask[2], other.mask_layer[2])
        _copy(own.hidden, other.hidden_layer[0])
        _copy(own.norm, other.hidden_layer[1])
    if theirs.emb_norm is not None:
        ours.stream1.norm.weight.copy_(torch.stack([norm.weight for norm in theirs.emb_norm]))
        ours.stream1.norm.bias.copy_(torch.stack([norm.bias for norm in theirs.emb_norm]))


def _masknet_serial(ours: TwoStreamNetwork, theirs: Any) -> None:
    _copy_masks(ours, theirs)
    _copy(ours.fusion, theirs.mask_net.fc[0])


def _masknet_parallel(ours: TwoStreamNetwork, theirs: Any) -> None:
    _copy_masks(ours, theirs)
    layers = [layer for layer in theirs.mask_net.dnn.mlp if isinstance(layer, nn.Linear)]
    _copy_mlp(ours.stream1.mlp, layers)
    _copy(ours.fusion, layers[-1])


def _copy_block(ours: Any, theirs: Any) -> None:
    layers = [own for own in ours if hasattr(own, "activation")]
    for own, layer, norm in zip(layers, theirs.layer, theirs.norm, strict=True):
        _copy(own.linear, layer.linear)
        _copy(own.activation.norm, norm)


def _finalnet_1b(ours: TwoStreamNetwork, theirs: Any) -> None:
    _copy_block(ours.stream1, theirs.block1)
    _copy(ours.fusion, theirs.fc1)


def _finalnet_2b(ours: TwoStreamNetwork, theirs: Any) -> None:
    _copy(ours.stream1[0].linear, theirs.feature_gating.linear)
    _copy_block(ours.stream1, theirs.block1)
    _copy_block(ours.stream2, theirs.block2)
    # The reference takes the mean of the two logits.
    for own, other in ((ours.fusion.linear_x, theirs.fc1), (ours.fusion.linear_y, theirs.fc2)):
        own.weight.copy_(other.weight / 2)
        own.bias.copy_(other.bias / 2)


def _qnn(ours: TwoStreamNetwork, theirs: Any) -> None:
    for own, other in zip(ours.stream1, theirs.qnn.layer, strict=True):
        _copy(own.linear, other.linear[0])
        _copy(own.activation.norm, other.linear[1])
    _copy(ours.fusion, theirs.qnn.fc)


def _pair(stream2: Any, fusion: str, **others: Any) -> dict[str, Any]:
    return {"stream1": _MLP, "stream2": stream2, "fusion": fusion, **others}


def _alone(stream1: Any) -> dict[str, Any]:
    return {"stream1": stream1, "stream2": None}


_PARALLEL = {"model_structure": "parallel", "parallel_dnn_hidden_units": [24, 16], "batch_norm": True}
_DNN = {"dnn_hidden_units": [24, 16], "batch_norm": True}
_BLOCKS = {"block1_hidden_units": [12, 8], "block1_hidden_activations": "ReLU"}

CASES = {
    "DCNv2": Case("DCNv2", {**_PARALLEL, "num_cross_layers": 3}, _pair(CrossNet(3, units=None), "concat"), _dcnv2),
    "DCNv2, 3 experts": Case(
        "DCNv2",
        {**_PARALLEL, "num_cross_layers": 2, "use_low_rank_mixture": True, "low_rank": 4, "num_experts": 3},
        _pair(CrossNet(2, rank=4, n_experts=3, units=None), "concat"),
        _dcnv2_mix,
    ),
    "GDCN, parallel": Case(
        "GDCN", {**_DNN, "num_cross_layers": 3}, _pair(GatedCrossNet(3, units=None), "concat"), _gdcn, "GDCNP"
    ),
    "xDeepFM": Case(
        "xDeepFM",
        {**_DNN, "cin_hidden_units": [7, 5]},
        _pair(CIN((7, 5), units=None), "sum", linear_term=True),
        _xdeepfm,
    ),
    "AutoInt+": Case(
        "AutoInt",
        {**_DNN, "attention_layers": 2, "attention_dim": 8, "num_heads": 2, "use_wide": True},
        _pair(SelfAttention(2, 2, 8, units=None), "sum", linear_term=True),
        _autoint,
    ),
    "AutoInt+, norm, scale": Case(
        "AutoInt",
        {**_DNN, "attention_layers": 2, "attention_dim": _DIM, "num_heads": 2, "layer_norm": True, "use_scale": True},
        _pair(SelfAttention(2, 2, _DIM, scaled=True, layer_norm=True, units=None), "sum"),
        _autoint,
    ),
    "MaskNet, serial": Case(
        "MaskNet",
        {"dnn_hidden_units": [24, 16], "reduction_ratio": 2},
        _alone(MaskNet((24, 16), reduction_ratio=2.0)),
        _masknet_serial,
    ),
    "MaskNet, parallel": Case(
        "MaskNet",
        {
            "model_type": "ParallelMaskNet",
            "parallel_num_blocks": 3,
            "parallel_block_dim": 10,
            "dnn_hidden_units": [24, 16],
            "emb_layernorm": False,
        },
        _alone(MaskNet((24, 16), 3, 10, embedding_norm=False)),
        _masknet_parallel,
    ),
    "FinalNet, 1 block": Case("FinalNet", {**_BLOCKS, "block_type": "1B"}, _alone(Final((12, 8))), _finalnet_1b),
    "FinalNet, 2 blocks": Case(
        "FinalNet",
        {**_BLOCKS, "block2_hidden_units": [10], "block2_hidden_activations": "ReLU", "use_feature_gating": True},
        {"stream1": Final((12, 8), field_gate=True), "stream2": Final((10,)), "fusion": "sum"},
        _finalnet_2b,
    ),
    "QNN-alpha": Case("QNN", {"num_layers": 2, "num_row": 3, "batch_norm": True}, _alone(QNN(2, 3)), _qnn, "QNN_alpha"),
}


if __name__ == "__main__":
    main()
