// A scenario of ../scenarios as k6 runs it: the same stages, mix, values, checks and thresholds, read from the same file.
//
// What k6 does otherwise: arrivals come at equal distances (a Poisson process is not among its executors); latency counts
// from the send, as the generator's service time does; and an arrival that finds every connection taken is dropped at
// once, since k6 has no backlog. README.md has more.

import exec from 'k6/execution';
import http from 'k6/http';
import { sleep } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';

import { parseToml } from './toml.js';

const TARGET = __ENV.TARGET || 'http://127.0.0.1:8080';
const KEY = __ENV.ORDERFLOW_API_KEY;
// Told apart from those of other runs by the time at which each user begins, and from each other by user and number.
const RUN = Date.now().toString(16);
const TIMEOUT = '10s';

// Of expected answers and time-outs, without the warm-up: what the thresholds are about.
const latency = new Trend('latency', true);
const answers = new Counter('answers');
const errors = new Rate('errors');

/** The options and the function of a scenario, for a script's exports. `text` is the file's. */
export function scenario(text, file) {
  const draft = shortened(parseToml(text, file));
  const { stage: stages, counts = {} } = draft;
  const fill = filler(draft.values || {}, counts);
  const entries = [
    ...(draft.request || []).map((request) => ({ weight: request.weight ?? 1, steps: [step(request)] })),
    ...(draft.journey || []).map((journey) => ({ weight: journey.weight ?? 1, steps: journey.step.map(step) })),
  ];
  if (!KEY && entries.some(({ steps }) => steps.some(({ auth }) => auth))) {
    throw new Error(`${file} writes: set ORDERFLOW_API_KEY to a key that may`);
  }
  const think = draft.model === 'closed' ? thinking(draft.think) : () => {};
  const warmup = (draft.warmup_seconds || 0) * 1000;
  // Users stop at the end of the plan, in the middle of a journey too.
  const end = draft.model === 'closed' ? seconds(stages) * 1000 : Infinity;
  const executor = draft.model === 'closed' ? closed(draft) : open(draft);
  return {
    options: {
      scenarios: { [draft.name]: { ...executor, gracefulStop: '11s' } },
      thresholds: thresholds(draft.thresholds || {}, seconds(stages) - warmup / 1000),
      summaryTrendStats: ['avg', 'min', 'med', 'p(90)', 'p(95)', 'p(99)', 'p(99.9)', 'max', 'count'],
      // A row of the report is a request of the scenario, and not each product's address.
      systemTags: ['status', 'method', 'name', 'scenario', 'error_code', 'expected_response'],
      noConnectionReuse: false,
    },
    iteration() {
      const captured = {};
      for (const one of choose(entries).steps) {
        const at = Date.now() - exec.scenario.startTime;
        const measured = at >= warmup;
        if (at >= end || !send(one, (text) => fill(text, captured), captured, measured)) return;
        think();
      }
    },
  };
}

// As --scale, --rate and --duration of the generator do it: everything in proportion, the warm-up too.
function shortened(draft) {
  const rates = draft.stage.flatMap(({ rate, from, to }) => [rate, from, to].filter((it) => it !== undefined));
  const scale = __ENV.RATE ? Number(__ENV.RATE) / Math.max(...rates) : Number(__ENV.SCALE || 1);
  const stretch = __ENV.DURATION ? Number(__ENV.DURATION) / seconds(draft.stage) : 1;
  if (!(scale > 0 && stretch > 0)) throw new Error('RATE, SCALE and DURATION are numbers above 0');
  for (const stage of draft.stage) {
    stage.seconds *= stretch;
    for (const key of ['rate', 'from', 'to']) if (key in stage) stage[key] *= scale;
  }
  draft.warmup_seconds = (draft.warmup_seconds || 0) * stretch;
  if (draft.users) draft.users = Math.max(1, Math.round(draft.users * scale));
  if (draft.thresholds?.min_rate) draft.thresholds.min_rate *= scale;
  return draft;
}

function seconds(stages) {
  return stages.reduce((sum, stage) => sum + stage.seconds, 0);
}

function milliseconds(s) {
  return `${Math.round(s * 1000)}ms`;
}

function open({ stage: stages, connections = 64 }) {
  // k6 takes whole arrivals a time unit: by the minute a slow ramp is not a staircase.
  const rate = (it) => Math.round(it * 60);
  const steps = [];
  for (const { seconds: s, rate: constant, from = constant, to = constant } of stages) {
    steps.push({ duration: '0s', target: rate(from) }, { duration: milliseconds(s), target: rate(to) });
  }
  return {
    executor: 'ramping-arrival-rate',
    timeUnit: '1m',
    startRate: steps[0].target,
    stages: steps,
    preAllocatedVUs: connections,
    maxVUs: connections,
  };
}

function closed({ stage: stages, users }) {
  return { executor: 'constant-vus', vus: users, duration: milliseconds(seconds(stages)) };
}

