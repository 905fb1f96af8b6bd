// k6 run smoke.js, with TARGET and ORDERFLOW_API_KEY in the environment. All that it does is in ../scenarios/smoke.toml.
import { scenario } from './scenario.js';

const { options, iteration } = scenario(open('../scenarios/smoke.toml'), 'smoke.toml');
export { options };
export default iteration;
