"""Each part of the network alone."""

import pytest
import torch
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn import functional as F

from sk_finalmlp.nn import (
    Dropout,
    FeatureGate,
    FieldEmbedding,
    FieldSelection,
    MultiHeadBilinearFusion,
    Stream,
    dropout_generator,
)
from sk_finalmlp.schema import Field

NO_VALUES = torch.empty(2, 0)


class TestFieldEmbedding:
    def test_numeric_field_scales_its_vector(self):
        embedding = FieldEmbedding([Field("age", "numeric")], 4)
        vectors = embedding(torch.empty(2, 0, dtype=torch.int64), torch.tensor([[2.0], [-1.0]]))
        torch.testing.assert_close(vectors[:, 0], torch.stack([2 * embedding.numeric[0], -embedding.numeric[0]]))

    def test_tables_of_fields_do_not_overlap(self):
        embedding = FieldEmbedding([Field("a", "categorical", n_codes=3), Field("b", "categorical", n_codes=5)], 4)
        vectors = embedding(torch.tensor([[2, 4], [1, 0]]), NO_VALUES)
        torch.testing.assert_close(vectors[0], embedding.table[[2, 3 + 4]])
        torch.testing.assert_close(vectors[1], torch.stack([embedding.table[1], torch.zeros(4)]))

    def test_multi_valued_field_is_the_mean_of_its_known_codes(self):
        embedding = FieldEmbedding([Field("genres", "multi-valued", n_codes=5, n_columns=3)], 4)
        vectors = embedding(torch.tensor([[1, 4, 0], [0, 0, 0]]), NO_VALUES)
        torch.testing.assert_close(vectors[0, 0], embedding.table[[1, 4]].mean(dim=0))
        assert not vectors[1].any()

    def test_order_is_by_kind(self):
        fields = [
            Field("age", "numeric"),
            Field("genres", "multi-valued", n_codes=5, n_columns=2),
            Field("user", "categorical", n_codes=3),
        ]
        assert [field.name for field in FieldEmbedding(fields, 4).fields] == ["user", "genres", "age"]

    def test_a_choice_of_fields_takes_their_columns_of_the_whole_batch(self):
        fields = [
            Field("user", "categorical", n_codes=3),
            Field("genres", "multi-valued", n_codes=5, n_columns=2),
            Field("age", "numeric"),
            Field("price", "numeric"),
        ]
        embedding = FieldEmbedding(fields, 4, names=["price", "genres"])
        vectors = embedding(torch.tensor([[2, 1, 4]]), torch.tensor([[7.0, 3.0]]))
        torch.testing.assert_close(vectors[0, 0], embedding.table[[1, 4]].mean(dim=0))
        torch.testing.assert_close(vectors[0, 1], 3 * embedding.numeric[0])

    @pytest.mark.parametrize("n_threads", [1, 2])
    def test_gradient_of_the_table_has_the_bits_of_torch(self, n_threads):
        embedding = FieldEmbedding([Field("a", "categorical", n_codes=50)], 10)
        codes, upstream = torch.randint(50, (9000, 1)), torch.randn(9000, 1, 10)
        expected = F.embedding(codes, embedding.table, padding_idx=0)
        with threadpool_limits(n_threads, user_api="openmp"):
            vectors = embedding(codes, torch.empty(9000, 0))
            (gradient,) = torch.autograd.grad(vectors, embedding.table, upstream)
        assert torch.equal(vectors, expected)
        assert torch.equal(gradient, *torch.autograd.grad(expected, embedding.table, upstream))

    def test_codes_beyond_the_table_are_unknown(self):
        embedding = FieldEmbedding([Field("a", "categorical", n_codes=3), Field("b", "categorical", n_codes=5)], 4)
        assert not embedding(torch.tensor([[3, 5], [100, -1]]), NO_VALUES).any()

    def test_features_are_all_vectors_and_then_the_statistics_as_they_are(self):
        fields = [Field("user@rate", "statistic"), Field("age", "numeric"), Field("user", "categorical", n_codes=3)]
        embedding = FieldEmbedding(fields, 4)
        codes, values = torch.tensor([[2], [0]]), torch.tensor([[0.5, 7.0], [1.5, -2.0]])
        features = embedding.features(codes, values)
        torch.testing.assert_close(features[:, :8], embedding(codes, values).flatten(start_dim=1))
        assert features[:, 8:].tolist() == [[7.0], [-2.0]]

    def test_features_of_statistics_alone(self):
        embedding = FieldEmbedding([Field("a@rate", "statistic"), Field("a@count", "statistic")], 4)
        values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
        assert torch.equal(embedding.features(torch.empty(2, 0, dtype=torch.int64), values), values)

    def test_fields_of_one_name_are_refused(self):
        with pytest.raises(ValueError, match=r"\['a'\] occur more than once"):
            FieldEmbedding([Field("a", "numeric"), Field("a", "categorical", n_codes=3)], 4)