function thresholds(limits, measured) {
  const percentiles = { p50_ms: 'med', p90_ms: 'p(90)', p95_ms: 'p(95)', p99_ms: 'p(99)', p99_9_ms: 'p(99.9)', max_ms: 'max' };
  const held = { latency: [], errors: [], answers: ['count>=1'] };
  for (const [name, limit] of Object.entries(limits)) {
    if (name in percentiles) held.latency.push(`${percentiles[name]}<=${limit}`);
    else if (name === 'error_rate') held.errors.push(`rate<=${limit}`);
    // A rate in k6 is over the whole test; the generator leaves the warm-up out.
    else if (name === 'min_rate') held.answers.push(`count>=${limit * measured}`);
    else throw new Error(`thresholds.${name} is not known here`);
  }
  return Object.fromEntries(Object.entries(held).filter(([, list]) => list.length > 0));
}

function step({ name, method = 'GET', path, headers = {}, body, auth = false, expect = [], capture }) {
  return { name: name || `${method} ${path}`, method, path, headers, body, auth, expect, capture };
}

function send(one, fill, captured, measured) {
  const headers = {};
  for (const [name, value] of Object.entries(one.headers)) headers[name] = fill(value);
  if (one.auth) headers.Authorization = `Bearer ${KEY}`;
  if (one.body !== undefined) headers['Content-Type'] ??= 'application/json';
  const answer = http.request(one.method, TARGET + fill(one.path), one.body === undefined ? null : fill(one.body), {
    headers,
    timeout: TIMEOUT,
    redirects: 0,
    tags: { name: one.name },
    responseCallback: one.expect.length > 0 ? http.expectedStatuses(...one.expect) : http.expectedStatuses({ min: 200, max: 299 }),
    responseType: one.capture ? 'text' : 'none',
  });
  const expected = one.expect.length > 0 ? one.expect.includes(answer.status) : answer.status >= 200 && answer.status < 300;
  const kept = expected && keep(one.capture, answer, captured);
  if (measured) {
    errors.add(!kept, { name: one.name });
    if (kept) answers.add(1, { name: one.name });
    // 1050 is k6's number for a time-out.
    if (kept || answer.error_code === 1050) latency.add(answer.timings.duration, { name: one.name });
  }
  return kept;
}

// Whether the answer has what later steps need.
function keep(capture, answer, captured) {
  if (!capture) return true;
  const found = capture.location ? (answer.headers.Location || '').split('/').pop() : pointed(answer, capture.json);
  if (found === undefined || found === '') return false;
  captured[capture.name] = String(found);
  return true;
}

function pointed(answer, pointer) {
  try {
    const names = pointer.split('/').slice(1);
    return names.reduce((value, name) => value?.[name.replace(/~1/g, '/').replace(/~0/g, '~')], answer.json());
  } catch {
    return undefined;
  }
}

function choose(entries) {
  let at = Math.random() * entries.reduce((sum, { weight }) => sum + weight, 0);
  return entries.find(({ weight }) => (at -= weight) < 0) || entries[entries.length - 1];
}

function thinking(think) {
  if (!think) return () => {};
  const { fixed_ms: fixed, exponential_ms: mean } = think;
  return () => sleep((fixed ?? mean * Math.min(-Math.log(1 - Math.random()), 10)) / 1000);
}

// Fills {placeholders}. A brace that encloses no name stands for itself, so that JSON can be written as it is.
function filler(values, counts) {
  let serial = 0;
  const unique = () => `${RUN}-${exec.vu.idInTest}-${(serial += 1)}`;
  const draw = { unique, email: () => `user-${unique()}@example.com` };
  for (const [name, value] of Object.entries(values)) draw[name] = drawn(name, value, counts);
  return (text, captured) =>
    text.replace(/\{([a-z][a-z0-9_]*)\}/g, (_, name) => {
      if (name in captured) return captured[name];
      if (!(name in draw)) throw new Error(`nothing fills {${name}}`);
      return draw[name]();
    });
}

function drawn(name, value, counts) {
  const size = (it) => {
    const found = typeof it === 'string' ? counts[it] : it;
    if (found === undefined) throw new Error(`values.${name}: there is no count ${it}`);
    return found;
  };
  if (value.uniform) {
    const { from = 1 } = value.uniform;
    const to = size(value.uniform.to);
    return () => from + Math.floor(Math.random() * (to - from + 1));
  }
  if (value.zipf) return zipf(size(value.zipf.to), value.zipf.exponent);
  if (value.choice) return () => value.choice[Math.floor(Math.random() * value.choice.length)];
  throw new Error(`values.${name} is of a kind that is not known here`);
}

// Zipf's law over 1..=n: k is drawn in proportion to 1 / k^exponent.
function zipf(n, exponent) {
  const shares = new Float64Array(n);
  let sum = 0;
  for (let k = 1; k <= n; k += 1) shares[k - 1] = sum += k ** -exponent;
  return () => {
    const at = Math.random() * sum;
    let [low, high] = [0, n - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (shares[middle] <= at) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  };
}
