// Click probabilities of rows in JSON, by a file of to_onnx: node score.mjs clicks.onnx < rows.json
// The columns of a row that are null or absent count as missing.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const MISSING_INTEGER = -(2n ** 63n);

const microseconds = (text) => BigInt(Date.parse(/Z|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`)) * 1000n;

const converters = {
  string: (value) => (value === null ? "" : Array.isArray(value) ? value.join("|") : value),
  float64: (value) => (value === null ? NaN : value),
  int64: (value) => (value === null ? MISSING_INTEGER : typeof value === "string" ? microseconds(value) : BigInt(value)),
};
const arrays = { string: Array, float64: Float64Array, int64: BigInt64Array };

const tensorOf = ({ name, type }, rows) =>
  new ort.Tensor(type, arrays[type].from(rows, (row) => converters[type](row[name] ?? null)), [rows.length, 1]);

ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(process.argv[2]));
const rows = JSON.parse(readFileSync(0, "utf8"));
const tensors = Object.fromEntries(session.inputMetadata.map((input) => [input.name, tensorOf(input, rows)]));
const { probabilities } = await session.run(tensors, ["probabilities"]);
const [n_rows, n_classes] = probabilities.dims;
const values = Array.from(probabilities.data);
console.log(JSON.stringify(Array.from({ length: n_rows }, (_, row) => values.slice(row * n_classes, (row + 1) * n_classes))));
