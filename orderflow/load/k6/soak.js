// k6 run soak.js, with TARGET and ORDERFLOW_API_KEY in the environment. All that it does is in ../scenarios/soak.toml.
import { scenario } from './scenario.js';

const { options, iteration } = scenario(open('../scenarios/soak.toml'), 'soak.toml');
export { options };
export default iteration;
