// k6 run crud.js, with TARGET and ORDERFLOW_API_KEY in the environment. All that it does is in ../scenarios/crud.toml.
import { scenario } from './scenario.js';

const { options, iteration } = scenario(open('../scenarios/crud.toml'), 'crud.toml');
export { options };
export default iteration;
