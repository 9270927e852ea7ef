import { expect, it } from 'vitest';
import { screen } from '../../../src/commands/demo/screen.ts';

const text = screen({ envoy: 'http://127.0.0.1:10000', public: 'http://127.0.0.1:9190' }, '.sallyport/sallyport.log');

const next = text.slice(text.indexOf('What to try next'));

it('the screen of the demo names what to try next, with a request that is refused among it', () => {
  for (const what of [
    '--as jane',
    'sallyport login',
    'sallyport token',
    'sallyport proxy',
    'Charge 4111 1111 1111 1111',
    'explain ID',
    'sessions list',
    'sessions show ID',
    'sql',
    'doctor',
  ])
    expect(next).toContain(what);
});

it('the screen of the demo tells that within 100 columns', () => {
  expect(next.split('\n').filter((line) => line.length > 100)).toEqual([]);
});
