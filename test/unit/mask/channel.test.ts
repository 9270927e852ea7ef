import { expect, it } from 'vitest';
import { Channel } from '../../../src/mask/channel.ts';

it('gives out no half of a surrogate pair, whatever its masker does', () => {
  const channel = new Channel([], { push: (delta) => delta, end: () => '', held: 0 });
  expect([channel.push('a\ud83d'), channel.push('\ude00b'), channel.push('\ud83d'), channel.end()]).toEqual([
    'a',
    '😀b',
    '',
    '\ud83d',
  ]);
});
