// k6 run load.js, with TARGET and ORDERFLOW_API_KEY in the environment. All that it does is in ../scenarios/load.toml.
import { scenario } from './scenario.js';

const { options, iteration } = scenario(open('../scenarios/load.toml'), 'load.toml');
export { options };
export default iteration;