class TestFieldSelection:
    FIELDS = (
        Field("user@rate", "statistic"),
        Field("age", "numeric"),
        Field("user", "categorical", n_codes=3),
        Field("user@count", "statistic"),
        Field("item", "categorical", n_codes=3),
    )
    # By kind: user 0-1, item 2-3, age 4-5, user@rate 6, user@count 7.

    @pytest.mark.parametrize(
        ("names", "positions"),
        [
            (None, range(8)),
            (["item", "age"], [2, 3, 4, 5]),
            (["user@count", "user"], [0, 1, 7]),
            (["user", "age", "user@rate"], [0, 1, 4, 5, 6]),
            (["user@count"], [7]),
            (["user", "user"], [0, 1]),
        ],
        ids=["all", "side by side", "apart", "both", "one", "twice"],
    )
    def test_takes_the_features_of_the_chosen_fields_in_order(self, names, positions):
        selection = FieldSelection(self.FIELDS, 2, names)
        e = torch.arange(24.0).reshape(3, 8)
        assert torch.equal(selection(e), e[:, list(positions)])
        assert selection.n_features == len(positions)

    def test_names_what_is_no_field(self):
        with pytest.raises(ValueError, match=r"the field 'usr', but the fields are .*'user'"):
            FieldSelection(self.FIELDS, 2, ["user", "usr"])

    def test_refuses_to_read_nothing(self):
        with pytest.raises(ValueError, match="needs a field to read, but none is chosen"):
            FieldSelection(self.FIELDS, 2, [])


class TestFeatureGate:
    FIELDS = (Field("user", "categorical", n_codes=50), Field("age", "numeric"))

    @pytest.mark.parametrize("context", [(), ("user",), ("user", "age")])
    def test_is_one_at_the_start(self, context):
        gate = FeatureGate(self.FIELDS, context, n_features=30, hidden_units=[400])
        weights = gate(torch.arange(50).view(-1, 1), torch.randn(50, 1))
        torch.testing.assert_close(weights, torch.ones_like(weights), rtol=0, atol=0.02)

    def test_without_context_is_one_row_for_the_whole_batch(self):
        gate = FeatureGate(self.FIELDS, (), n_features=30, hidden_units=[400])
        assert gate(torch.arange(50).view(-1, 1), torch.randn(50, 1)).shape == (1, 30)

    @pytest.mark.parametrize("context", [("user",), ("age",), ("user", "age"), ("user", "item")])
    def test_is_that_of_the_context_of_each_row(self, context):
        fields = [*self.FIELDS, Field("item", "categorical", n_codes=4)]
        gate = FeatureGate(fields, context, n_features=6, hidden_units=[8]).double()
        nn.init.normal_(gate.context_embedding.table)
        codes, values = torch.stack([torch.arange(40) % 7, torch.arange(40) % 3], dim=1), torch.randn(40, 1).double()
        together = gate(codes, values)
        one_by_one = torch.cat([gate(codes[row : row + 1], values[row : row + 1]) for row in range(40)])
        torch.testing.assert_close(together, one_by_one)
        upstream = torch.randn(40, 6).double()
        torch.testing.assert_close(
            torch.autograd.grad((together * upstream).sum(), list(gate.gate.parameters())),
            torch.autograd.grad((one_by_one * upstream).sum(), list(gate.gate.parameters())),
        )

    def test_is_that_of_each_row_in_large_vocabularies(self):
        # 10,000 users times item 429,497 is 2^32 and a little more.
        fields = [Field("user", "categorical", n_codes=10_001), Field("item", "categorical", n_codes=520_000)]
        gate = FeatureGate(fields, ("user", "item"), n_features=6, hidden_units=[8], embedding_dim=2)
        nn.init.normal_(gate.context_embedding.table)
        codes = torch.stack([torch.arange(1, 10_001), torch.full((10_000,), 5)], dim=1).int()
        codes[0, 1], codes[2704, 1] = 1 + 429_497, 1
        rows = torch.tensor([0, 1, 2704])
        values = torch.empty(10_000, 0)
        torch.testing.assert_close(gate(codes, values)[rows], gate(codes[rows], values[rows]))

    def test_codes_far_beyond_the_table_share_the_gate_of_the_unknown_one(self):
        fields = [Field("user", "categorical", n_codes=50), Field("item", "categorical", n_codes=4)]
        gate = FeatureGate(fields, ("user", "item"), n_features=6, hidden_units=[8])
        nn.init.normal_(gate.context_embedding.table)
        codes = torch.tensor([[7, 2**62], [8, 2**62], [7, -(2**62)], [7, 0], [8, 0]])
        gates = gate(codes, torch.empty(5, 0))
        torch.testing.assert_close(gates[[0, 1, 2]], gates[[3, 4, 3]])
        assert not torch.equal(gates[3], gates[4])

    def test_stays_between_zero_and_two(self):
        gate = FeatureGate(self.FIELDS, ("age",), n_features=30, hidden_units=[8])
        weights = gate(torch.zeros(2, 1, dtype=torch.int64), torch.tensor([[1e9], [-1e9]]))
        assert ((weights >= 0) & (weights <= 2)).all()


