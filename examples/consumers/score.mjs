// Click probabilities of rows in JSON, by a file of to_onnx:
//   node score.mjs clicks.onnx < rows.json
// The columns of a row that are null or absent count as missing.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const MISSING_INTEGER = -(2n ** 63n);

function microseconds(text) {
  const withZone = /Z|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`;
  return BigInt(Date.parse(withZone)) * 1000n;
}

const missing = { string: "", float64: NaN, int64: MISSING_INTEGER };
const converters = {
  string: (value) => (Array.isArray(value) ? value.join("|") : value),
  float64: (value) => value,
  int64: (value) => (typeof value === "string" ? microseconds(value) : BigInt(value)),
};
const arrays = { string: Array, float64: Float64Array, int64: BigInt64Array };

function tensorOf({ name, type }, rows) {
  const convert = (value) => (value == null ? missing[type] : converters[type](value));
  const values = arrays[type].from(rows, (row) => convert(row[name]));
  return [name, new ort.Tensor(type, values, [rows.length, 1])];
}

ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(process.argv[2]));
const rows = JSON.parse(readFileSync(0, "utf8"));
const tensors = session.inputMetadata.map((input) => tensorOf(input, rows));
const { probabilities } = await session.run(Object.fromEntries(tensors), ["probabilities"]);
const n_classes = probabilities.dims[1];
const values = Array.from(probabilities.data);
const ofRow = (_, row) => values.slice(row * n_classes, (row + 1) * n_classes);
console.log(JSON.stringify(rows.map(ofRow)));
