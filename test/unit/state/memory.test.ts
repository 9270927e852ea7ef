import { createMemoryState } from '../../../src/state/memory.ts';
import { stateContract } from './contract.ts';

stateContract('the store in memory', (now) => createMemoryState({ now }));