class TestStream:
    def test_has_a_bias_only_where_no_batch_norm_follows(self):
        assert Stream(6, [4], batch_norm=True)[0].bias is None
        assert Stream(6, [4], batch_norm=False)[0].bias is not None

    def test_refuses_no_layers(self):
        with pytest.raises(ValueError, match="hidden_units is empty"):
            Stream(6, [])


class TestFusion:
    @pytest.mark.parametrize("num_heads", [1, 2, 4])
    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_equals_a_loop_over_heads(self, num_heads, n_outputs):
        fusion = MultiHeadBilinearFusion(8, 12, n_outputs, num_heads).double()
        x, y = torch.randn(5, 8, dtype=torch.float64), torch.randn(5, 12, dtype=torch.float64)
        expected = fusion.linear_x(x) + fusion.linear_y(y)
        weights = fusion.bilinear.view(num_heads, 8 // num_heads, n_outputs, 12 // num_heads)
        for head, (x_head, y_head) in enumerate(zip(x.chunk(num_heads, 1), y.chunk(num_heads, 1), strict=True)):
            for output in range(n_outputs):
                for row in range(5):
                    expected[row, output] += x_head[row] @ weights[head, :, output] @ y_head[row]
        torch.testing.assert_close(fusion(x, y), expected)

    def test_fuses_streams_of_any_network(self):
        streams = nn.Linear(3, 8), nn.Linear(5, 12)
        fused = MultiHeadBilinearFusion(8, 12, num_heads=4)(streams[0](torch.ones(2, 3)), streams[1](torch.ones(2, 5)))
        fused.sum().backward()
        assert all(stream.weight.grad.any() for stream in streams)

    def test_names_the_shapes_that_do_not_fit(self):
        with pytest.raises(ValueError, match=r"widths 8 and 12; it got tensors of shapes \(5, 12\) and \(5, 8\)"):
            MultiHeadBilinearFusion(8, 12)(torch.ones(5, 12), torch.ones(5, 8))

    def test_names_the_widths_and_the_divisors_that_work(self):
        with pytest.raises(ValueError, match=r"num_heads=3 .* 400 and 100.*\[1, 2, 4, 5, 10, 20, 25, 50, 100\]"):
            MultiHeadBilinearFusion(400, 100, num_heads=3)


class TestDropout:
    @pytest.mark.parametrize("p", [0.1, 0.4, 0.9])
    def test_rate_and_scale(self, p):
        x = torch.ones(1000, 100)
        dropped = Dropout(p)(x)
        assert dropped.unique().tolist() == pytest.approx([0, 1 / (1 - p)])
        assert (dropped == 0).float().mean().item() == pytest.approx(p, abs=0.01)

    def test_is_the_identity_in_evaluation(self):
        x = torch.randn(10, 10)
        assert torch.equal(Dropout(0.5).eval()(x), x)

    def test_draws_from_the_generator_it_is_lent(self):
        network, x = Stream(4, [8], dropout=0.5), torch.randn(100, 4)
        state = torch.get_rng_state()

        def draw():
            with dropout_generator(network, torch.Generator().manual_seed(3)):
                return network(x)

        assert torch.equal(draw(), draw())
        assert torch.equal(torch.get_rng_state(), state)

    @pytest.mark.parametrize("p", [-0.1, 1.0])
    def test_refuses_what_is_no_probability(self, p):
        with pytest.raises(ValueError, match="dropout must be in"):
            Dropout(p)
