// k6 run stress.js, with TARGET and ORDERFLOW_API_KEY in the environment. All that it does is in ../scenarios/stress.toml.
import { scenario } from './scenario.js';

const { options, iteration } = scenario(open('../scenarios/stress.toml'), 'stress.toml');
export { options };
export default iteration;
