// k6 run spike.js, with TARGET and ORDERFLOW_API_KEY in the environment. All that it does is in ../scenarios/spike.toml.
import { scenario } from './scenario.js';

const { options, iteration } = scenario(open('../scenarios/spike.toml'), 'spike.toml');
export { options };
export default iteration;
