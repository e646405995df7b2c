// Scores the candidates of the page "Scoring in the browser" whenever a choice changes.
const here = (name) => new URL(name, import.meta.url);
const HOUR = 3_600_000_000; // microseconds

const form = document.querySelector("#scoring-choices");
const chart = document.querySelector("#scoring-chart");
const status = document.querySelector("#scoring-status");

async function loadModel() {
  const ort = await import(here("ort.wasm.bundle.min.mjs"));
  ort.env.wasm.numThreads = 1; // more threads need headers that not every server sends
  ort.env.wasm.wasmPaths = { wasm: here("ort-wasm-simd-threaded.wasm").href };
  const session = await ort.InferenceSession.create(here("clicks.onnx").href);
  return async (columns) => {
    const tensors = {};
    for (const [name, [type, values]] of Object.entries(columns)) {
      tensors[name] = new ort.Tensor(type, values, [values.length, 1]);
    }
    const { probabilities } = await session.run(tensors, ["probabilities"]);
    return probabilities.data.filter((_, position) => position % 2 === 1);
  };
}

// One row per candidate, all with what was chosen. "" stands for a missing string.
function columnsOf(items, { user, segment, device, time }) {
  const repeated = (value) => items.map(() => value);
  return {
    user: ["string", repeated(user)],
    segment: ["string", repeated(segment)],
    item: ["string", items.map((item) => item.item)],
    category: ["string", items.map((item) => item.category)],
    tags: ["string", items.map((item) => item.tags.join("|"))],
    price: ["float64", Float64Array.from(items, (item) => item.price)],
    device: ["string", repeated(device)],
    time: ["int64", BigInt64Array.from(items, () => BigInt(time))],
  };
}

// What was typed counts where the last option is chosen, which has no value of its own.
function valueOf(name) {
  return form.elements[name].value || form.elements[`other_${name}`].value;
}

function showTyped(name) {
  form.elements[`other_${name}`].hidden = form.elements[name].value !== "";
}

function chosen({ users, day }) {
  const user = valueOf("user");
  const segment = users.find((candidate) => candidate.user === user)?.segment ?? "";
  return { user, segment, device: valueOf("device"), time: day + form.elements.hour.value * HOUR };
}

function showHour(slider) {
  const hour = `${slider.value.padStart(2, "0")}:00`;
  document.querySelector("#scoring-hour-shown").textContent = hour;
  slider.setAttribute("aria-valuetext", hour); // what is spoken
}

function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

function fillForm({ users, devices }) {
  form.elements.user.append(...users.map(({ user, segment }) => new Option(`${user} (${segment})`, user)));
  form.elements.device.append(...devices.map((device) => new Option(device, device)));
  for (const name of ["user", "device"]) form.elements[name].append(new Option(`another ${name} \u2026`, ""));
}

function makeBars(items) {
  return items.map((item) => {
    const details = ` ${item.category}, ${item.tags.join(", ")}, price ${item.price.toFixed(2)}`;
    const label = element("span", "scoring-label", element("b", "", item.item), element("small", "", details));
    const fill = element("span", "scoring-fill");
    const track = element("span", "scoring-track", fill);
    track.setAttribute("aria-hidden", "true"); // the number says the same
    const number = element("data", "scoring-number");
    return { item, fill, number, row: element("li", "", label, track, number) };
  });
}

const percent = (probability) => `${(100 * probability).toFixed(1)} %`;

function draw(bars, probabilities) {
  const ranked = bars
    .map((bar, position) => ({ ...bar, probability: probabilities[position] }))
    .sort((a, b) => b.probability - a.probability);
  const shown = bars.filter(({ row }) => row.isConnected); // none at first
  const places = new Map(shown.map(({ row }) => [row, row.getBoundingClientRect().top]));
  for (const { fill, number, probability } of ranked) {
    fill.style.width = `${100 * probability}%`;
    number.value = probability;
    number.textContent = percent(probability);
  }
  chart.replaceChildren(...ranked.map(({ row }) => row));
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) places.forEach((from, row) => glide(row, from));
  return ranked[0];
}

function glide(row, from) {
  const distance = from - row.getBoundingClientRect().top;
  if (distance) row.animate([{ transform: `translateY(${distance}px)` }, { transform: "none" }], { duration: 200 });
}

async function start() {
  const [score, choices] = await Promise.all([loadModel(), fetch(here("choices.json")).then((answer) => answer.json())]);
  fillForm(choices);
  const bars = makeBars(choices.items);
  const update = async () => {
    showHour(form.elements.hour);
    ["user", "device"].forEach(showTyped);
    const start = performance.now();
    const probabilities = await score(columnsOf(choices.items, chosen(choices)));
    const milliseconds = performance.now() - start;
    const first = draw(bars, probabilities);
    const scored = `${bars.length} candidates scored in ${milliseconds.toFixed(1)} ms.`;
    return `${first.item.item} comes first with ${percent(first.probability)}. ${scored}`;
  };
  // A session runs one request at a time. Each reads the form when its turn comes, so the last one shows what is chosen.
  await update(); // the first request takes longest
  let last = update();
  form.addEventListener("input", () => (last = last.then(update)));
  // Spoken once a choice is made, not at every step of a slider that is dragged.
  form.addEventListener("change", () => last.then((text) => (status.textContent = text)));
  status.textContent = await last;
  form.elements.choices.disabled = false;
}

start().catch((error) => {
  status.textContent = `The model couldn't be loaded: ${error.message}`;
  throw error;
});
